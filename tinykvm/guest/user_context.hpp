// The user mode of a guest: its registers as the program sees them, its vector registers and its Linux process. Makes
// all of a guest that is not memory equal to a snapshot.
//
// Owned by Guest; borrows what it is made of. Thread safety: used by the thread that handles what the guest wants,
// while the guest stands still or, in MailboxCalls, waits for the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/guest/snapshot_contents.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/registers.hpp"

namespace tinykvm {

// Lets a vCPU go on in user mode with these registers, wherever it was; RIP must be below x86::user_end.
void enter_user_mode(kvm::Vcpu& vcpu, const Registers& registers);

class UserContext final : private linux_abi::VectorState {
  public:
    UserContext(kvm::Vcpu& vcpu, const x86::Platform& platform, GuestMemory& memory, linux_abi::Process& process,
                const std::vector<elf::LoadedProgram>& programs);

    // --- Registers

    Registers registers() const { return vcpu_.registers(); }
    bool in_user_mode() const;
    // The program goes on in user mode with these registers. Throws GuestFault when it jumps to where no program may.
    void enter(const Registers& registers);
    // The same with `value` as the result of the host call the guest stands in.
    void return_value(std::int64_t value);
    // Prepares the stack of a called function: below `waiting_stack`, the stack pointer of a program that waits, with
    // the address on it where the function returns to. Throws MachineError when there is no stack.
    GuestAddr make_call_stack(std::uint64_t waiting_stack);

    linux_abi::ThreadPointers thread_pointers() const;
    void set_thread_pointers(const linux_abi::ThreadPointers& pointers);

    // --- The Linux process

    const linux_abi::Process& process() const { return process_; }
    // For callers that may change it.
    linux_abi::Process& use_process() {
        process_used_ = true;
        return process_;
    }
    // Ends the locks of files that the process holds. This does not count as a use: an unused process holds none.
    void release_locks() { process_.state().files.release_locks(); }
    linux_abi::VectorState& vectors() { return *this; }
    // Makes a thread the one that runs. Throws MachineError when it has ended.
    void switch_to_thread(int id);

    // Ends the run with a GuestFault that says where the program was.
    [[noreturn]] void kill(int signal, std::string reason, const Registers& at) const;

    // --- Snapshots

    // Sets the registers to those of `snapshot`, which must outlive this. Its vector registers are loaded when the
    // guest is entered next.
    void begin_at(const SnapshotContents& snapshot);
    // Ends what a call left in the thread of the snapshot, which becomes the one that runs and is at its beginning
    // again. Other threads stay as they are. Throws MachineError when that thread has ended.
    void abandon_call(const SnapshotContents& snapshot);
    // Makes the process equal to the snapshot's, too.
    void reset(const SnapshotContents& snapshot);
    // Does reset() set nothing but registers?
    bool resets_quickly() const { return !process_used_; }
    // True when the shim has to load the vector registers at the next entry. When the shim cannot do that, they are
    // loaded now. Throws MachineError.
    bool leave_vectors_to_shim();
    // Loads them now, unless they are loaded. Throws MachineError.
    void load_vectors();
    // Says that the guest has been entered through the shim, which loads them.
    void vectors_are_loaded() { stale_vectors_ = nullptr; }

  private:
    std::size_t size() const override { return platform_.vector_state_size(); }
    void save(std::span<std::byte> image) override;
    bool load(std::span<const std::byte> image) override;
    std::uint64_t features() const override { return platform_.xcr0() ? platform_.xcr0() : 3; }

    kvm::Vcpu& vcpu_;
    const x86::Platform& platform_;
    GuestMemory& memory_;
    linux_abi::Process& process_;
    const std::vector<elf::LoadedProgram>& programs_;
    // True when the process may differ from the snapshot's.
    bool process_used_ = true;
    // The vector registers that have to be loaded before the program runs again; null: the CPU has the right ones.
    const std::vector<std::byte>* stale_vectors_ = nullptr;
};

}  // namespace tinykvm
