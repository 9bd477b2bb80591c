// SPDX-License-Identifier: BSD-2-Clause
// What the C++ programs of the gallery have in common: options as JSON, errors that are answers, and a mode for a
// terminal.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvm_api.hpp"

namespace gallery {

// Ends a request: an HTTP status, and a sentence for the client, which is also logged. Programs may read the headers of
// the answer, which are names and values.
class Error : public std::runtime_error {
  public:
    using Headers = std::vector<std::pair<std::string, std::string>>;

    Error(int status, const std::string& message, Headers headers = {})
        : std::runtime_error(message), status_(status), headers_(std::move(headers)) {}
    int status() const { return status_; }
    const Headers& headers() const { return headers_; }

  private:
    int status_;
    Headers headers_;
};

inline constexpr int bad_configuration = 400, method_not_allowed = 405, too_large = 413, unknown_format = 415,
                     broken_input = 422, out_of_memory = 500;

// What run() asks of a program. Each function may throw an Error.
class Program {
  public:
    virtual ~Program() = default;

    // The name it has in messages.
    virtual const char* name() const = 0;
    // What --help prints.
    virtual const char* usage() const = 0;
    // Takes the program's argument, the defaults of all requests: JSON, or empty.
    virtual void configure(std::string_view argument) = 0;
    // Does once, before the program is frozen, what would be done again for each request.
    virtual void warm_up() {}
    virtual kvm::Response answer(const kvm::Request& request) = 0;
    // The header of the request that the last answer, or what was refused, depends on: it is its Vary. Null: none.
    virtual const char* varies_by() const { return nullptr; }
    // The same on a terminal: from the input to the output. May print to standard error.
    virtual std::string convert(const std::string& input) = 0;
};

// The main() of a program:  NAME [JSON [FILE]] >RESULT  on a terminal, and serves requests in the sandbox. Status 1 is
// an Error of convert(), 2 a wrong argument or a file that cannot be read or written.
int run(Program& program, int argc, char** argv);

// The Error of a GET to a program that only works on what it is sent.
void want_body(const kvm::Request& request, const char* what);

}  // namespace gallery
