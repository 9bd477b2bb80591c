// Completes the memory of a guest whose program has been loaded with what else Linux gives a new process: the dynamic
// loader, the vDSO, a stack with arguments and environment; and with the memory shared by all VMs of the program.
//
// Exists while a guest is made; borrows everything. Thread safety: the thread that makes the guest. Errors: LoadError
// and NotAllowed name the program and the reason.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tinykvm/elf/loader.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/registers.hpp"

namespace tinykvm {

class ProgramLoader {
  public:
    // `programs`: the program itself, as elf::load() left it in `memory`; its dynamic loader is added.
    ProgramLoader(GuestMemory& memory, const Options& options, const x86::Platform& platform,
                  linux_abi::Process& process, std::vector<elf::LoadedProgram>& programs)
        : memory_(memory), options_(options), platform_(platform), process_(process), programs_(programs) {}

    // Loads everything but the program itself. Returns the registers the program begins with. With
    // options.stop_at_entry it will jump to x86::entry_stop instead of its entry point.
    Registers load();
    // After load(): where AT_ENTRY's value is on its stack, and the random bytes of AT_RANDOM.
    GuestAddr entry_word() const { return entry_word_; }
    GuestAddr random() const { return random_; }

    // The path at which a guest sees its program: the name it was loaded by.
    static std::string guest_path(const Program& program);

  private:
    void copy_vdso();
    void map_stack();
    void map_further_stacks();
    void map_shared_memory();
    void load_interpreter();
    // The stack pointer the program begins with.
    GuestAddr lay_out_stack();
    GuestAddr stack_bottom() const;
    const Program& program() const { return *programs_.front().program; }

    GuestMemory& memory_;
    const Options& options_;
    const x86::Platform& platform_;
    linux_abi::Process& process_;
    std::vector<elf::LoadedProgram>& programs_;
    GuestAddr entry_word_ = 0, random_ = 0;
};

}  // namespace tinykvm
