// The meta-variables of RFC 3875 that a CGI program finds in its environment, made of a request.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/calls/request.hpp"
#include "src/config/config.hpp"

namespace tinykvm::host {

// The one that is the same in all requests; it comes first.
inline constexpr std::string_view cgi_interface = "GATEWAY_INTERFACE=CGI/1.1";
// How many variables a request may have, and how many bytes, with their zeros. Varnish takes 64 header fields and 32
// KiB of a request unless it is told otherwise.
inline constexpr std::size_t max_cgi_variables = 256;
inline constexpr std::size_t max_cgi_bytes = std::size_t{256} << 10;

// "NAME=value" each, without cgi_interface. What the setting `environment` names is the program's own and not among
// them, except that its SCRIPT_NAME says what PATH_INFO is. `body_size`: of the body; nullopt or 0: there is none.
std::vector<std::string> cgi_environment(const Request& request, const ProgramConfig& config,
                                         std::optional<std::size_t> body_size);

}  // namespace tinykvm::host
