// The host's side of a connection to a server in a guest, without a guest.
#include "src/http/server_connection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::host {
namespace {

constexpr std::size_t most_early = 1 << 20;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// All that the server can read now.
std::string taken_from(ServerConnection& connection) {
    std::string text;
    while (const auto data = connection.next()) {
        text.append(reinterpret_cast<const char*>(data->data()), data->size());
        connection.take(data->size());
    }
    return text;
}

// A fork compares this with what its snapshot has seen of another connection: the same number would be a change that
// the server never learns of.
TEST(ServerConnectionTest, NoNumberOfChangesComesTwice) {
    ServerConnection before, after;
    std::uint64_t last = 0;
    for (ServerConnection* connection : {&before, &after, &before, &after}) {
        const auto expect_new = [&] {
            EXPECT_GT(connection->changes(), last);
            last = connection->changes();
        };
        connection->begin("GET / HTTP/1.1\r\n\r\n", ResponseParser::To::other, most_early);
        expect_new();
        connection->give({}, false, true);
        expect_new();
        std::vector<std::byte> body;
        connection->take_body(body);
        expect_new();
        connection->adopt(0);
        expect_new();
    }
}

// A fork's VM has the connection that its program had when it was frozen. If the server closes it before it has taken
// anything, the request goes on a new one.
TEST(ServerConnectionTest, AnAdoptedConnectionIsUsedUntilTheServerDropsIt) {
    ServerConnection of_boot, connection;
    of_boot.open();
    EXPECT_EQ(of_boot.kept(), 0u);
    of_boot.accept();
    const std::uint64_t number = of_boot.kept();
    EXPECT_EQ(number, of_boot.connection());
    of_boot.open();
    EXPECT_EQ(of_boot.kept(), number);

    connection.adopt(number);
    EXPECT_EQ(connection.kept(), number);
    connection.begin("HEAD", ResponseParser::To::other, most_early);
    connection.give({}, false, true);
    EXPECT_EQ(connection.connection(), number);
    EXPECT_TRUE(connection.is_accepted());
    connection.end_output();
    EXPECT_TRUE(connection.was_dropped());
    connection.finish();
    connection.begin("HEAD", ResponseParser::To::other, most_early);
    EXPECT_GT(connection.connection(), number);
    EXPECT_FALSE(connection.is_accepted());

    connection.adopt(number);
    connection.begin("HEAD", ResponseParser::To::other, most_early);
    connection.give({}, false, true);
    EXPECT_EQ(taken_from(connection), "HEAD");
    EXPECT_THROW(connection.end_output(), Failure);
    connection.adopt(0);
    EXPECT_EQ(connection.kept(), 0u);
}

TEST(ServerConnectionTest, BodiesGoAsTheyAreOrInChunks) {
    ServerConnection connection;
    connection.begin("HEAD", ResponseParser::To::other, most_early);
    EXPECT_NE(connection.connection(), 0u);
    EXPECT_FALSE(connection.is_accepted());
    connection.give(bytes_of("some words"), true, false);
    EXPECT_EQ(taken_from(connection), "HEADa\r\nsome words\r\n");
    EXPECT_TRUE(connection.is_taken());
    connection.give(bytes_of("more"), true, true);
    EXPECT_EQ(taken_from(connection), "4\r\nmore\r\n0\r\n\r\n");
    connection.finish();
    connection.begin("HEAD", ResponseParser::To::other, most_early);
    connection.give(bytes_of("as it is"), false, true);
    EXPECT_EQ(taken_from(connection), "HEADas it is");
}

TEST(ServerConnectionTest, TheRestOfWhatWasGivenCanBeMoved) {
    ServerConnection connection;
    std::string text = "0123456789";
    connection.begin("", ResponseParser::To::other, most_early);
    connection.accept();
    connection.give(bytes_of(text), false, false);
    connection.take(3);
    const std::string copy = std::exchange(text, "what is not sent");
    connection.move_data(bytes_of(copy));
    EXPECT_EQ(taken_from(connection), "3456789");
    connection.move_data(bytes_of(copy));
    EXPECT_TRUE(connection.is_taken());
}

TEST(ServerConnectionTest, ConnectionStaysWhenTheServerKeepsIt) {
    ServerConnection connection;
    const auto answer = [&](std::string_view text) {
        connection.begin("GET", ResponseParser::To::other, most_early);
        const std::uint64_t number = connection.connection();
        connection.accept();
        connection.give({}, false, true);
        taken_from(connection);
        connection.write(bytes_of(text));
        EXPECT_TRUE(connection.wants_turn());
        connection.finish();
        return number;
    };
    const std::uint64_t first = answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), first);
    const std::uint64_t second = answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nand more");
    EXPECT_GT(second, first);
    EXPECT_GT(answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), second);
}

// After a 101 the connection is one of bytes: bounded in both directions, until either side ends its own.
TEST(ServerConnectionTest, AnUpgradedConnectionCarriesBytesBothWays) {
    ServerConnection connection;
    connection.begin("GET", ResponseParser::To::upgrade, most_early);
    connection.accept();
    connection.give({}, false, true);
    taken_from(connection);
    EXPECT_FALSE(connection.may_wait() || connection.may_sleep());
    connection.write(bytes_of("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    EXPECT_TRUE(connection.wants_turn() && connection.may_wait() && connection.may_sleep());

    EXPECT_EQ(connection.next(), std::nullopt);
    connection.send(bytes_of("to the server"), false);
    EXPECT_FALSE(connection.is_taken());
    EXPECT_EQ(taken_from(connection), "to the server");
    EXPECT_TRUE(connection.is_taken());

    EXPECT_EQ(connection.room(), ServerConnection::piece_size);
    connection.write(std::vector<std::byte>(connection.room()));
    EXPECT_EQ(connection.room(), 0u);
    std::vector<std::byte> output;
    connection.take_body(output);
    EXPECT_EQ(output.size(), ServerConnection::piece_size);
    EXPECT_EQ(connection.room(), ServerConnection::piece_size);

    std::string delivered;
    const ServerConnection::Taker taker = [&](std::span<const std::byte> data) {
        const std::size_t size = std::min<std::size_t>(data.size(), 5);
        delivered.append(reinterpret_cast<const char*>(data.data()), size);
        return size;
    };
    connection.deliver_to(&taker);
    connection.take_count();
    connection.write(bytes_of("some"));
    EXPECT_FALSE(connection.wants_turn()) << "the client has it all";
    connection.write(bytes_of(" words"));
    connection.write(bytes_of(" more"));
    EXPECT_EQ(delivered, "some word");
    EXPECT_EQ(connection.answer().body().size(), 6u) << "in order, so nothing is given past what was left";
    EXPECT_EQ(connection.take_count(), 15u);
    connection.take_body(output);
    connection.deliver_to(nullptr);

    connection.send({}, true);
    ASSERT_TRUE(connection.next().has_value());
    EXPECT_TRUE(connection.next()->empty()) << "the client has ended its side";
    connection.write(bytes_of("last words"));
    connection.end_output();
    EXPECT_TRUE(connection.answer().is_done());
    EXPECT_EQ(connection.answer().body().size(), 10u);
    connection.finish();
    EXPECT_EQ(connection.connection(), 0u) << "no request goes on it any more";
    EXPECT_EQ(connection.next(), std::nullopt);
}

}  // namespace
}  // namespace tinykvm::host
