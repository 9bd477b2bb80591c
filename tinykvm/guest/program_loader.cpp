#include "tinykvm/guest/program_loader.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/start.hpp"
#include "tinykvm/linux/vdso/vdso.hpp"
#include "tinykvm/memory/shared_memory.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// Unused addresses between the stack and the mappings below it.
constexpr std::size_t stack_guard = std::size_t{2} << 20;

}  // namespace

Registers ProgramLoader::load() {
    copy_vdso();
    map_stack();  // before others look for free addresses below it
    map_further_stacks();
    map_shared_memory();
    load_interpreter();
    Registers registers;
    registers.rip = programs_.back().entry();
    registers.rsp = lay_out_stack();
    registers.rflags = x86::initial_flags;
    if (options_.stop_at_entry) {
        // A dynamic linker jumps to where the auxiliary vector tells it.
        if (programs_.size() == 1) registers.rip = x86::entry_stop;
        if (!memory_.write(entry_word_, x86::entry_stop)) throw LoadError(program().name() + ": no room for a stack");
    }
    return registers;
}

std::string ProgramLoader::guest_path(const Program& program) {
    return program.name().starts_with('/') ? program.name() : "/" + program.name();
}

void ProgramLoader::copy_vdso() {
    const auto vdso = linux_abi::vdso_image();
    std::memcpy(memory_.system_block() + x86::vdso_offset, vdso.data(), vdso.size());
}

void ProgramLoader::map_stack() {
    const GuestAddr bottom = stack_bottom();
    const Protection rights{.read = true, .write = true, .execute = program().executable_stack()};
    // Its top, where all that is written there before the program is frozen is, gets the guest-physical memory next to
    // the program's, and the rest of it what comes then: a fork needs one mapping for both, not one for each.
    const GuestAddr top = std::max(bottom, x86::stack_top - large_page_size);
    if (memory_.map(top, x86::stack_top - top, rights, "[stack]") != 0 ||
        (top > bottom && memory_.map(bottom, top - bottom, rights, "[stack]") != 0) ||
        memory_.map(bottom - stack_guard, stack_guard, {}, "[stack guard]") != 0)
        throw LoadError(program().name() + ": no room for a stack");
}

void ProgramLoader::map_further_stacks() {
    for (unsigned cpu = 1; cpu < std::min(options_.cpus, most_cpus); ++cpu) {
        const GuestAddr top = x86::cpu_stack_top(cpu), guard = top - x86::cpu_stack_size;
        if (memory_.map(guard, stack_guard, {}, "[stack guard]") != 0 ||
            memory_.map(guard + stack_guard, x86::cpu_stack_size - stack_guard, {.read = true, .write = true},
                        "[stack of CPU " + std::to_string(cpu) + "]") != 0)
            throw LoadError(program().name() + ": no room for the stacks of " + std::to_string(options_.cpus) +
                            " CPUs");
    }
}

void ProgramLoader::map_shared_memory() {
    if (options_.shared_memory == 0) return;
    if (!memory_.share(std::make_shared<const SharedMemory>(page_ceil(options_.shared_memory))))
        throw LoadError(program().name() + ": no address space left for shared_memory");
}

void ProgramLoader::load_interpreter() {
    const std::string& path = program().interpreter();
    if (path.empty()) return;
    const linux_abi::GuestFileSystem& paths = *process_.state().file_system;
    using Location = linux_abi::GuestFileSystem::Location;
    const Location location = paths.resolve(process_.state(), "/", path, linux_abi::GuestFileSystem::Last::follow);
    if (!location.exists() && location.refusal != Location::Refusal::none)
        throw NotAllowed(program().name() + ": its interpreter " + path, location.path);
    const int fd = location.exists() ? paths.open(location, 0) : location.error;
    if (fd < 0)
        throw LoadError(program().name() + ": its interpreter " + path + " cannot be read (" + std::strerror(-fd) +
                        "); a dynamic program needs its interpreter and libraries in allowed_paths");
    auto interpreter = Program::open(FileDescriptor(fd), path, program_size_limit(options_.max_memory));
    if (!interpreter->interpreter().empty() || !interpreter->position_independent())
        throw LoadError(program().name() + ": its interpreter " + path + " is not a dynamic loader");
    programs_.push_back(elf::load(memory_, std::move(interpreter), 0));
}

GuestAddr ProgramLoader::stack_bottom() const {
    return x86::stack_top - page_ceil(std::max<std::size_t>(options_.stack_size, 4 * page_size));
}

GuestAddr ProgramLoader::lay_out_stack() {
    const elf::LoadedProgram& main = programs_.front();
    linux_abi::StartInfo info;
    info.entry = main.entry();
    info.headers = main.headers();
    info.header_count = main.program->header_count();
    info.interpreter_base = programs_.size() > 1 ? programs_.back().bias : 0;
    info.program_path = guest_path(*main.program);
    info.stack_begin = stack_bottom();
    info.stack_end = x86::stack_top;
    info.hwcap = platform_.hwcap();
    info.hwcap2 = platform_.hwcap2();
    info.signal_stack_size = 1024 + platform_.vector_state_size();
    linux_abi::InitialStack stack = linux_abi::build_initial_stack(memory_, options_, info);
    entry_word_ = stack.entry_word;
    random_ = stack.random;
    process_.state().auxiliary_vector = std::move(stack.auxiliary_vector);
    return stack.pointer;
}

}  // namespace tinykvm
