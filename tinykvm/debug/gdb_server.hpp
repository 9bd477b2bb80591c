// The server side of GDB's remote protocol, for one program and one debugger at a time.
// Source: "Debugging with GDB", appendix E.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/debug/breakpoints.hpp"
#include "tinykvm/debug/debugger.hpp"
#include "tinykvm/debug/gdb_connection.hpp"

namespace tinykvm::debug {

class GdbServer final : public Debugger {
  public:
    // What becomes of a program whose debugger is closed, or lost.
    enum class WithoutGdb { ends, goes_on };

    // Listens at 127.0.0.1; throws MachineError when that is not possible. Port 0: any that is free. A debugger may
    // have the program until `deadline`; later it is killed.
    GdbServer(std::uint16_t port, WithoutGdb without_gdb, Deadline deadline);
    std::uint16_t port() const { return connection_.port(); }
    // False when no debugger has connected until then.
    bool accept(Deadline until, const GdbConnection::IsPointless& is_pointless = nullptr) {
        return connection_.accept(until, is_pointless);
    }

    bool is_attached() const override { return static_cast<bool>(connection_); }
    Resume stopped(Target& target, int signal, Event event) override;
    bool has_breakpoint(GuestAddr address) const override { return breakpoints_.contains(address); }
    bool wants_stop() override;
    Deadline deadline() const override { return deadline_; }
    void let_go(Target& target) override;

    // Tells the debugger that the program has ended, by itself or by a signal, and lets it go.
    void exited(int status);
    void killed(int signal);
    // Shows a line on the debugger's console.
    void print(std::string_view line);

  private:
    struct Watchpoint {
        GuestAddr address = 0;
        std::vector<std::byte> last;  // what was there when it was looked at last
    };

    // The answer to a packet; nullopt: the program goes on as resume_ says.
    std::optional<std::string> answer(Target& target, std::string_view packet);
    std::string query(Target& target, std::string_view packet);
    std::optional<std::string> resume(Target& target, std::string_view packet);
    std::string stop_reply(const Target& target) const;
    int selected_thread(const Target& target) const;
    std::string all_registers(const Target& target) const;
    std::string set_all_registers(Target& target, std::string_view packet);
    std::string one_register(const Target& target, std::string_view packet) const;
    std::string set_one_register(Target& target, std::string_view packet);
    std::string read_memory(const Target& target, std::string_view packet) const;
    std::string write_memory(Target& target, std::string_view packet);
    std::string change_breakpoint(Target& target, std::string_view packet);
    std::string change_watchpoint(const Target& target, bool insert, GuestAddr address, std::uint64_t size);
    // Steps for watchpoints until one changes. True: the program has to make one more step.
    bool goes_on_stepping(const Target& target, int signal, Event event);
    bool take_changed_watchpoint(const Target& target);
    std::vector<std::byte> read_without_breakpoints(const Target& target, GuestAddr from, std::uint64_t size) const;
    Resume without_gdb(Target& target);

    GdbConnection connection_;
    const WithoutGdb without_gdb_;
    const Deadline deadline_;
    bool started_ = false;
    int signal_ = 0;
    int thread_ = 0;  // that registers are asked of; 0: the one that stopped
    Resume resume_ = Resume::go_on;
    Breakpoints breakpoints_;
    std::vector<Watchpoint> watchpoints_;
    bool steps_for_watchpoints_ = false;  // the debugger has told the program to go on
    std::optional<GuestAddr> changed_;    // the watchpoint for which the program stands still
};

}  // namespace tinykvm::debug
