/* SPDX-License-Identifier: BSD-2-Clause
 * Brings the query of a URL into one form, so that one page is one object in the cache: parameters are
 * sorted, empty ones dropped, and so are those `arg` names, a comma-separated list in which a final '*'
 * stands for anything.
 *
 *     set req.url = tinykvm.to_string("to_string", req.url, "utm_*,fbclid", req.url);
 *
 * makes /page?b=2&utm_source=x&a=1 into /page?a=1&b=2. On Linux: to_string URL [NAMES]. */
#include "kvm_api.h"

enum { max_url = 65536, max_parameters = 1024 };

struct parameter {
    const char* text; /* "name=value" or "name" */
    size_t length, name_length;
};

static bool is_listed(const struct parameter* parameter, const char* list) {
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        if (length > 0 && list[length - 1] == '*') {
            if (length - 1 <= parameter->name_length && memcmp(list, parameter->text, length - 1) == 0) {
                return true;
            }
        } else if (length == parameter->name_length && memcmp(list, parameter->text, length) == 0) {
            return true;
        }
        list += length + (list[length] == ',');
    }
    return false;
}

/* By name; parameters of the same name keep their order, because it may mean something. */
static int compare(const void* left, const void* right) {
    const struct parameter *a = left, *b = right;
    size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
    int difference = memcmp(a->text, b->text, shorter);
    if (difference == 0 && a->name_length != b->name_length) {
        difference = a->name_length < b->name_length ? -1 : 1;
    }
    return difference != 0 ? difference : (a->text > b->text) - (a->text < b->text);
}

/* Writes the result to `out`, which holds max_url bytes. 0 when the URL is beyond the limits. */
static size_t normalise(const char* url, const char* unwanted, char* out) {
    static struct parameter parameters[max_parameters];
    size_t count = 0, path = strcspn(url, "?"), length = path;

    if (strlen(url) >= max_url) {
        return 0;
    }
    for (const char* at = url + path; *at != '\0';) {
        const char* text = at + 1; /* after the '?' or '&' */
        struct parameter parameter = {text, strcspn(text, "&"), strcspn(text, "&=")};
        at = text + parameter.length;
        if (parameter.length == 0 || is_listed(&parameter, unwanted)) {
            continue;
        }
        if (count == max_parameters) {
            return 0;
        }
        parameters[count++] = parameter;
    }
    qsort(parameters, count, sizeof(parameters[0]), compare);

    memcpy(out, url, path);
    for (size_t i = 0; i < count; i++) {
        out[length++] = i == 0 ? '?' : '&';
        memcpy(out + length, parameters[i].text, parameters[i].length);
        length += parameters[i].length;
    }
    return length;
}

static char result[max_url];

static void on_get(const char* url, const char* arg) {
    size_t length = normalise(url, arg, result);
    if (length == 0) {
        backend_response_str(414, "text/plain", "The URL is empty, too long or has too many parameters.\n");
        return;
    }
    backend_response(200, "text/plain", strlen("text/plain"), result, length);
}

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) {
        size_t length = argc < 2 ? 0 : normalise(argv[1], argc < 3 ? "" : argv[2], result);
        printf("%.*s\n", (int)length, result);
        return length == 0;
    }
    set_backend_get(on_get);
    wait_for_requests();
}
