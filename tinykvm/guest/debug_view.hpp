// A program that stands still, as a debugger sees it: a view of the parts of a Guest.
//
// Owned by Exits while the debugger has the program. Thread safety: the thread that runs the guest.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/debug/debugger.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm {

class DebugView final : public debug::Target {
  public:
    // `registers`: those of the thread that stopped, which the debugger may change.
    DebugView(GuestMemory& memory, UserContext& user, Registers& registers, const std::atomic<bool>& interrupted)
        : memory_(memory), user_(user), registers_(registers), interrupted_(interrupted) {}
    // Has the debugger changed anything?
    bool has_changed() const { return changed_; }

    std::vector<int> threads() const override;
    std::string thread_name(int thread) const override;
    debug::ThreadRegisters registers(int thread) const override;
    bool set_registers(const debug::ThreadRegisters& registers) override;
    bool switch_to(int thread) override;
    bool read(GuestAddr from, std::span<std::byte> to) const override;
    bool write(GuestAddr to, std::span<const std::byte> from) override;
    const std::string& auxiliary_vector() const override { return state().auxiliary_vector; }
    const std::string& program_path() const override { return state().program_path; }
    bool has_avx() const override;
    bool is_interrupted() const override { return interrupted_.load(); }

  private:
    const linux_abi::ProcessState& state() const { return user_.process().state(); }

    GuestMemory& memory_;
    UserContext& user_;
    Registers& registers_;
    const std::atomic<bool>& interrupted_;
    bool changed_ = false;
};

}  // namespace tinykvm
