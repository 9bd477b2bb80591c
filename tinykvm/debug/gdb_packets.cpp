#include "tinykvm/debug/gdb_packets.hpp"

#include <algorithm>
#include <charconv>

namespace tinykvm::debug {

namespace {

constexpr char ctrl_c = 3;

std::uint8_t add(std::uint8_t sum, char byte) {
    return static_cast<std::uint8_t>(sum + static_cast<unsigned char>(byte));
}

}  // namespace

GdbPacketReader::Event GdbPacketReader::take(char byte) {
    switch (state_) {
        case State::between:
            if (byte == ctrl_c) return Event::pause;
            if (byte == '+' || byte == '-') return Event::none;  // whether it has got what it was sent
            if (byte != '$') return Event::rubbish;
            state_ = State::in_text;
            text_.clear();
            checksum_.clear();
            too_long_ = false;
            sum_ = 0;
            return Event::none;
        case State::in_text:
            if (byte == '#') {
                state_ = State::in_checksum;
            } else if (byte == '$') {  // the end of the last one was lost
                state_ = State::between;
                return take(byte);
            } else if (text_.size() == max_size) {
                too_long_ = true;
            } else {
                text_ += byte;
                sum_ = add(sum_, byte);
            }
            return Event::none;
        case State::in_checksum: checksum_ += byte; return checksum_.size() == 2 ? end_of_packet() : Event::none;
    }
    return Event::none;
}

GdbPacketReader::Event GdbPacketReader::end_of_packet() {
    state_ = State::between;
    const auto sum = from_hex(checksum_);
    return !too_long_ && sum && (*sum)[0] == std::byte{sum_} ? Event::packet : Event::wrong;
}

std::string gdb_packet(std::string_view text) {
    std::uint8_t sum = 0;
    for (const char c : text) sum = add(sum, c);
    return "$" + std::string(text) + "#" + to_hex(&sum, 1);
}

std::string gdb_escape(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const bool special = c == '#' || c == '$' || c == '}' || c == '*';
        if (special) text += '}';
        text += special ? static_cast<char>(c ^ 0x20) : c;
    }
    return text;
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
    std::vector<std::byte> bytes;
    if (text.size() % 2 != 0) return std::nullopt;
    for (; !text.empty(); text.remove_prefix(2)) {
        unsigned value = 0;
        if (std::from_chars(text.data(), text.data() + 2, value, 16).ptr != text.data() + 2) return std::nullopt;
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

std::string hex_number(std::uint64_t value) {
    char text[20];
    return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

std::uint64_t take_hex_number(std::string_view& text) {
    std::uint64_t value = 0;
    const char* const end = std::from_chars(text.data(), text.data() + text.size(), value, 16).ptr;
    text.remove_prefix(std::min<std::size_t>(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
    return value;
}

}  // namespace tinykvm::debug
