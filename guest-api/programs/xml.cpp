// SPDX-License-Identifier: BSD-2-Clause
// Gives POSTed XML back as it came when it is well-formed, as tinyxml2 says; else 503, with the error as text and its
// line in a header. On Linux: xml [FILE] writes the same to standard output; status 1 when it was not well-formed.
#include <tinyxml2.h>

#include <cstdio>
#include <string>

#include "input.hpp"
#include "kvm_api.hpp"

namespace {

void validate(const char* xml, size_t len) {
    tinyxml2::XMLDocument doc;
    doc.Parse(xml, len);

    if (doc.Error()) {
        Http::set(BERESP, "X-ErrorLine: " + std::to_string(doc.ErrorLineNum()));
        Backend::response(503, "text/plain", doc.ErrorStr());
    }
    Backend::response(200, "text/xml", std::string_view(xml, len));
}

void on_get(const char*, const char*) { Backend::response(405, "text/plain", "POST an XML document.\n"); }

void on_post(const char*, const char*, const char*, const uint8_t* data, size_t len) {
    validate(reinterpret_cast<const char*>(data), len);
}

int run_on_linux(int argc, char** argv) {
    const std::optional<std::string> text = read_input(argc, argv);
    if (!text) {
        return 2;
    }
    tinyxml2::XMLDocument doc;
    doc.Parse(text->data(), text->size());
    if (doc.Error()) {
        std::fprintf(stderr, "xml: line %d: %s\n", doc.ErrorLineNum(), doc.ErrorStr());
        return 1;
    }
    std::fwrite(text->data(), 1, text->size(), stdout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (IS_LINUX_MAIN()) {
        return run_on_linux(argc, argv);
    }
    set_backend_get(on_get);
    set_backend_post(on_post);
    wait_for_requests();
}
