// The connection of a gdb: it is waited for at a port of 127.0.0.1, which is closed as soon as there is one.
//
// Thread safety: one thread at a time. Nothing here waits longer than it is told to. Errors: MachineError when the port
// cannot be had; what is wrong with a connection ends it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tinykvm/debug/gdb_packets.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::debug {

class GdbConnection {
  public:
    // Asked some times a second: is it of no use to wait any longer?
    using IsPointless = std::function<bool()>;

    // Listens at 127.0.0.1. Port 0: any that is free.
    explicit GdbConnection(std::uint16_t port);
    std::uint16_t port() const { return port_; }
    // False when none has connected until then.
    bool accept(Deadline until, const IsPointless& is_pointless);

    explicit operator bool() const { return static_cast<bool>(socket_); }
    void close() { socket_ = {}; }
    // The next packet; nullopt when there is none until then, or the connection is lost.
    std::optional<std::string> receive(Deadline until, const IsPointless& is_pointless);
    void send(std::string_view text);
    // From now on packets are not acknowledged, in either direction.
    void stop_acknowledging() { acknowledges_ = false; }
    // Without waiting: has Ctrl-C been pressed since this was asked last, or is the connection lost?
    bool take_pause();

  private:
    bool read_more(int flags);
    std::optional<std::string> next_packet();
    void send_all(std::string_view bytes);

    FileDescriptor listening_, socket_;
    std::uint16_t port_ = 0;
    bool acknowledges_ = true;
    GdbPacketReader reader_;
    std::string received_;  // and not read yet
    bool pause_ = false;
};

}  // namespace tinykvm::debug
