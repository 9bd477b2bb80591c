/* SPDX-License-Identifier: BSD-2-Clause
 * A page for people who meet an error: `arg` is the headline, the URL is named and what is special in HTML is escaped.
 *
 *     tinykvm.synth(resp.status, "error_page", req.url, resp.reason)
 *
 * On Linux: error_page URL HEADLINE. */
#include "kvm_api.h"

enum { max_page = 65536 };

static char page[max_page];
static size_t length;

static void append(const char* text) {
    const size_t size = strlen(text);
    if (size <= max_page - length) {
        memcpy(page + length, text, size);
        length += size;
    }
}

/* Everything but printable ASCII is left out. */
static void append_escaped(const char* text) {
    for (; *text != '\0'; text++) {
        const char one[2] = {*text, '\0'};
        switch (*text) {
            case '<': append("&lt;"); break;
            case '>': append("&gt;"); break;
            case '&': append("&amp;"); break;
            case '"': append("&quot;"); break;
            default:
                if (*text >= ' ' && *text <= '~') {
                    append(one);
                }
        }
    }
}

static void make_page(const char* url, const char* headline) {
    append("<!DOCTYPE html>\n<title>");
    append_escaped(headline);
    append("</title>\n<h1>");
    append_escaped(headline);
    append("</h1>\n<p>This happened on the way to <code>");
    append_escaped(url);
    append("</code>.</p>\n");
}

static void on_get(const char* url, const char* arg) {
    make_page(url, arg);
    backend_response(200, "text/html", strlen("text/html"), page, length);
}

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) {
        make_page(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
        fwrite(page, 1, length, stdout);
        return 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
