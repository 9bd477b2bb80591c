// Which headers of a server's response reach the client when a chain begins with a fetch.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/calls/response.hpp"

namespace tinykvm::vmod {

// Is it about the response, rather than about the connection, or this Varnish, or somebody whose request this was not?
// The content type is not among the headers here (host::Response).
bool is_passed_on(std::string_view line);

// What is still true of a response after programs have made something else of its body: not its encoding and
// checksums. A strong ETag becomes a weak one.
std::vector<std::string> headers_of_source(const std::vector<std::string>& lines);

// Adds those the response does not have itself. How long it is good for it says as a whole or not at all; `Vary` is
// what both say.
void inherit(host::Response& response, const std::vector<std::string>& source);

}  // namespace tinykvm::vmod
