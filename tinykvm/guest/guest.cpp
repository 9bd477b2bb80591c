#include "tinykvm/guest/guest.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest/first_touch.hpp"
#include "tinykvm/guest/program_loader.hpp"
#include "tinykvm/linux/guest_clock.hpp"
#include "tinykvm/linux/memory_file_access.hpp"
#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr char request_area_name[] = "[request]";

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

// A guest that does not have the host's time-stamp counter gets a page of zeros, and its vDSO makes system calls.
int clock_page(const x86::Platform& platform) {
    return platform.guest_has_host_tsc() ? linux_abi::ClockPage::instance().fd() : -1;
}

linux_abi::LentThreads lent_threads(const GuestMemory& memory, const x86::Platform& platform) {
    return {memory.system_block() + x86::hand_over_offset, platform.vector_state_size(), platform.xcr0(),
            platform.xcr0() != 0 && platform.has_fsgsbase()};
}

}  // namespace

Guest::Guest(std::shared_ptr<const Program> program, Options options)
    : platform_(x86::Platform::instance()),
      snapshot_(nullptr),
      options_(std::move(options)),
      vm_(options_.max_memory / page_size, Clock::now() + options_.max_creation_time),
      vcpu_(vm_, platform_.cpuid()),
      memory_(vm_, boot_limits(options_), boot_huge_pages(options_), clock_page(platform_)),
      programs_{elf::load(memory_, std::move(program), elf::program_base)},
      process_(memory_, options_,
               linux_abi::ProcessState::at_start(options_, programs_.front().end,
                                                 ProgramLoader::guest_path(*programs_.front().program))),
      lent_threads_(lent_threads(memory_, platform_)) {
    prepare_vcpu();
    make_further_vcpus();
    ProgramLoader loader(memory_, options_, platform_, process_, programs_);
    vcpu_.set_registers(loader.load());
    if (!platform_.syscall_at_cpl0()) exits_.use_call_stubs();
    if (options_.stop_at_entry) exits_.stop_at({programs_.front().entry(), loader.entry_word(), loader.random()});
}

Guest::Guest(const SnapshotContents& snapshot)
    : platform_(x86::Platform::instance()),
      snapshot_(&snapshot),
      options_(snapshot.options),
      vm_(options_.max_request_memory / page_size, Clock::now() + options_.max_creation_time),
      vcpu_(vm_, platform_.cpuid()),
      memory_(vm_, snapshot.memory, request_limits(options_), request_huge_pages(options_), clock_page(platform_)),
      programs_(snapshot.programs),
      process_(memory_, options_, snapshot.process),
      lent_threads_(lent_threads(memory_, platform_)) {
    prepare_vcpu();
    make_further_vcpus();
    user_.begin_at(snapshot);
    writes_.shorten_ring();  // now, so that no request has to wait for it
    touch_working_set();
}

Guest::~Guest() = default;

void Guest::touch_working_set() {
    const std::vector<GuestRange> pages = memory_.make_working_set_own();
    if (pages.empty()) return;
    const bool finished = touch_pages(vcpu_, memory_, writes_, pages);
    if (!finished && !vcpu_.clear_pending()) throw MachineError("a new VM did not touch its pages as it was told");
    collect_writes();
    user_.begin_at(*snapshot_);
}

MailboxCalls::Parts Guest::parts() {
    return {vcpu_, platform_, memory_, user_, writes_, slices_, exits_, statistics_, interrupted_};
}

void Guest::prepare_vcpu() {
    vcpu_.follow_host_tsc();
    process_.set_interrupt_flag(&interrupted_);
    platform_.prepare(vcpu_, memory_.page_table_root());
}

void Guest::make_further_vcpus() {
    static_assert(most_cpus == x86::max_cpus);
    if (options_.cpus <= 1) return;
    further_ =
        std::make_unique<FurtherVcpus>(FurtherVcpus::Parts{vm_, vcpu_, platform_, memory_, user_, writes_, statistics_},
                                       std::min(options_.cpus, most_cpus));
    spread_.emplace(
        SpreadThreads::Parts{*further_, memory_, user_, writes_, slices_, options_, statistics_, interrupted_});
    exits_.use_further_vcpus(*further_, *spread_);
    mailbox_.use_further_vcpus(*further_);
}

// --- Running

Stop Guest::run(HostCalls* calls, Deadline deadline) { return run(calls, deadline, false); }

// With `in_call` it goes on in a system call first.
Stop Guest::run(HostCalls* calls, Deadline deadline, bool in_call) {
    exits_.set_orderly(false);
    exits_.begin_call();
    // A deadline may have come just after the last run had ended.
    interrupted_.store(false);
    slices_.begin_run();
    if (spread_) spread_->begin_run();
    lent_threads_.clear();  // what a run left that did not end in order
    vcpu_.acknowledge();
    if (process_.needs_interruptions()) slices_.begin_slice();
    const std::uint64_t ioctls_before = ioctls();
    const RunTime::Run timed(time_, deadline);
    linux_abi::ClockPage::instance().refresh();
    writes_.shorten_ring();
    std::optional<Stop> stop = in_call ? exits_.go_on_in_call(time_.deadline()) : std::nullopt;
    while (!stop) {
        const kvm::Exit exit = enter();
        exits_.note(exit);
        stop = exits_.handle(exit, calls, time_.deadline());
    }
    statistics_.kvm_calls += ioctls() - ioctls_before;
    exits_.set_orderly(true);
    if (spread_) spread_->end_run();
    slices_.stop();
    return *stop;
}

// Enters the guest. Its threads run at the same time or, where they do not, may hand over to each other until it
// leaves.
kvm::Exit Guest::enter() {
    // What is lent is for the first vCPU only, and those that are half-way in the shim are not disturbed.
    if (spread_ && !lent_threads_.are_lent() && spread_->spread()) return spread_->run();
    if (exits_.threads_use_futexes() && !x86::in_shim(vcpu_.registers().rip) && !(further_ && further_->busy()))
        lent_threads_.lend(process_.state(), options_, slices_.will_end());
    const kvm::Exit exit = further_ ? further_->run() : vcpu_.run();
    // In the shim they may be half-way; what interrupts it does not ask for them, and the guest goes on there.
    const bool goes_on = exit.reason == kvm::Exit::Reason::interrupted || exit.reason == kvm::Exit::Reason::ring_full;
    if (!goes_on || !x86::in_shim(vcpu_.registers().rip)) {
        const bool handed_over = lent_threads_.take_back(process_.state());
        if (handed_over && spread_) spread_->note_hand_over();
    }
    return exit;
}

void Guest::interrupt() noexcept {
    interrupted_.store(true);
    vcpu_.kick();
}

Stop Guest::call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline) {
    exits_.require_whole_instruction();
    user_.switch_to_thread(snapshot_->process.thread.id);
    Registers registers = call_registers(function, arguments);
    if (user_.leave_vectors_to_shim()) {
        registers.rip = x86::call_entry();
        registers.r11 = function;
        user_.vectors_are_loaded();
    }
    registers.rsp = user_.make_call_stack(snapshot_->registers.rsp);
    user_.enter(registers);
    return run(&calls, deadline);
}

Stop Guest::call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
                        Deadline deadline) {
    require_waiting("be called");
    const Registers waiting = user_.registers();
    const int thread = process_.state().thread.id;
    const kvm::SystemRegisters waiting_system = vcpu_.system_registers();
    const std::vector<std::byte> waiting_vectors = vcpu_.vector_state();
    Registers registers = call_registers(function, arguments);
    registers.rsp = user_.make_call_stack(waiting.rsp);
    user_.enter(registers);
    const Stop stop = run(&calls, deadline);
    if (stop.reason != Stop::Reason::exited) user_.switch_to_thread(thread);
    vcpu_.set_system_registers(waiting_system);
    vcpu_.set_registers(waiting);
    if (!vcpu_.set_vector_state(waiting_vectors)) throw MachineError("KVM refuses the vector registers it gave");
    return stop;
}

Stop Guest::resume(std::int64_t result, HostCalls& calls, Deadline deadline) {
    exits_.require_whole_instruction();
    user_.load_vectors();
    user_.return_value(result);
    return run(&calls, deadline);
}

Stop Guest::go_on(HostCalls& calls, Deadline deadline) {
    exits_.require_whole_instruction();
    user_.load_vectors();
    return run(&calls, deadline, true);
}

int Guest::append_to_file(const std::string& path, std::span<const std::byte> bytes) {
    return linux_abi::append_to_file(memory_, user_.use_process().state(), path, bytes);
}

int Guest::read_file(const std::string& path, std::size_t most, std::vector<std::byte>& bytes) {
    return linux_abi::read_file(memory_, process_.state(), path, most, bytes);
}

// --- On the way into a snapshot

void Guest::require_waiting(const char* to_be) const {
    if (!exits_.is_orderly())
        throw MachineError(std::string("only a program that stands still in a call can ") + to_be);
}

std::vector<GuestAddr> Guest::argument_addresses() const {
    // At the entry point the stack pointer points at argc, and argv follows (System V ABI for AMD64, 3.4.1).
    const std::size_t count = 1 + options_.arguments.size();
    std::vector<GuestAddr> addresses(count);
    if (!memory_.read(user_.registers().rsp + sizeof(std::uint64_t), addresses.data(), count * sizeof addresses[0]))
        throw MachineError("the arguments of the program are not on its stack");
    return addresses;
}

EnvironmentPlaces Guest::environment_places() const {
    if (options_.environment_slots == 0) return {};
    // After argc, argv, a null and the first variables.
    const std::size_t words = 1 + 1 + options_.arguments.size() + 1 + options_.environment.size();
    EnvironmentPlaces places{.pointers = user_.registers().rsp + words * sizeof(std::uint64_t),
                             .slots = options_.environment_slots,
                             .room = options_.environment_room};
    if (!memory_.read(places.pointers, &places.text, sizeof places.text))
        throw MachineError("the environment of the program is not on its stack");
    return places;
}

std::vector<std::string> Guest::listening() const {
    std::vector<std::string> names;
    for (const linux_abi::Socket* socket : process_.state().files.sockets().listening())
        names.push_back(socket->local.text());
    return names;
}

RequestArea Guest::request_area() {
    if (request_area_.size != 0) return request_area_;
    const std::size_t size = (options_.max_request_memory + large_page_size - 1) & ~(large_page_size - 1);
    memory_.use_small_pages();  // the memory of each fork replaces this one
    const auto place = memory_.find_free(size, 0, large_page_size);
    if (!place || memory_.map(*place, size, {.read = true, .write = true}, request_area_name) != 0)
        throw MachineError("no address space left for requests of max_request_memory");
    return request_area_ = {*place, size};
}

// Unmaps what is left of the area: the program may have unmapped or replaced parts.
void Guest::drop_request_area() {
    const GuestAddr end = request_area_.begin + request_area_.size;
    for (GuestAddr at = request_area_.begin; at < end;) {
        const Region* region = memory_.regions().find(at);
        const GuestAddr to = region ? std::min(region->end, end) : at + page_size;
        if (region && region->name == request_area_name && memory_.unmap(at, to - at) != 0)
            throw MachineError("the area of requests cannot be given back");
        at = to;
    }
    request_area_ = {};
}

std::unique_ptr<const SnapshotContents> Guest::freeze() {
    require_waiting("be frozen");
    auto snapshot = std::make_unique<SnapshotContents>();
    drop_request_area();
    memory_.wipe_for_forks();
    memory_.finish();  // of the request area only the addresses are in the snapshot: each fork has its own memory there
    snapshot->request_area = request_area();
    snapshot->registers = user_.registers();
    snapshot->system_registers = vcpu_.system_registers();
    snapshot->vector_state = vcpu_.vector_state();
    std::memcpy(memory_.system_block() + x86::vectors_offset, snapshot->vector_state.data(),
                std::min(platform_.vector_state_size(), x86::vectors_max_size));
    snapshot->process = process_.state();
    snapshot->process.begin_forks();
    snapshot->seen_files = std::exchange(snapshot->process.seen_files, nullptr);
    snapshot->programs = programs_;
    snapshot->options = std::move(options_);
    mailbox_.clear();
    lent_threads_.clear();
    snapshot->memory = memory_.make_image(
        snapshot->options.share_mapped_files ? std::make_shared<FileCopies>(snapshot->options.max_memory) : nullptr);
    return snapshot;
}

// --- Reset

void Guest::note_peak(std::uint64_t bytes) { statistics_.memory_peak = std::max(statistics_.memory_peak, bytes); }

bool Guest::resets_quickly() const {
    return !exits_.is_mid_instruction() && exits_.is_orderly() && !exits_.changed_by_debugger() &&
           user_.resets_quickly() && memory_.resets_quickly() && (!further_ || further_->are_orderly());
}

bool Guest::recover(bool crashed) {
    // A thread of its own that has crashed would go on where it did.
    if (crashed && process_.state().thread.id != snapshot_->process.thread.id) return false;
    if (!can_forget_last_exit()) return false;
    collect_writes();
    if (!memory_.tolerate_failure()) return false;
    mailbox_.clear();
    lent_threads_.clear();
    slices_.reset();
    if (spread_) spread_->reset();
    user_.abandon_call(*snapshot_);
    exits_.set_orderly(true);
    return true;
}

void Guest::collect_writes() {
    writes_.collect();
    if (further_) further_->collect();
}

// Can the vCPUs be set to go on somewhere else? What a debugger has done ends with the VM only.
bool Guest::can_forget_last_exit() {
    if (further_) {
        further_->abandon();
        if (!further_->forget_last_exits()) return false;
    }
    return !exits_.changed_by_debugger() && !exits_.is_mid_instruction() &&
           (exits_.is_orderly() || vcpu_.clear_pending());
}

bool Guest::reset() {
    // KVM may write guest memory when it completes an exit, so that comes before the list of changed pages is
    // collected.
    if (!can_forget_last_exit()) return false;
    collect_writes();
    if (memory_.needs_rebuild()) {
        note_peak(memory_.changes().peak_bytes());
        return false;
    }
    statistics_.pages_restored += memory_.reset();
    note_peak(memory_.changes().last_peak_bytes());
    mailbox_.clear();
    lent_threads_.clear();
    writes_.clear_hand_over_pages();
    if (further_) further_->clear_hand_over_pages();
    user_.reset(*snapshot_);
    slices_.reset();
    if (spread_) spread_->reset();
    exits_.set_orderly(true);
    ++statistics_.resets;
    return true;
}

}  // namespace tinykvm
