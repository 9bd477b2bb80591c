#include "tinykvm/guest.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "tinykvm/debug/backtrace.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/watchdog.hpp"
#include "tinykvm/linux/clock.hpp"
#include "tinykvm/linux/namespace.hpp"
#include "tinykvm/linux/start.hpp"
#include "tinykvm/linux/vdso/vdso.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

// Unused addresses between the stack and the mappings below it.
constexpr std::size_t stack_guard = std::size_t{2} << 20;
// A guest at its limit may write so many pages more before it stops and they are counted, and as many may have been
// written by the host without being in the dirty ring. With what the ring's end is uncertain by (512) that is the 4 MiB
// of docs/design.md, "Limits".
constexpr std::size_t unnoticed_pages = 256;

Registers call_registers(GuestAddr function, std::span<const std::uint64_t> arguments) {
    Registers registers;
    std::uint64_t* const slots[] = {&registers.rdi, &registers.rsi, &registers.rdx,
                                    &registers.rcx, &registers.r8,  &registers.r9};
    for (std::size_t i = 0; i < std::min(arguments.size(), std::size(slots)); ++i) *slots[i] = arguments[i];
    registers.rip = function;
    return registers;
}

GuestMemory::Limits boot_limits(const Options& options) {
    GuestMemory::Limits limits{options.max_memory, "max_memory", options.max_address_space};
    limits.on_request = options.addresses_on_request;
    limits.closed = options.closed_addresses;
    return limits;
}
GuestMemory::Limits request_limits(const Options& options) {
    return {options.max_request_memory, "max_request_memory",         options.max_address_space,
            options.max_kept_memory,    options.addresses_on_request, options.closed_addresses};
}

HugePages boot_huge_pages(const Options& options) {
    return {options.transparent_huge_pages, options.huge_page_arena, "hugepages (hugepage_arena_size)", true, {}};
}
HugePages request_huge_pages(const Options& options) {
    return {options.transparent_huge_pages, options.request_huge_page_arena, "request_hugepage_arena_size", false,
            options.warn};
}

// Without the host's counter the page is zero, and the vDSO makes system calls.
int clock_page(const x86::Platform& platform) {
    return platform.guest_has_host_tsc() ? linux_abi::ClockPage::instance().fd() : -1;
}

// Where the guest sees its program: the name it was loaded by.
std::string program_path(const Program& program) {
    return program.name().starts_with('/') ? program.name() : "/" + program.name();
}

}  // namespace

void Guest::Vectors::save(std::span<std::byte> image) {
    auto state = vcpu_.vector_state();
    std::memcpy(image.data(), state.data(), std::min(image.size(), state.size()));
}

bool Guest::Vectors::load(std::span<const std::byte> image) {
    auto state = vcpu_.vector_state();
    std::memcpy(state.data(), image.data(), std::min(image.size(), state.size()));
    return vcpu_.set_vector_state(state);
}

Guest::Guest(std::shared_ptr<const Program> program, Options options)
    : platform_(x86::Platform::instance()),
      options_(std::move(options)),
      vm_(options_.max_memory / page_size, Clock::now() + options_.max_creation_time),
      vcpu_(vm_, platform_.cpuid()),
      memory_(vm_, boot_limits(options_), boot_huge_pages(options_), clock_page(platform_)),
      programs_{elf::load(memory_, program, elf::program_base)},
      process_(memory_, options_,
               linux_abi::ProcessState::at_start(options_, programs_.front().end, program_path(*program))) {
    prepare_vcpu();
    platform_.prepare(vcpu_, memory_.page_table_root());
    auto vdso = linux_abi::vdso_image();
    std::memcpy(memory_.system_block() + x86::vdso_offset, vdso.data(), vdso.size());
    map_stack();
    map_shared_memory();
    load_interpreter();

    Registers registers;
    registers.rip = programs_.back().entry();
    registers.rsp = lay_out_stack();
    registers.rflags = x86::initial_flags;
    vcpu_.set_registers(registers);
}

Guest::Guest(const SnapshotContents& snapshot)
    : platform_(x86::Platform::instance()),
      options_(snapshot.options),
      vm_(options_.max_request_memory / page_size, Clock::now() + options_.max_creation_time),
      vcpu_(vm_, platform_.cpuid()),
      memory_(vm_, snapshot.memory, request_limits(options_), request_huge_pages(options_), clock_page(platform_)),
      programs_(snapshot.programs),
      process_(memory_, options_, snapshot.process) {
    prepare_vcpu();
    platform_.prepare(vcpu_, memory_.page_table_root());
    vcpu_.set_system_registers(snapshot.system_registers);
    vcpu_.set_registers(snapshot.registers);
    vectors_stale_ = true;
    bound_writes();  // here, not while a request waits
}

Guest::~Guest() = default;

void Guest::prepare_vcpu() {
    vcpu_.follow_host_tsc();
    process_.set_interrupt_flag(&interrupted_);
}

void Guest::load_interpreter() {
    const Program& program = *programs_.front().program;
    if (program.interpreter().empty()) return;
    const linux_abi::Namespace& paths = *process_.state().paths;
    const std::string& path = program.interpreter();
    using Location = linux_abi::Namespace::Location;
    const Location location = paths.resolve(process_.state(), "/", path, linux_abi::Namespace::Last::follow);
    if (!location.exists() && location.refusal != Location::Refusal::none)
        throw NotAllowed(program.name() + ": its interpreter " + path, location.path);
    int fd = location.exists() ? paths.open(location, 0) : -location.error;
    if (fd < 0)
        throw LoadError(program.name() + ": its interpreter " + path + " cannot be read (" + std::strerror(-fd) +
                        "); a dynamic program needs its interpreter and libraries in allowed_paths");
    FileDescriptor file(fd);
    auto interpreter = Program::from_descriptor(file.get(), path, program_size_limit(options_.max_memory));
    if (!interpreter->interpreter().empty() || !interpreter->position_independent())
        throw LoadError(program.name() + ": its interpreter " + path + " is not a dynamic loader");
    programs_.push_back(elf::load(memory_, std::move(interpreter), 0));
}

// Before anything else looks for a place below it.
void Guest::map_stack() {
    const GuestAddr bottom = stack_bottom();
    const bool executable = programs_.front().program->executable_stack();
    if (memory_.map(bottom, x86::stack_top - bottom, {.read = true, .write = true, .execute = executable}, "[stack]") !=
            0 ||
        memory_.map(bottom - stack_guard, stack_guard, {}, "[stack guard]") != 0)
        throw LoadError(programs_.front().program->name() + ": no room for a stack");
}

void Guest::map_shared_memory() {
    if (options_.shared_memory == 0) return;
    if (!memory_.share(std::make_shared<const SharedMemory>(page_ceil(options_.shared_memory))))
        throw LoadError(programs_.front().program->name() + ": no address space left for shared_memory");
}

GuestAddr Guest::stack_bottom() const {
    return x86::stack_top - page_ceil(std::max<std::size_t>(options_.stack_size, 4 * page_size));
}

GuestAddr Guest::lay_out_stack() {
    const elf::LoadedProgram& main = programs_.front();
    linux_abi::StartInfo info;
    info.entry = main.entry();
    info.headers = main.headers();
    info.header_count = main.program->header_count();
    info.interpreter_base = programs_.size() > 1 ? programs_.back().bias : 0;
    info.program_path = program_path(*main.program);
    info.stack_begin = stack_bottom();
    info.stack_end = x86::stack_top;
    info.hwcap = platform_.hwcap();
    info.hwcap2 = platform_.hwcap2();
    info.signal_stack_size = 1024 + platform_.vector_state_size();
    linux_abi::InitialStack stack = linux_abi::build_initial_stack(memory_, options_, info);
    process_.state().auxiliary_vector = std::move(stack.auxiliary_vector);
    return stack.pointer;
}

// --- Running

Registers Guest::user_registers() const { return vcpu_.registers(); }

void Guest::enter_user(const Registers& registers) {
    // Some CPUs refuse to enter a guest at such an address; a program that jumps there gets SIGSEGV.
    if (registers.rip >= x86::user_end) kill(SIGSEGV, "jump to an address beyond user space", registers);
    kvm::SystemRegisters system = vcpu_.system_registers();
    if (!x86::in_user_mode(system)) {
        x86::enter_user_segments(system);
        vcpu_.set_system_registers(system);
    }
    Registers clean = registers;
    clean.rflags = x86::sanitize_flags(registers.rflags);
    vcpu_.set_registers(clean);
}

void Guest::collect_dirty_pages() {
    new_pages_.clear();
    vcpu_.collect_dirty_pages(new_pages_);
    memory_.note_guest_writes(new_pages_);
}

void Guest::count_changes() {
    collect_dirty_pages();
    memory_.enforce_limit();
}

// The ring is full after so many first writes to a page. Its size is a power of two, and what the host writes is not in
// it; so it is shortened where that would let the guest have much more memory than it may.
bool Guest::may_write_too_much() const {
    return !ring_unbounded_ && vcpu_.ring_room() > memory_.pages_left() + 2 * unnoticed_pages;
}

void Guest::make_ring_room() { vcpu_.make_ring_room(memory_.pages_left() + unnoticed_pages); }

void Guest::bound_writes() {
    if (!may_write_too_much()) return;
    const std::size_t excess = vcpu_.ring_room() - memory_.pages_left() - unnoticed_pages;
    ring_unbounded_ = !vcpu_.take_ring_room(excess, x86::window_base + x86::scratch_offset);
    collect_dirty_pages();
}

Stop Guest::run(HostCalls* calls, Deadline deadline) {
    disorderly_ = true;
    spurious_count_ = 0;
    // A deadline may have come just after the last run had ended.
    interrupted_.store(false);
    turn_watch_.reset();
    vcpu_.acknowledge();
    if (!process_.alone()) {
        turn_over_.store(false);
        watch_turn(true);
    }
    const std::uint64_t ioctls_before = vcpu_.ioctls();
    kvm::Watch watch(vcpu_, interrupted_, deadline);
    linux_abi::ClockPage::instance().refresh();
    bound_writes();
    for (;;) {
        const kvm::Exit exit = vcpu_.run();
        ++statistics_.exits;
        mid_instruction_ = mid_instruction_ || !is_whole(exit);
        if (auto stop = handle_in_time(exit, calls, deadline)) {
            statistics_.kvm_calls += vcpu_.ioctls() - ioctls_before;
            disorderly_ = false;
            turn_watch_.reset();
            return *stop;
        }
    }
}

std::optional<Stop> Guest::handle_in_time(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    if (interrupted_.load(std::memory_order_relaxed))
        throw Timeout(Clock::now() >= deadline ? "the program was still running at the end of its time"
                                               : "the program was interrupted");
    count_changes();
    auto stop = handle(exit, calls, deadline);
    if (stop)
        statistics_.pages_dirtied = memory_.own_bytes() / page_size;
    else
        bound_writes();
    return stop;
}

std::optional<Stop> Guest::handle(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    using Reason = kvm::Exit::Reason;
    switch (exit.reason) {
        case Reason::store: return doorbell(exit, calls, deadline);
        case Reason::load: kill(SIGSEGV, "read of the doorbell page", user_registers());
        case Reason::port:
            if (exit.address == x86::syscall_port) return system_call(deadline);
            if (exit.address >= x86::exception_port && exit.address < x86::exception_port + 32)
                return exception(static_cast<unsigned>(exit.address - x86::exception_port), calls, deadline);
            throw MachineError("a guest put out to the unknown port " + std::to_string(exit.address));
        case Reason::memory_refused:
            return fault({.signal = SIGSEGV, .code = SEGV_ACCERR, .address = 0}, user_registers(),
                         "access to memory that was unmapped or protected (address not known)");
        case Reason::interrupted: return interrupted(deadline);
        case Reason::ring_full: make_ring_room(); return std::nullopt;
        case Reason::shutdown: kill(SIGSEGV, "triple fault", user_registers());
        case Reason::not_emulated:
            kill(SIGILL, "an instruction that KVM would have to emulate and cannot", user_registers());
        case Reason::failed:
            throw MachineError("KVM could not run the guest (reason " + std::to_string(exit.value) + ")");
    }
    throw MachineError("an exit without a reason");
}

// Is the exit the end of an instruction, as far as KVM is concerned? Stores other than a call's may have more pieces.
bool Guest::is_whole(const kvm::Exit& exit) {
    using Reason = kvm::Exit::Reason;
    switch (exit.reason) {
        case Reason::store: return exit.size == sizeof(std::uint32_t) && exit.address % 8 == 0;
        case Reason::load:
        case Reason::shutdown:
        case Reason::not_emulated:
        case Reason::failed: return false;
        case Reason::port:
        case Reason::memory_refused:
        case Reason::interrupted:
        case Reason::ring_full: return true;
    }
    return false;
}

std::optional<Stop> Guest::doorbell(const kvm::Exit& exit, HostCalls* calls, Deadline deadline) {
    const std::uint64_t offset = exit.address - x86::doorbell_physical;
    if (exit.size == 4) {
        if (offset == x86::doorbell_host_call)
            return host_call(static_cast<std::uint32_t>(exit.value), user_registers(), calls, deadline);
        if (offset == x86::doorbell_syscall && !platform_.syscall_at_cpl0()) return system_call(deadline);
    }
    kill(SIGSEGV, "store to the doorbell page that is no call", user_registers());
}

std::optional<Stop> Guest::host_call(std::uint32_t number, Registers registers, HostCalls* calls, Deadline deadline) {
    if (number == x86::host_call_returned)
        return Stop{.reason = Stop::Reason::returned, .values = {registers.rdi, registers.rsi}};
    ++statistics_.host_calls;
    HostCallResult result = HostCallResult::resume(-ENOSYS);
    if (calls) {
        const HostCall call{number,
                            {registers.rdi, registers.rsi, registers.rdx, registers.rcx, registers.r8, registers.r9},
                            deadline,
                            &interrupted_};
        result = calls->handle(call, memory_);
    }
    registers.rax = static_cast<std::uint64_t>(result.value);
    registers.rdx = result.second.value_or(registers.rdx);
    enter_user(registers);
    if (result.next == HostCallResult::Next::stop) return Stop{.reason = Stop::Reason::host_call};
    return std::nullopt;
}

std::optional<Stop> Guest::system_call(Deadline deadline) {
    ++statistics_.system_calls;
    process_used_ = true;
    Registers registers = user_registers();
    const bool at_cpl0 = !x86::in_user_mode(vcpu_.system_registers());
    const std::uint64_t entry_rip = registers.rip;
    // SYSCALL left the return address in RCX and the flags in R11.
    registers.rip = registers.rcx;
    registers.rflags = registers.r11;
    const Registers before = registers;

    linux_abi::ThreadPointers pointers = thread_pointers();
    const int thread = process_.state().thread.id;
    const linux_abi::Outcome outcome = process_.system_call(registers, pointers, vectors_, deadline);
    set_thread_pointers(pointers);
    if (!process_.alone()) watch_turn(process_.state().thread.id != thread);

    Registers same = before;
    same.rax = registers.rax;
    if (at_cpl0 && registers == same) {
        registers.rip = entry_rip;  // SYSRET follows there, and takes RCX and R11
        vcpu_.set_registers(registers);
    } else {
        enter_user(registers);
    }
    if (outcome.next == linux_abi::Outcome::Next::resume) return std::nullopt;
    return conclude(outcome, "", before);
}

linux_abi::ThreadPointers Guest::thread_pointers() const {
    const kvm::SystemRegisters system = vcpu_.system_registers();
    return {system.fs.base, system.gs.base};
}

void Guest::set_thread_pointers(const linux_abi::ThreadPointers& pointers) {
    if (pointers == thread_pointers()) return;
    kvm::SystemRegisters system = vcpu_.system_registers();
    system.fs.base = pointers.fs_base;
    system.gs.base = pointers.gs_base;
    vcpu_.set_system_registers(system);
}

std::optional<Stop> Guest::exception(unsigned vector, HostCalls* calls, Deadline deadline) {
    ++statistics_.guest_faults;
    const x86::ExceptionFrame frame = x86::read_exception_frame(memory_.system_block(), vector);
    Registers registers = user_registers();
    registers.rip = frame.rip;
    registers.rsp = frame.rsp;
    registers.rflags = frame.rflags;
    if ((frame.cs & 3) != 3) kill(SIGSEGV, "exception " + std::to_string(vector) + " in supervisor mode", registers);

    linux_abi::Fault f;
    f.vector = static_cast<std::uint8_t>(vector);
    f.error_code = static_cast<std::uint32_t>(frame.error_code);
    f.address = frame.rip;
    switch (vector) {
        case 0: f.signal = SIGFPE, f.code = FPE_INTDIV; return fault(f, registers, "division error");
        case 1: f.signal = SIGTRAP, f.code = TRAP_TRACE; return fault(f, registers, "debug exception");
        case 3: f.signal = SIGTRAP, f.code = SI_KERNEL; return fault(f, registers, "breakpoint");
        case 6: f.signal = SIGILL, f.code = ILL_ILLOPN; return fault(f, registers, "invalid instruction");
        case 12: f.signal = SIGBUS, f.code = SI_KERNEL; return fault(f, registers, "stack segment fault");
        case 13: {
            // Programs built for the existing ecosystem call the host with OUT imm8, EAX, which is a #GP here.
            unsigned char code[2];
            if (frame.error_code == 0 && memory_.read(frame.rip, code) && code[0] == 0xE7 && code[1] == 0) {
                registers.rip += sizeof code;
                return host_call(static_cast<std::uint32_t>(registers.rax), registers, calls, deadline);
            }
            f.signal = SIGSEGV, f.code = SI_KERNEL, f.address = 0;
            return fault(f, registers, "general protection fault");
        }
        case 14: return page_fault(vcpu_.system_registers().cr2, f.error_code, registers);
        case 16: f.signal = SIGFPE, f.code = FPE_FLTINV; return fault(f, registers, "x87 exception");
        case 17: f.signal = SIGBUS, f.code = BUS_ADRALN; return fault(f, registers, "unaligned access");
        case 19: f.signal = SIGFPE, f.code = FPE_FLTINV; return fault(f, registers, "SIMD exception");
        default:
            f.signal = SIGSEGV, f.code = SI_KERNEL;
            return fault(f, registers, "exception " + std::to_string(vector));
    }
}

std::optional<Stop> Guest::page_fault(GuestAddr address, std::uint32_t error_code, const Registers& registers) {
    constexpr std::uint32_t present = 1, write = 2, fetch = 16;
    const Region* region = memory_.regions().find(address);
    const bool allowed = region && (error_code & fetch   ? region->protection.execute
                                    : error_code & write ? region->protection.write
                                                         : region->protection.accessible());
    if (allowed) {
        // The CPU had cached an entry from before a right was added; the fault itself flushed it. If it comes
        // again and again, tables and regions disagree, which is our mistake.
        const bool again = address == spurious_address_ && registers.rip == spurious_rip_;
        spurious_count_ = again ? spurious_count_ + 1 : 0;
        spurious_address_ = address;
        spurious_rip_ = registers.rip;
        if (spurious_count_ > 16) throw MachineError("guest page tables do not agree with its mappings");
        enter_user(registers);
        return std::nullopt;
    }
    char text[96];
    std::snprintf(text, sizeof text, "page fault at 0x%lx (%s, %s)", static_cast<unsigned long>(address),
                  !region                ? "not mapped"
                  : error_code & present ? "not permitted"
                                         : "protected",
                  error_code & fetch   ? "execute"
                  : error_code & write ? "write"
                                       : "read");
    std::string reason = text;
    if (region && region->name == "[stack guard]") reason += ": stack overflow";
    return fault({.signal = SIGSEGV,
                  .code = region ? SEGV_ACCERR : SEGV_MAPERR,
                  .address = address,
                  .vector = 14,
                  .error_code = error_code},
                 registers, std::move(reason));
}

std::optional<Stop> Guest::fault(const linux_abi::Fault& fault, const Registers& at, std::string reason) {
    process_used_ = true;
    Registers registers = at;
    const linux_abi::Outcome outcome = process_.fault(fault, registers, vectors_);
    if (outcome.next == linux_abi::Outcome::Next::resume) {
        enter_user(registers);
        return std::nullopt;
    }
    return conclude(outcome, std::move(reason), at);
}

std::optional<Stop> Guest::conclude(const linux_abi::Outcome& outcome, std::string reason, const Registers& at) {
    switch (outcome.next) {
        case linux_abi::Outcome::Next::resume: return std::nullopt;
        case linux_abi::Outcome::Next::exit:
            return Stop{.reason = Stop::Reason::exited, .exit_status = outcome.exit_status};
        case linux_abi::Outcome::Next::killed: kill(outcome.signal, std::move(reason), at);
    }
    throw MachineError("a system call without an outcome");
}

void Guest::kill(int signal, std::string reason, const Registers& at) {
    GuestFault::Details details;
    details.signal = signal;
    details.reason = std::move(reason);
    details.registers = at;
    details.backtrace = debug::backtrace(memory_, at, programs_);
    throw GuestFault(std::move(details));
}

void Guest::interrupt() noexcept {
    interrupted_.store(true);
    vcpu_.kick();
}

// --- Calls

void Guest::prepare_call(const SnapshotContents& snapshot, GuestAddr function,
                         std::span<const std::uint64_t> arguments) {
    require_whole_instruction();
    turn_to_waiting_thread(snapshot.process.thread.id);
    Registers registers = call_registers(function, arguments);
    if (vectors_stale_ && platform_.xcr0()) {
        registers.rip = x86::call_entry();
        registers.r11 = function;
    } else if (vectors_stale_) {
        load_vectors(snapshot);
    }
    vectors_stale_ = false;
    registers.rsp = call_stack(snapshot.registers.rsp);
    enter_user(registers);
}

Stop Guest::call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline) {
    if (disorderly_) throw MachineError("only a program that waits in a host call can be called");
    const Registers waiting = user_registers();
    const int thread = process_.state().thread.id;
    const kvm::SystemRegisters waiting_system = vcpu_.system_registers();
    const std::vector<std::byte> waiting_vectors = vcpu_.vector_state();
    Registers registers = call_registers(function, arguments);
    registers.rsp = call_stack(waiting.rsp);
    enter_user(registers);
    const Stop stop = run(&calls, deadline);
    if (stop.reason != Stop::Reason::exited) turn_to_waiting_thread(thread);
    vcpu_.set_system_registers(waiting_system);
    vcpu_.set_registers(waiting);
    if (!vcpu_.set_vector_state(waiting_vectors)) throw MachineError("KVM refuses the vector registers it gave");
    return stop;
}

Stop Guest::resume(std::int64_t result, HostCalls& calls, Deadline deadline) {
    if (disorderly_) throw MachineError("only a program that waits in a host call can go on");
    return_value(result);
    return run(&calls, deadline);
}

void Guest::require_whole_instruction() const {
    if (mid_instruction_) throw MachineError("the VM stopped in the middle of an instruction and has to be reset");
}

GuestAddr Guest::call_stack(std::uint64_t waiting_stack) {
    constexpr std::uint64_t red_zone = 128;
    const GuestAddr stack = ((waiting_stack - red_zone) & ~std::uint64_t{63}) - sizeof(std::uint64_t);
    if (!memory_.write(stack, x86::return_entry()))
        throw MachineError("there is no stack to call a function of the program on");
    return stack;
}

void Guest::prepare_resume(const SnapshotContents& snapshot, std::int64_t result) {
    require_whole_instruction();
    if (vectors_stale_) load_vectors(snapshot);
    return_value(result);
}

void Guest::return_value(std::int64_t value) {
    Registers registers = user_registers();
    registers.rax = static_cast<std::uint64_t>(value);
    enter_user(registers);
}

}  // namespace tinykvm
