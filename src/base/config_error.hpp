// What VCL or a library file says is wrong.
#pragma once

#include "tinykvm/errors.hpp"

namespace tinykvm::host {

// The message names program, key, value and what is allowed, on one line.
class ConfigError : public Error {
  public:
    using Error::Error;
};

}  // namespace tinykvm::host
