// Makes archives as other programs do, and archives that are wrong.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace tinykvm::host {

enum class ArchiveKind { tar_xz, tar_zst, zip };

struct ArchiveMember {
    std::string name;
    std::string content;
    unsigned type = AE_IFREG;
    std::string link = {};  // of a symbolic link; with type AE_IFREG: a hard link
};

inline std::string make_archive(ArchiveKind kind, const std::vector<ArchiveMember>& members) {
    std::string result;
    struct archive* writer = archive_write_new();
    const auto require = [&](int code) {
        if (code != ARCHIVE_OK) std::abort();
    };
    require(kind == ArchiveKind::zip ? archive_write_set_format_zip(writer)
                                     : archive_write_set_format_pax_restricted(writer));
    if (kind == ArchiveKind::tar_xz) require(archive_write_add_filter_xz(writer));
    if (kind == ArchiveKind::tar_zst) require(archive_write_add_filter_zstd(writer));
    const auto append = [](struct archive*, void* to, const void* bytes, size_t size) -> la_ssize_t {
        static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
        return static_cast<la_ssize_t>(size);
    };
    require(archive_write_set_bytes_in_last_block(writer, 1));
    require(archive_write_open(writer, &result, nullptr, append, nullptr));
    for (const ArchiveMember& member : members) {
        struct archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, member.name.c_str());
        archive_entry_set_filetype(entry, member.type);
        archive_entry_set_perm(entry, 0755);
        archive_entry_set_size(entry, static_cast<la_int64_t>(member.link.empty() ? member.content.size() : 0));
        if (member.type == AE_IFLNK) archive_entry_set_symlink(entry, member.link.c_str());
        if (member.type == AE_IFREG && !member.link.empty()) archive_entry_set_hardlink(entry, member.link.c_str());
        require(archive_write_header(writer, entry));
        if (member.link.empty() && !member.content.empty() &&
            archive_write_data(writer, member.content.data(), member.content.size()) !=
                static_cast<la_ssize_t>(member.content.size())) {
            std::abort();
        }
        archive_entry_free(entry);
    }
    require(archive_write_close(writer));
    archive_write_free(writer);
    return result;
}

// Any bytes, compressed as .zst.
inline std::string compress(const std::string& text) {
    std::string result(text.size() + 1000, '\0');
    std::size_t used = 0;
    struct archive* writer = archive_write_new();
    struct archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    if (archive_write_set_format_raw(writer) != ARCHIVE_OK || archive_write_add_filter_zstd(writer) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(writer, 1) != ARCHIVE_OK ||
        archive_write_open_memory(writer, result.data(), result.size(), &used) != ARCHIVE_OK ||
        archive_write_header(writer, entry) != ARCHIVE_OK ||
        archive_write_data(writer, text.data(), text.size()) != static_cast<la_ssize_t>(text.size()) ||
        archive_write_close(writer) != ARCHIVE_OK) {
        std::abort();
    }
    archive_entry_free(entry);
    archive_write_free(writer);
    result.resize(used);
    return result;
}

}  // namespace tinykvm::host
