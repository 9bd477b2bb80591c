// Headers that programs gave us, put into Varnish's messages. They were checked when they left the guest.
#pragma once

#include <span>
#include <string_view>

#include "src/calls/header_edit.hpp"
#include "src/calls/response.hpp"
#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// All of these throw NoRoom when the message has no room (http_max_hdr or workspace).
void add_header(struct http* message, std::string_view line);
void unset_header(struct http* message, std::string_view name);
void apply_changes(struct http* message, std::span<const host::HeaderChange> changes);
// Content type, extra headers and header changes of a response, each replaces what the message has of it.
void add_headers(struct http* message, const host::Response& response);

// Would add_headers() find room, and what Varnish adds to a message later as well? Changes nothing. Empty: yes;
// else what is too small.
[[nodiscard]] std::string_view missing_room(const struct http* message, const host::Response& response);

}  // namespace tinykvm::vmod
