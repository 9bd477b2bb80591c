#include "src/vmod/header.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "src/base/http_field.hpp"
#include "src/vmod/errors.hpp"

namespace tinykvm::vmod {

namespace {

constexpr std::string_view too_few_headers = "http_max_hdr is too small";
constexpr std::string_view too_small_workspace = "the workspace is too small";

// Room that is left for Content-Length, Connection, Accept-Ranges, Age, Via, X-Varnish, and what VCL may set.
constexpr std::size_t headers_of_others = 8, bytes_of_others = 1024;

[[noreturn]] void no_room(std::string_view what) { throw NoRoom("no room for a header: " + std::string(what)); }

}  // namespace

void add_header(struct http* message, std::string_view line) {
    if (message->nhd >= message->shd) {
        no_room(too_few_headers);
    }
    auto* text = static_cast<char*>(WS_Alloc(message->ws, static_cast<unsigned>(line.size() + 1)));
    if (text == nullptr) {
        no_room(too_small_workspace);
    }
    std::memcpy(text, line.data(), line.size());
    text[line.size()] = '\0';
    http_SetHeader(message, text);
}

void unset_header(struct http* message, std::string_view name) {
    // As Varnish has its header names: the length with the colon, the name, the colon, a zero.
    char spec[1 + host::max_field_name_bytes + 2];
    if (name.size() > host::max_field_name_bytes) {
        return;  // no message has such a header of ours: is_field_name()
    }
    spec[0] = static_cast<char>(name.size() + 1);
    std::memcpy(spec + 1, name.data(), name.size());
    spec[name.size() + 1] = ':';
    spec[name.size() + 2] = '\0';
    http_Unset(message, TINYKVM_HEADER_SPEC(spec));
}

void apply_changes(struct http* message, std::span<const host::HeaderChange> changes) {
    for (const host::HeaderChange& change : changes) {
        switch (change.kind) {
            case host::HeaderChange::Kind::append: add_header(message, change.line); break;
            case host::HeaderChange::Kind::set:
                unset_header(message, host::name_of(change.line));
                add_header(message, change.line);
                break;
            case host::HeaderChange::Kind::unset: unset_header(message, change.line); break;
        }
    }
}

std::string_view missing_room(const struct http* message, const host::Response& response) {
    std::vector<std::string_view> names;
    for (unsigned i = HTTP_HDR_FIRST; i < message->nhd; i++) {
        if (const txt& text = message->hd[i]; text.b != nullptr) {
            names.push_back(host::name_of({text.b, static_cast<std::size_t>(text.e - text.b)}));
        }
    }
    std::size_t most = names.size(), bytes = 0;
    const auto unset = [&](std::string_view name) {
        std::erase_if(names, [&](std::string_view one) { return host::same_name(one, name); });
    };
    const auto add = [&](std::string_view name, std::size_t size) {
        names.push_back(name);
        most = std::max(most, names.size());
        bytes += PRNDUP(size + 1);
    };
    if (!response.content_type.empty()) {
        unset("Content-Type");
        add("Content-Type", std::strlen("Content-Type: ") + response.content_type.size());
    }
    for (const std::string& line : response.headers) {
        add(host::name_of(line), line.size());
    }
    for (const host::HeaderChange& change : response.response_changes) {
        if (change.kind != host::HeaderChange::Kind::append) {
            unset(host::name_of(change.line));
        }
        if (change.kind != host::HeaderChange::Kind::unset) {
            add(host::name_of(change.line), change.line.size());
        }
    }
    if (HTTP_HDR_FIRST + most + headers_of_others > message->shd) {
        return too_few_headers;
    }
    const std::size_t room = WS_ReserveAll(message->ws);
    WS_Release(message->ws, 0);
    return bytes + bytes_of_others > room ? too_small_workspace : std::string_view();
}

void add_headers(struct http* message, const host::Response& response) {
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
