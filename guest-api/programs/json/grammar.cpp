// SPDX-License-Identifier: BSD-2-Clause
#include "grammar.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

namespace json {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hexadecimal(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_between(char c, int first, int last) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= first && byte <= last;
}

// May some bytes more be read after the text, whatever they are? The parser wants to, and copies a text where it may
// not: here, where it ends near the end of a page.
bool is_padded(std::string_view text) {
    constexpr std::uintptr_t page = 4096;
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(text.data() + text.size());
    return !text.empty() && (end - 1) % page + simdjson::SIMDJSON_PADDING < page;
}

// How many bytes of `text` are its first character as UTF-8; 0 when they are none.
std::size_t length_of_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return 1;
    const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || length > text.size()) return 0;
    // Neither more bytes than are needed, nor surrogates, nor more than U+10FFFF.
    const int first = lead == 0xE0   ? 0xA0
                      : lead == 0xF0 ? 0x90
                                     : 0x80,
              last = lead == 0xED   ? 0x9F
                     : lead == 0xF4 ? 0x8F
                                    : 0xBF;
    if (!is_between(text[1], first, last)) return 0;
    for (std::size_t i = 2; i < length; i++) {
        if (!is_between(text[i], 0x80, 0xBF)) return 0;
    }
    return length;
}

// Reads a text from its beginning until it is no longer JSON. What is open is remembered as a bit, so that depth is
// only limited by memory, and never by the stack.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool read_document() {
        if (text_.starts_with("\xef\xbb\xbf")) return fail("a byte order mark is not a part of JSON");
        bool has_value = false;
        do {
            if (!has_value && !begin_value(has_value)) return false;
            if (has_value && !end_value(has_value)) return false;
        } while (!has_value || !is_object_.empty());
        return skip_space() ? fail("something follows the end of the document") : true;
    }

    Fault fault() const {
        const auto end = text_.begin() + static_cast<std::ptrdiff_t>(at_);
        return {static_cast<std::size_t>(std::count(text_.begin(), end, '\n')) + 1, what_};
    }

  private:
    bool fail(const char* what) {
        what_ = what;
        return false;
    }

    // Is something left?
    bool skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
            at_++;
        return at_ < text_.size();
    }
    bool take(char c) {
        if (at_ == text_.size() || text_[at_] != c) return false;
        at_++;
        return true;
    }
    bool take(std::string_view word) {
        if (!text_.substr(at_).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }

    // A value, or the beginning of an array or object with its first key; is the value complete?
    bool begin_value(bool& is_complete) {
        is_complete = true;
        if (!skip_space()) return fail("the document ends where a value should be");
        if (text_[at_] == '"') return read_string();
        if (text_[at_] == '-' || is_digit(text_[at_])) return read_number();
        if (take("true") || take("false") || take("null")) return true;
        const bool is_object = text_[at_] == '{';
        if (!take('[') && !take('{')) return fail("there is no value here");
        skip_space();
        if (take(is_object ? '}' : ']')) return true;
        is_complete = false;
        is_object_.push_back(is_object);
        return !is_object || read_key();
    }

    // What follows a value in an array or object: its end, which is the end of a value, too; or the next key.
    bool end_value(bool& is_complete) {
        if (is_object_.empty()) return true;
        const bool is_object = is_object_.back();
        if (!skip_space()) return fail(is_object ? "the document ends in an object" : "the document ends in an array");
        if (take(is_object ? '}' : ']')) {
            is_object_.pop_back();
            return true;
        }
        if (!take(',')) return fail(is_object ? "there is no comma or } here" : "there is no comma or ] here");
        is_complete = false;
        return !is_object || read_key();
    }

    bool read_key() {
        if (!skip_space()) return fail("the document ends in an object");
        if (text_[at_] != '"') return fail("there is no key here: a string");
        if (!read_string()) return false;
        skip_space();
        return take(':') || fail("there is no colon after the key");
    }

    bool read_string() {
        for (at_++; at_ < text_.size();) {
            const char c = text_[at_];
            if (c == '"') {
                at_++;
                return true;
            }
            if (c == '\\') {
                if (!read_escape()) return false;
                continue;
            }
            if (is_between(c, 0, 0x1F)) return fail("a string has a control character or the end of a line in it");
            const std::size_t length = length_of_character(text_.substr(at_));
            if (length == 0) return fail("a string is not UTF-8");
            at_ += length;
        }
        return fail("the document ends in a string");
    }

    bool read_escape() {
        const std::string_view escape = text_.substr(at_, 6);
        const bool is_character =
            escape.size() == 6 && escape[1] == 'u' && std::all_of(escape.begin() + 2, escape.end(), is_hexadecimal);
        const bool is_short =
            escape.size() > 1 && std::string_view("\"\\/bfnrt").find(escape[1]) != std::string_view::npos;
        if (!is_character && !is_short) return fail("a string has a \\ that begins nothing");
        at_ += is_character ? 6 : 2;
        return true;
    }

    bool read_digits() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_digit(text_[at_])) at_++;
        return at_ > begin;
    }

    bool read_number() {
        take('-');
        const bool has_whole = take('0') || read_digits();
        const bool has_fraction = !take('.') || read_digits();
        bool has_exponent = true;
        if (take('e') || take('E')) {
            if (!take('-')) take('+');
            has_exponent = read_digits();
        }
        return (has_whole && has_fraction && has_exponent) || fail("a number misses a digit");
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<bool> is_object_;  // of all that is open
    const char* what_ = "";
};

}  // namespace

std::optional<Fault> find_fault(std::string_view text) {
    Reader reader(text);
    return reader.read_document() ? std::nullopt : std::optional(reader.fault());
}

std::optional<Fault> Validator::find_fault(std::string_view text) {
    // Later versions of simdjson pass over a byte order mark.
    if (!text.starts_with("\xef\xbb\xbf") &&
        parser_.parse(text.data(), text.size(), !is_padded(text)).error() == simdjson::SUCCESS) {
        return std::nullopt;
    }
    return json::find_fault(text);
}

}  // namespace json
