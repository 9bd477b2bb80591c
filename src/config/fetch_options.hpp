// How a chain fetches: the JSON object that VCL gives "fetch" as its config.
//
// Thread safety: plain values.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tinykvm::host {

struct FetchOptions {
    std::vector<std::string> headers;                  // "Name: value", sent with the request
    std::vector<std::string> forward_headers;          // names of the headers to send as the current request has them
    std::optional<std::chrono::microseconds> timeout;  // of everything together
};

// Comments are allowed, and an empty text sets nothing. Throws ConfigError with a message that names the key.
FetchOptions parse_fetch_options(std::string_view json);

}  // namespace tinykvm::host
