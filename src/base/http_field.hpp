// HTTP header fields, and the rules for those that come from a guest: nothing it says may break the framing of a
// message or smuggle in a second one.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tinykvm::host {

inline constexpr std::size_t max_field_bytes = 8192;  // "Name: value"
// Varnish keeps the length of a name with the colon in a char, and ends the process when that is negative
// (http_IsHdr()).
inline constexpr std::size_t max_field_name_bytes = 126;
inline constexpr std::size_t max_fields = 64;  // so many fields a program may add to a message
inline constexpr std::size_t max_fields_bytes = 32768;

// A token as RFC 9110 defines it.
bool is_token(std::string_view text);
// A token of at most max_field_name_bytes.
bool is_field_name(std::string_view text);
// No control characters but the horizontal tab; bytes above 127 are allowed.
bool is_field_value(std::string_view text);

bool same_name(std::string_view a, std::string_view b);  // without regard to case

// "Name: value" taken apart, as views of the line.
struct HttpField {
    std::string_view name, value;  // value without the white space around it

    // Nullopt when the line has no colon. Nothing else is checked.
    static std::optional<HttpField> split(std::string_view line);
    bool is(std::string_view other) const { return same_name(name, other); }
};

// What is before the colon of a line, or the whole line when it has none. It need not be a valid name.
std::string_view name_of(std::string_view line);
// Has the line that name?
inline bool is_field(std::string_view line, std::string_view name) { return same_name(name_of(line), name); }

// The value of the first of these fields that has the name.
std::optional<std::string_view> field_value(std::span<const std::string_view> lines, std::string_view name);

// Takes a line apart that is to become part of a message. Nullopt, and the reason in `why`, when it may not.
[[nodiscard]] std::optional<HttpField> parse_field(std::string_view line, std::string& why);

// The value of Content-Length; nullopt when it is no number.
std::optional<std::uint64_t> parse_length(std::string_view text);

// Is the name among those of a list, as the value of Connection is one: "close, X-Hop"?
bool is_in_list(std::string_view list, std::string_view name);

// Fields that describe one hop or the body's framing: only the host sets them.
bool is_framing_field(std::string_view name);

}  // namespace tinykvm::host
