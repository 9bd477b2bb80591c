// The frames of GDB's remote protocol: $TEXT#CHECKSUM, and bytes between them. Numbers and bytes in hexadecimal.
// Source: "Debugging with GDB", appendix E.
//
// Thread safety: plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/printable.hpp"

namespace tinykvm::debug {

// Takes the bytes that a debugger sends apart, one by one. It never holds more than one packet of max_size.
class GdbPacketReader {
  public:
    static constexpr std::size_t max_size = 0x4000;

    enum class Event {
        none,    // more bytes have to come
        packet,  // text() is one
        wrong,   // there was one, but its checksum is wrong or it is too long
        pause,   // Ctrl-C
        rubbish  // this is no debugger: it sends what the protocol does not have between packets
    };
    Event take(char byte);
    const std::string& text() const { return text_; }

  private:
    enum class State { between, in_text, in_checksum };
    Event end_of_packet();

    State state_ = State::between;
    std::string text_;
    bool too_long_ = false;
    std::uint8_t sum_ = 0;
    std::string checksum_;
};

// A text as a packet.
std::string gdb_packet(std::string_view text);
// Bytes of a binary answer, in which some have to be escaped.
std::string gdb_escape(std::string_view bytes);

// Nothing when a digit is wrong or missing.
std::optional<std::vector<std::byte>> from_hex(std::string_view text);
// A number without leading zeros.
std::string hex_number(std::uint64_t value);
// Takes a number, and the character after it, off the front of a text. 0 when there is none.
std::uint64_t take_hex_number(std::string_view& text);

}  // namespace tinykvm::debug
