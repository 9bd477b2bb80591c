// What functions of the VMOD throw besides the errors of the rooms below. Those that Varnish calls catch all of them
// (src/vmod/guard.hpp).
#pragma once

#include "tinykvm/errors.hpp"

namespace tinykvm::vmod {

// What VCL asks for cannot be done; the message names the argument or the program, and says why.
class VclError : public Error {
  public:
    using Error::Error;
};

// A message of Varnish has no room for another header, or a workspace none for anything.
class NoRoom : public Error {
  public:
    using Error::Error;
};

}  // namespace tinykvm::vmod
