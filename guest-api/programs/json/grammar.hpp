// SPDX-License-Identifier: BSD-2-Clause
// Is a text JSON (RFC 8259), and if not, where does it end to be?
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace json {

struct Fault {
    std::size_t line;  // the first is 1
    std::string what;
};

// JSON as its grammar has it: numbers of any size, documents of any depth, halves of surrogate pairs. simdjson's parser
// has limits for all of these and does not say where it met a fault, so it only decides what it accepts. Its buffers
// are grown before the program is frozen, and then serve every request.
class Validator {
  public:
    std::optional<Fault> find_fault(std::string_view text);

  private:
    simdjson::dom::parser parser_;
};

// The same without simdjson.
std::optional<Fault> find_fault(std::string_view text);

}  // namespace json
