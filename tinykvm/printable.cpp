#include "tinykvm/printable.hpp"

#include <algorithm>

namespace tinykvm {

namespace {

// A character of Unicode as it stands at the beginning of a text: how many bytes, and which. No bytes: it is not UTF-8.
struct Character {
    std::size_t size = 0;
    char32_t code = 0;
};

Character first_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    if (lead < 0x80) return {1, lead};
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
    char32_t code = lead & (0xFFU >> (size + 1));
    for (const char c : text.substr(1, size - 1)) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte & 0xC0) != 0x80) return {};
        code = code << 6 | (byte & 0x3FU);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < least[size] || code > 0x10FFFF || surrogate) return {};
    return {size, code};
}

bool prints(char32_t code) {
    const auto within = [code](char32_t first, char32_t last) { return code >= first && code <= last; };
    if (code < 0x20 || within(0x7F, 0x9F)) return false;  // control characters
    if (within(0x2028, 0x2029)) return false;             // separators of lines and paragraphs
    return !(within(0x200E, 0x200F) || within(0x202A, 0x202E) || within(0x2066, 0x2069) || code == 0x61C ||
             code == 0xFEFF);  // directions, and the mark of byte order
}

std::string escaped(std::string_view bytes) {
    static constexpr char digits[] = "0123456789ABCDEF";
    if (bytes == "\n") return "\\n";
    if (bytes == "\t") return "\\t";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max) {
    std::string out;
    while (!text.empty()) {
        const Character character = first_character(text);
        const std::size_t size = std::max<std::size_t>(character.size, 1);
        const std::string_view bytes = text.substr(0, size);
        const std::string piece = character.size != 0 && prints(character.code) ? std::string(bytes) : escaped(bytes);
        if (piece.size() > max - out.size()) return out + "...";
        out += piece;
        text.remove_prefix(size);
    }
    return out;
}

std::string printable_lines(std::string_view text) {
    std::string out;
    for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
        out += printable(text.substr(0, end), std::string::npos) + "\n";
    return out + printable(text, std::string::npos);
}

std::string to_hex(const void* data, std::size_t size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
        const auto byte = static_cast<const unsigned char*>(data)[i];
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

}  // namespace tinykvm
