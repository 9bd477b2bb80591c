// The client's connection as vcl_pipe gives it to a program: a request that asks for another protocol (Upgrade), its
// answer, and after a 101 whatever the two send each other.
//
// Thread safety: the thread of the request.
#pragma once

#include "src/vmod/chain.hpp"
#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// Serves the connection until it ends, and returns why Varnish is to close it. The client has got an answer even when
// the program has not given one; the log says what was wrong.
stream_close_t pipe_to_program(VRT_CTX, const Links& links);

}  // namespace tinykvm::vmod
