// SPDX-License-Identifier: BSD-2-Clause
// Changes and searches JSON as it is written: numbers, escapes and the order of keys stay what they are. All of this
// takes a document that is known to be JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace json {

// Without its white space.
std::string minified(std::string_view document);

// With a line for each value, and so many spaces for each level; at most `most` levels, else nothing.
std::optional<std::string> indented(std::string_view document, int indent, std::size_t most);

// A JSON pointer (RFC 6901): the names and indexes on the way to a value.
using Pointer = std::vector<std::string>;

// Nothing when it is none.
std::optional<Pointer> parse_pointer(std::string_view text);

// The value there, as it is written; nothing when there is none. Of a key that an object has several times, the last
// one counts, as it does for most parsers.
std::optional<std::string_view> find(std::string_view document, const Pointer& pointer);

}  // namespace json
