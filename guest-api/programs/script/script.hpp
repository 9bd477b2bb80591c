// SPDX-License-Identifier: BSD-2-Clause
// What the programs that run scripts have in common. A script is loaded before the program is frozen, and defines a
// function handle() that answers requests.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvm_api.hpp"

namespace script {

// What is wrong with a script or with what it returned, and where: "FILE:LINE: message" as far as there is a line.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// What handle() returned.
struct Answer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

// The header of a request: names in lower case, and for a name that is there several times its values with commas.
std::map<std::string, std::string> headers_of(const kvm::Request& request);

// A line in the log of the request, on Linux on standard error.
void log(std::string_view line);

// The Error of a script without handle().
[[noreturn]] void refuse_script(const std::string& file);
// The Error of a key that an answer does not have, and of one with a wrong value.
[[noreturn]] void refuse_key(std::string_view key);
[[noreturn]] void refuse_value(std::string_view key, std::string_view wanted);
int checked_status(double status);

// A language.
class Engine {
  public:
    virtual ~Engine() = default;

    // The name that the program has in messages.
    virtual const char* name() const = 0;
    // Runs the script, which is called `file` in messages. Throws Error.
    virtual void load(const std::string& file, const std::string& text, const std::vector<std::string>& arguments) = 0;
    // Calls handle(). Throws Error.
    virtual Answer answer(const kvm::Request& request) = 0;
};

// The main() of a program:  NAME FILE [ARGUMENT...]  or  NAME -e SCRIPT [ARGUMENT...]. In the sandbox it serves
// requests; on Linux it answers one, a POST of standard input to /, and prints the body of the answer.
int run(Engine& engine, int argc, char** argv);

}  // namespace script
