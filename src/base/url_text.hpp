// Parts of URLs as the text they stand for.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace tinykvm::host {

// "%2F" becomes "/" (RFC 3986, 2.1). What is no escape is itself.
std::string decode_escapes(std::string_view text);
// The same, and "+" becomes a space (application/x-www-form-urlencoded; WHATWG URL, 5.1).
std::string decode_parameter(std::string_view text);

}  // namespace tinykvm::host
