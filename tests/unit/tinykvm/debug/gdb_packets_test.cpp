// The frames of GDB's protocol.
#include "tinykvm/debug/gdb_packets.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tinykvm::debug {
namespace {

using Event = GdbPacketReader::Event;

// What comes of the bytes, but for `none`: "packet TEXT", "wrong", "pause", "rubbish".
std::vector<std::string> events(const std::string& bytes) {
    GdbPacketReader reader;
    std::vector<std::string> found;
    for (const char byte : bytes) {
        switch (reader.take(byte)) {
            case Event::none: break;
            case Event::packet: found.push_back("packet " + reader.text()); break;
            case Event::wrong: found.emplace_back("wrong"); break;
            case Event::pause: found.emplace_back("pause"); break;
            case Event::rubbish: found.emplace_back("rubbish"); break;
        }
    }
    return found;
}

using Events = std::vector<std::string>;

TEST(GdbPacketReader, TakesPacketsAndPauses) {
    EXPECT_EQ(events("+$g#67\3$?#3f-"), (Events{"packet g", "pause", "packet ?"}));
    EXPECT_EQ(events("$#00"), Events{"packet "});
    EXPECT_EQ(events("$\3#03"), Events{"packet \3"});
}

TEST(GdbPacketReader, NoticesWrongChecksums) {
    EXPECT_EQ(events("$g#68$g#67"), (Events{"wrong", "packet g"}));
    EXPECT_EQ(events("$g#xx"), Events{"wrong"});
    EXPECT_EQ(events("$g##7"), Events{"wrong"});
}

TEST(GdbPacketReader, APacketWithoutAnEndIsForgottenWhenTheNextBegins) {
    EXPECT_EQ(events("$qSupp$g#67"), Events{"packet g"});
    EXPECT_EQ(events("$g"), Events{});
    EXPECT_EQ(events("$g#6"), Events{});
}

TEST(GdbPacketReader, HoldsNoMoreThanOnePacket) {
    const std::string longest(GdbPacketReader::max_size, 'a'), packet = gdb_packet(longest);
    EXPECT_EQ(events(packet), Events{"packet " + longest});
    EXPECT_EQ(events(gdb_packet(longest + "a") + "$g#67"), (Events{"wrong", "packet g"}));
}

TEST(GdbPacketReader, OtherBytesAreRubbish) { EXPECT_EQ(events("GET"), (Events{"rubbish", "rubbish", "rubbish"})); }

TEST(GdbPackets, Hexadecimal) {
    EXPECT_EQ(gdb_packet("OK"), "$OK#9a");
    EXPECT_EQ(gdb_escape("a}b#$*"), "a}]b}\3}\4}\n");
    EXPECT_EQ(to_hex("\x01z"), "017a");
    EXPECT_EQ(from_hex("017A"), (std::vector<std::byte>{std::byte{1}, std::byte{0x7A}}));
    EXPECT_EQ(from_hex(""), std::vector<std::byte>());
    EXPECT_FALSE(from_hex("1"));
    EXPECT_FALSE(from_hex("1g"));
    EXPECT_FALSE(from_hex("-1"));
    EXPECT_EQ(hex_number(0), "0");
    EXPECT_EQ(hex_number(~std::uint64_t{0}), "ffffffffffffffff");
}

TEST(GdbPackets, NumbersAreTakenOff) {
    std::string_view text = "10,x,fffffffffffffffff;";
    EXPECT_EQ(take_hex_number(text), 16u);
    EXPECT_EQ(text, "x,fffffffffffffffff;");
    EXPECT_EQ(take_hex_number(text), 0u);
    EXPECT_EQ(take_hex_number(text), 0u);
    text = "";
    EXPECT_EQ(take_hex_number(text), 0u);
}

}  // namespace
}  // namespace tinykvm::debug
