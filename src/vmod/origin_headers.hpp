// Which headers of a server's response reach the client when a chain begins with a fetch.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/calls/response.hpp"

namespace tinykvm::vmod {

// Is the header about the response, and not about the connection, the other Varnish or the client that seemed to ask?
// The content type is not among the headers here (host::Response).
bool is_passed_on(std::string_view line);

// Does a server's response set a cookie, and does it not say that it is for the public all the same? What is in it may
// belong to the cookie, and Varnish caches no such response of a backend by itself.
bool is_for_one_client(const std::vector<std::string>& lines);

// Puts `Cache-Control: private` in place of what is said about the response's lifetime.
void make_private(std::vector<std::string>& lines);

// What is still true of a response after programs have made something else of its body: not its encoding and
// checksums. A strong ETag becomes a weak one.
std::vector<std::string> headers_of_source(const std::vector<std::string>& lines);

// Adds those the response does not have itself. Headers about its lifetime come all from one of the two; `Vary` is what
// both say.
void inherit(host::Response& response, const std::vector<std::string>& source);

}  // namespace tinykvm::vmod
