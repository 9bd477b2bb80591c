#include "src/base/http_field.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "src/base/ascii.hpp"
#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

bool is_token_char(char c) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
    return alphanumeric || (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// "bytes 0-4/10", "bytes 0-4/*" or "bytes */10", with numbers that make sense.
bool is_content_range(std::string_view value) {
    constexpr std::string_view unit = "bytes ";
    if (!same_name(value.substr(0, unit.size()), unit)) {
        return false;
    }
    value.remove_prefix(unit.size());
    // Takes a number of at most 18 digits, which always fits into 64 bits, and the text that has to follow it.
    const auto number = [&value](std::string_view next) -> std::int64_t {
        constexpr std::size_t most_digits = 18;
        std::int64_t result = -1;
        const char* end = value.data() + std::min(value.size(), most_digits);
        const auto [stop, error] = std::from_chars(value.data(), end, result);
        value.remove_prefix(static_cast<std::size_t>(stop - value.data()));
        if (error != std::errc() || !value.starts_with(next)) {
            return -1;
        }
        value.remove_prefix(next.size());
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

// Values that make Varnish 7.1 end its process, from whichever backend they come: in VRG_CheckBo() for ranges of
// another unit than bytes, or of which nothing is known; in VRY_Create() for a name of which the length with a colon
// does not fit in a char.
bool is_known_to_varnish(const HttpField& field) {
    if (field.is("Content-Range")) {
        return is_content_range(field.value);
    }
    if (field.is("Vary")) {
        std::size_t length = 0;
        return std::none_of(field.value.begin(), field.value.end(), [&length](char c) {
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

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return to_lower(x) == to_lower(y); });
}

std::optional<HttpField> HttpField::split(std::string_view line) {
    constexpr std::string_view white_space = " \t";
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(white_space), value.size()));
    value.remove_suffix(value.size() - (value.find_last_not_of(white_space) + 1));
    return HttpField{line.substr(0, colon), value};
}

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(':')); }

std::optional<HttpField> parse_field(std::string_view line, std::string& why) {
    if (line.size() > max_field_bytes) {
        why = "is longer than " + std::to_string(max_field_bytes) + " bytes";
        return std::nullopt;
    }
    const auto field = HttpField::split(line);
    if (!field) {
        why = "has no colon: ";
    } else if (!is_field_name(field->name)) {
        why = "has a name that is not a token of at most " + std::to_string(max_field_name_bytes) + " bytes: ";
    } else if (!is_field_value(field->value)) {
        why = "has a control character in its value: ";
    } else if (!is_known_to_varnish(*field)) {
        why = "has a value that is none Varnish takes: ";
    } else {
        return field;
    }
    why += printable(line, 80);
    return std::nullopt;
}

std::optional<std::string_view> field_value(std::span<const std::string_view> lines, std::string_view name) {
    for (const std::string_view line : lines) {
        const auto field = HttpField::split(line);
        if (field && field->is(name)) {
            return field->value;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> parse_length(std::string_view text) {
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(length) : std::nullopt;
}

bool is_in_list(std::string_view list, std::string_view name) {
    constexpr std::string_view between = ", \t";
    for (std::size_t begin = list.find_first_not_of(between); begin != std::string_view::npos;) {
        const std::size_t end = std::min(list.find_first_of(between, begin), list.size());
        if (same_name(list.substr(begin, end - begin), name)) {
            return true;
        }
        begin = list.find_first_not_of(between, end);
    }
    return false;
}

bool is_framing_field(std::string_view name) {
    static constexpr std::array<std::string_view, 9> names = {
        "Content-Length", "Transfer-Encoding", "Connection",        "Keep-Alive", "Proxy-Connection", "TE",
        "Trailer",        "Upgrade",           "Proxy-Authenticate"};
    return std::any_of(names.begin(), names.end(), [&](auto one) { return same_name(one, name); });
}

}  // namespace tinykvm::host
