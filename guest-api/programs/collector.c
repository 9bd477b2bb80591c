/* SPDX-License-Identifier: BSD-2-Clause
 * Collects the pieces of a body and gives it back, and says in response headers what else it got: as the last of a chain
 * it shows what the others hand on. `arg` names headers of the request it shall show, separated by commas:
 *
 *     tinykvm.chain("minify");
 *     set bereq.backend = tinykvm.to_backend("collector", "", "Content-Encoding,Accept");
 *
 * On Linux it collects its standard input. */
#include <unistd.h>

#include "kvm_api.h"

enum { max_fields = 32, max_field = 1024 };

static char fields[max_fields][max_field];
static struct ResponseHeader headers[max_fields];
static struct BackendResponseExtra extra = {.headers = headers};

static char* collected;
static size_t size, capacity;
static unsigned pieces;

static bool collect(const void* data, size_t len) {
    if (len > capacity - size) {
        const size_t larger = (size + len) * 2;
        char* moved = realloc(collected, larger);
        if (moved == NULL) {
            return false;
        }
        collected = moved;
        capacity = larger;
    }
    memcpy(collected + size, data, len);
    size += len;
    pieces++;
    return true;
}

/* Adds "X-Collected-" and `field`, a "Name: value". What is too long is cut, and what is too much left out. */
static void show(const char* field, size_t len) {
    if (extra.num_headers == max_fields) {
        return;
    }
    char* line = fields[extra.num_headers];
    const int used = snprintf(line, max_field, "X-Collected-%.*s", (int)len, field);
    headers[extra.num_headers++] = (struct ResponseHeader){line, used < max_field ? (size_t)used : max_field - 1};
}

static void show_request(const char* url, const char* names) {
    static char field[8192];
    char method[32];
    const long method_len = http_method(method, sizeof method);
    show(field, (size_t)snprintf(field, sizeof field, "Method: %.*s", (int)method_len, method));
    show(field, (size_t)snprintf(field, sizeof field, "Url: %.1000s", url));
    show(field, (size_t)snprintf(field, sizeof field, "Bytes: %zu", size));
    show(field, (size_t)snprintf(field, sizeof field, "Pieces: %u", pieces));
    while (*names != '\0') {
        const size_t name_len = strcspn(names, ",");
        const long len = sys_http_find(BEREQ, names, name_len, field, sizeof field);
        if (len > 0) {
            show(field, (size_t)len);
        }
        names += name_len + (names[name_len] == ',');
    }
}

/* The body is given back in the form it has. */
static void keep_encoding(void) {
    static char field[256];
    const long len = http_find_str(BEREQ, "Content-Encoding", field, sizeof field);
    if (len > 0 && extra.num_headers < max_fields) {
        headers[extra.num_headers++] = (struct ResponseHeader){field, (size_t)len};
    }
}

static long on_piece(const char* url, const char* arg, const char* type, const uint8_t* data, size_t len,
                     size_t off) {
    (void)off;
    if (len == 0) {
        keep_encoding();
        show_request(url, arg);
        backend_response_extra(200, type, strlen(type), collected, size, &extra);
    }
    if (!collect(data, len)) {
        backend_response_str(507, "text/plain", "The body does not fit in the program's memory.\n");
    }
    return (long)len;
}

static void on_get(const char* url, const char* arg) {
    show_request(url, arg);
    backend_response_extra(200, "", 0, "", 0, &extra);
}

int main(void) {
    if (IS_LINUX_MAIN()) {
        static char piece[65536];
        ssize_t len;
        while ((len = read(STDIN_FILENO, piece, sizeof piece)) > 0) {
            if (!collect(piece, (size_t)len)) {
                return 1;
            }
        }
        fwrite(collected, 1, size, stdout);
        fprintf(stderr, "%zu bytes in %u pieces\n", size, pieces);
        return len < 0;
    }
    set_backend_get(on_get);
    set_backend_stream_post(on_piece);
    wait_for_requests();
}
