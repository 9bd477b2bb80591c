#include "src/header.hpp"

#include <stdexcept>
#include <string>

namespace tinykvm::vmod {

namespace {

[[noreturn]] void no_room(const char* what) { throw std::length_error(std::string("no room for a header: ") + what); }

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(':')); }

}  // namespace

void add_header(struct http* message, std::string_view line) {
    if (message->nhd >= message->shd) {
        no_room("http_max_hdr is too small");
    }
    auto* text = static_cast<char*>(WS_Alloc(message->ws, static_cast<unsigned>(line.size() + 1)));
    if (text == nullptr) {
        no_room("the workspace is too small");
    }
    std::memcpy(text, line.data(), line.size());
    text[line.size()] = '\0';
    http_SetHeader(message, text);
}

void unset_header(struct http* message, std::string_view name) {
    // As Varnish has its header names: the length with the colon, the name, the colon, a zero. 8.0 gives the
    // same bytes a type of their own.
    char spec[256];
    if (name.size() + 1 > sizeof spec - 2) {
        return;  // no message has such a header
    }
    spec[0] = static_cast<char>(name.size() + 1);
    std::memcpy(spec + 1, name.data(), name.size());
    spec[name.size() + 1] = ':';
    spec[name.size() + 2] = '\0';
#if VRT_MAJOR_VERSION >= 22U
    http_Unset(message, CAST_HDR(spec));
#else
    http_Unset(message, spec);
#endif
}

void apply_changes(struct http* message, std::span<const api::HeaderChange> changes) {
    for (const api::HeaderChange& change : changes) {
        switch (change.kind) {
            case api::HeaderChange::Kind::append: add_header(message, change.line); break;
            case api::HeaderChange::Kind::set:
                unset_header(message, name_of(change.line));
                add_header(message, change.line);
                break;
            case api::HeaderChange::Kind::unset: unset_header(message, change.line); break;
        }
    }
}

void add_headers(struct http* message, const api::Response& response) {
    if (!response.content_type.empty()) {
        unset_header(message, "Content-Type");
        add_header(message, "Content-Type: " + response.content_type);
    }
    for (const std::string& line : response.headers) {
        add_header(message, line);
    }
    apply_changes(message, response.response_changes);
}

}  // namespace tinykvm::vmod
