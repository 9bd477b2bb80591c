// GDB's remote serial protocol: one debugger that connects over the loopback interface.
// Source: "Debugging with GDB", appendix E.
//
// Owner: the command that runs the machine. Thread safety: the thread that runs the guest. Errors: MachineError.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tinykvm/debug/debugger.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::debug {

class GdbServer final : public Debugger {
  public:
    // Listens at 127.0.0.1. Port 0: any that is free.
    explicit GdbServer(std::uint16_t port);
    std::uint16_t port() const { return port_; }
    // Waits until a debugger connects.
    void accept();

    Resume stopped(Target& target, int signal) override;
    bool has_breakpoint(GuestAddr address) const override { return breakpoints_.contains(address); }

    // Tells the debugger that the program has ended, by itself or by a signal.
    void exited(int status);
    void killed(int signal);

  private:
    // The answer to a packet; nullopt: the program goes on as resume_ says.
    std::optional<std::string> answer(Target& target, std::string_view packet);
    std::optional<std::string> query(Target& target, std::string_view packet);
    std::optional<std::string> resume(Target& target, std::string_view packet);
    std::string stop_reply(const Target& target) const;
    std::string all_registers(const Target& target) const;
    std::string set_all_registers(Target& target, std::string_view hex);
    std::string one_register(const Target& target, std::string_view packet) const;
    std::string set_one_register(Target& target, std::string_view packet);
    std::string read_memory(const Target& target, std::string_view packet) const;
    std::string write_memory(Target& target, std::string_view packet);
    std::string change_breakpoint(Target& target, std::string_view packet);

    std::optional<std::string> receive();
    std::optional<char> receive_byte();
    void send(std::string_view packet);

    FileDescriptor listening_, connection_;
    std::uint16_t port_ = 0;
    bool acknowledges_ = true;
    bool started_ = false;
    int signal_ = 0;
    int thread_ = 0;  // that registers are asked of
    Resume resume_ = Resume::go_on;
    std::map<GuestAddr, std::byte> breakpoints_;  // and what was there before
};

}  // namespace tinykvm::debug
