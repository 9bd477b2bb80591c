#include "src/base/field.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_token_char(char c) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    return alphanumeric || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// "bytes 0-4/10", "bytes 0-4/*" or "bytes */10", with numbers that make sense.
bool is_content_range(std::string_view value) {
    constexpr std::string_view unit = "bytes ";
    if (!same_name(value.substr(0, unit.size()), unit)) {
        return false;
    }
    value.remove_prefix(unit.size());
    // A number of at most 18 digits, which no integer of 64 bits minds, and what has to be behind it.
    const auto number = [&value](std::string_view behind) -> std::int64_t {
        constexpr std::size_t most_digits = 18;
        std::int64_t result = -1;
        const char* end = value.data() + std::min(value.size(), most_digits);
        const auto [stop, error] = std::from_chars(value.data(), end, result);
        value.remove_prefix(static_cast<std::size_t>(stop - value.data()));
        if (error != std::errc() || !value.starts_with(behind)) {
            return -1;
        }
        value.remove_prefix(behind.size());
        return result;
    };
    if (value.starts_with("*/")) {
        value.remove_prefix(2);
        return number("") > 0 && value.empty();
    }
    const std::int64_t first = number("-"), last = number("/");
    if (first < 0 || last < first) {
        return false;
    }
    return value == "*" || (number("") > last && value.empty());
}

// What Varnish 7.1 ends for, whoever its backend is: in VRG_CheckBo() for ranges of another unit than bytes, or of
// which nothing is known; in VRY_Create() for a name of which the length with a colon does not fit in a char.
bool is_known_to_varnish(const FieldParts& parts) {
    if (same_name(parts.name, "Content-Range")) {
        return is_content_range(parts.value);
    }
    if (same_name(parts.name, "Vary")) {
        std::size_t length = 0;
        return std::none_of(parts.value.begin(), parts.value.end(), [&length](char c) {
            length = c == ',' || c == ' ' || c == '\t' ? 0 : length + 1;
            return length > max_field_name_bytes;
        });
    }
    return true;
}

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char); }

bool is_field_name(std::string_view text) { return text.size() <= max_field_name_bytes && is_token(text); }

bool is_field_value(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7F;
    });
}

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(':')); }

std::optional<FieldParts> parse_field(std::string_view line, std::string& why) {
    if (line.size() > max_field_bytes) {
        why = "is longer than " + std::to_string(max_field_bytes) + " bytes";
        return std::nullopt;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        why = "has no colon: " + printable(line, 80);
        return std::nullopt;
    }
    FieldParts parts{line.substr(0, colon), line.substr(colon + 1)};
    if (!is_field_name(parts.name)) {
        why = "has a name that is not a token of at most " + std::to_string(max_field_name_bytes) +
              " bytes: " + printable(line, 80);
        return std::nullopt;
    }
    if (!is_field_value(parts.value)) {
        why = "has a control character in its value: " + printable(line, 80);
        return std::nullopt;
    }
    const std::size_t begin = std::min(parts.value.find_first_not_of(" \t"), parts.value.size());
    parts.value.remove_prefix(begin);
    const std::size_t last = parts.value.find_last_not_of(" \t");
    parts.value = parts.value.substr(0, last == std::string_view::npos ? 0 : last + 1);
    if (!is_known_to_varnish(parts)) {
        why = "has a value that is none Varnish takes: " + printable(line, 80);
        return std::nullopt;
    }
    return parts;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_framing_field(std::string_view name) {
    static constexpr std::array<std::string_view, 9> names = {
        "Content-Length", "Transfer-Encoding", "Connection",        "Keep-Alive", "Proxy-Connection", "TE",
        "Trailer",        "Upgrade",           "Proxy-Authenticate"};
    return std::any_of(names.begin(), names.end(), [&](auto one) { return same_name(one, name); });
}

}  // namespace tinykvm::host
