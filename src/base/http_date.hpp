// Dates of HTTP in the form that is made today, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace tinykvm::host {

// nullopt: it is none, or in one of the obsolete forms.
std::optional<std::time_t> parse_http_date(std::string_view text);
std::string format_http_date(std::time_t time);

}  // namespace tinykvm::host
