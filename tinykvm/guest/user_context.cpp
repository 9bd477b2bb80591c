#include "tinykvm/guest/user_context.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "tinykvm/debug/backtrace.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

UserContext::UserContext(kvm::Vcpu& vcpu, const x86::Platform& platform, GuestMemory& memory,
                         linux_abi::Process& process, const std::vector<elf::LoadedProgram>& programs)
    : vcpu_(vcpu), platform_(platform), memory_(memory), process_(process), programs_(programs) {}

void enter_user_mode(kvm::Vcpu& vcpu, const Registers& registers) {
    kvm::SystemRegisters system = vcpu.system_registers();
    if (!x86::in_user_mode(system)) {
        x86::enter_user_segments(system);
        vcpu.set_system_registers(system);
    }
    Registers clean = registers;
    clean.rflags = x86::sanitize_flags(registers.rflags);
    vcpu.set_registers(clean);
}

bool UserContext::in_user_mode() const { return x86::in_user_mode(vcpu_.system_registers()); }

void UserContext::enter(const Registers& registers) {
    // Some CPUs refuse to enter a guest at such an address; a program that jumps there gets SIGSEGV.
    if (registers.rip >= x86::user_end) kill(SIGSEGV, "jump to an address beyond user space", registers);
    enter_user_mode(vcpu_, registers);
}

void UserContext::return_value(std::int64_t value) {
    Registers with_value = registers();
    with_value.rax = static_cast<std::uint64_t>(value);
    enter(with_value);
}

GuestAddr UserContext::make_call_stack(std::uint64_t waiting_stack) {
    constexpr std::uint64_t red_zone = 128;
    const GuestAddr stack = ((waiting_stack - red_zone) & ~std::uint64_t{63}) - sizeof(std::uint64_t);
    if (!memory_.write(stack, x86::return_entry()))
        throw MachineError("there is no stack to call a function of the program on");
    return stack;
}

linux_abi::ThreadPointers UserContext::thread_pointers() const {
    const kvm::SystemRegisters system = vcpu_.system_registers();
    return {system.fs.base, system.gs.base};
}

void UserContext::set_thread_pointers(const linux_abi::ThreadPointers& pointers) {
    if (pointers == thread_pointers()) return;
    kvm::SystemRegisters system = vcpu_.system_registers();
    system.fs.base = pointers.fs_base;
    system.gs.base = pointers.gs_base;
    vcpu_.set_system_registers(system);
}

void UserContext::switch_to_thread(int id) {
    if (process_.state().thread.id == id) return;
    Registers now = registers();
    linux_abi::ThreadPointers pointers = thread_pointers();
    if (!use_process().switch_to_thread(id, now, pointers, vectors()))
        throw MachineError("the thread that waited for requests has ended");
    set_thread_pointers(pointers);
    enter(now);
}

void UserContext::kill(int signal, std::string reason, const Registers& at) const {
    GuestFault::Details details;
    details.signal = signal;
    details.reason = std::move(reason);
    details.registers = at;
    details.backtrace = debug::backtrace(memory_, at, programs_);
    throw GuestFault(std::move(details));
}

void UserContext::reset(const SnapshotContents& snapshot) {
    if (process_used_) process_.restore(snapshot.process);
    process_used_ = false;
    begin_at(snapshot);
}

void UserContext::abandon_call(const SnapshotContents& snapshot) {
    switch_to_thread(snapshot.process.thread.id);
    linux_abi::ThreadState& thread = use_process().state().thread;
    thread.wait = {};
    thread.restore_blocked = false;
    thread.blocked = snapshot.process.thread.blocked;
    begin_at(snapshot);
}

void UserContext::begin_at(const SnapshotContents& snapshot) {
    vcpu_.set_system_registers(snapshot.system_registers);
    vcpu_.set_registers(snapshot.registers);
    stale_vectors_ = &snapshot.vector_state;
}

bool UserContext::leave_vectors_to_shim() {
    if (stale_vectors_ && platform_.xcr0() != 0) return true;
    load_vectors();
    return false;
}

void UserContext::load_vectors() {
    if (!stale_vectors_) return;
    if (!vcpu_.set_vector_state(*stale_vectors_)) throw MachineError("KVM refuses the vector registers of a snapshot");
    stale_vectors_ = nullptr;
}

void UserContext::save(std::span<std::byte> image) {
    const auto state = vcpu_.vector_state();
    std::memcpy(image.data(), state.data(), std::min(image.size(), state.size()));
}

bool UserContext::load(std::span<const std::byte> image) {
    // What KVM has beyond the image are components that this guest does not have.
    std::vector<std::byte> state(vcpu_.vector_state_size());
    std::memcpy(state.data(), image.data(), std::min(image.size(), state.size()));
    return vcpu_.set_vector_state(state);
}

}  // namespace tinykvm
