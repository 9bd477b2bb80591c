// Rules for HTTP header fields that come from a guest: nothing it says may break the framing of a message or
// smuggle in a second one.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tinykvm::host {

inline constexpr std::size_t max_field_bytes = 8192;  // "Name: value"
// Varnish keeps the length of a name with the colon in a char, and ends the process when that is negative
// (http_IsHdr()).
inline constexpr std::size_t max_field_name_bytes = 126;
inline constexpr std::size_t max_fields = 64;  // a program may add to a message
inline constexpr std::size_t max_fields_bytes = 32768;

// Of RFC 9110.
bool is_token(std::string_view text);
// A token of at most max_field_name_bytes.
bool is_field_name(std::string_view text);
// No control characters but the horizontal tab; bytes above 127 are allowed.
bool is_field_value(std::string_view text);

// The name in "Name: value", which need not be a valid one.
std::string_view name_of(std::string_view line);

struct FieldParts {
    std::string_view name, value;  // value without the white space around it
};
// Takes "Name: value" apart. Nullopt, and the reason in `why`, when it may not become part of a message.
std::optional<FieldParts> parse_field(std::string_view line, std::string& why);

bool same_name(std::string_view a, std::string_view b);  // without regard to case

// Fields that describe one hop or the body's framing: only the host sets them.
bool is_framing_field(std::string_view name);

}  // namespace tinykvm::host
