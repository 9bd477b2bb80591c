// Everything that can go wrong, one type per kind. Each message names the thing and the reason and is fit
// for a log line. No error of a guest is an assertion; after each of them the process is unharmed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "tinykvm/registers.hpp"

namespace tinykvm {

class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The host could not do its part: no KVM, no memory, no file descriptors. Nothing the guest did.
class MachineError : public Error {
  public:
    using Error::Error;
    // "what: strerror(errno)".
    static MachineError from_errno(const std::string& what, int error);
};

// A program file that cannot be loaded; the message says what is wrong with it.
class LoadError : public Error {
  public:
    using Error::Error;
};

// A file the program needs to start is not in allowed_paths.
class NotAllowed : public LoadError {
  public:
    // `what` is in the message; `path` is the path of the guest that was refused, where links are followed.
    NotAllowed(const std::string& what, std::string path);
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// The deadline passed. `what()` says what the program was doing.
class Timeout : public Error {
  public:
    using Error::Error;
};

// The run was ended before its deadline by interrupt(), of Machine or Fork.
class Interrupted : public Error {
  public:
    using Error::Error;
};

// The guest changed or added more memory than it may.
class OutOfMemory : public Error {
  public:
    // `limit` is the name of the configuration key, e.g. "max_request_memory".
    OutOfMemory(std::string limit, std::size_t bytes);
    const std::string& limit() const { return limit_; }

  private:
    std::string limit_;
};

// The program did what kills a Linux process: an exception without a handler, or a deadly signal.
class GuestFault : public Error {
  public:
    struct Details {
        int signal = 0;         // the Linux signal that ended the program, e.g. SIGSEGV
        std::string reason;     // "page fault at 0x0 (not mapped, write)"
        Registers registers;    // at the faulting instruction
        std::string backtrace;  // one frame a line, symbolised; may be empty
    };
    explicit GuestFault(Details details);
    const Details& details() const { return details_; }
    // Registers and backtrace, several lines, for a log.
    std::string report() const;

  private:
    Details details_;
};

}  // namespace tinykvm
