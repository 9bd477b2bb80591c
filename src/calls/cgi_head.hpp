// The answer of a CGI program: the header block that its output begins with (RFC 3875, 6).
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "src/calls/response.hpp"

namespace tinykvm::host {

struct CgiAnswer {
    Response response;          // its body is what follows the header block; body_size is set
    std::size_t head_size = 0;  // bytes of the header block, with the empty line at its end
};

// `output`: all that the program wrote. `status` is that of the answer unless the block has one, or a Location without
// one, which is a 302; `content_type` is that of a body for which the block has none. Lines end with LF or CRLF. Throws
// Failure (invalid_answer) that says what is wrong with the block.
CgiAnswer read_cgi_answer(std::span<const std::byte> output, int status, const std::string& content_type);

}  // namespace tinykvm::host
