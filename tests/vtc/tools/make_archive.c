/* SPDX-License-Identifier: BSD-2-Clause
 * make_archive ARCHIVE MEMBER=FILE...: an archive of these files under these names; what kind says its name (.tar.xz,
 * .tar.zst, .zip). */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void check(struct archive *writer, long result)
{
    if (result < ARCHIVE_OK) {
        fprintf(stderr, "make_archive: %s\n", archive_error_string(writer));
        exit(1);
    }
}

static void add(struct archive *writer, char *argument)
{
    char *file_name = strchr(argument, '=');
    FILE *file;
    char *content = NULL;
    size_t size = 0, part;
    struct archive_entry *entry = archive_entry_new();

    if (file_name == NULL || (file = fopen(file_name + 1, "rb")) == NULL) {
        fprintf(stderr, "make_archive: cannot read %s\n", argument);
        exit(1);
    }
    do {
        content = realloc(content, size + 65536);
        part = fread(content + size, 1, 65536, file);
        size += part;
    } while (part > 0);
    fclose(file);
    *file_name = '\0';
    archive_entry_set_pathname(entry, argument);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0755);
    archive_entry_set_size(entry, (la_int64_t)size);
    check(writer, archive_write_header(writer, entry));
    check(writer, (long)archive_write_data(writer, content, size));
    archive_entry_free(entry);
    free(content);
}

int main(int argc, char **argv)
{
    struct archive *writer = archive_write_new();
    if (argc < 3)
        return 2;
    if (ends_with(argv[1], ".zip")) {
        check(writer, archive_write_set_format_zip(writer));
    } else {
        check(writer, archive_write_set_format_pax_restricted(writer));
        check(writer, ends_with(argv[1], ".xz") ? archive_write_add_filter_xz(writer)
                                                : archive_write_add_filter_zstd(writer));
    }
    check(writer, archive_write_open_filename(writer, argv[1]));
    for (int i = 2; i < argc; i++)
        add(writer, argv[i]);
    check(writer, archive_write_close(writer));
    return 0;
}
