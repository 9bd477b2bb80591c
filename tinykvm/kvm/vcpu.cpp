#include "tinykvm/kvm/vcpu.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/ioctl.hpp"
#include "tinykvm/kvm/kick_signal.hpp"

namespace tinykvm::kvm {

static_assert(sizeof(Registers) == sizeof(kvm_regs));
static_assert(offsetof(Registers, r8) == offsetof(kvm_regs, r8));
static_assert(offsetof(Registers, rflags) == offsetof(kvm_regs, rflags));
static_assert(sizeof(SystemRegisters) == sizeof(kvm_sregs));
static_assert(offsetof(SystemRegisters, gdt) == offsetof(kvm_sregs, gdt));
static_assert(offsetof(SystemRegisters, efer) == offsetof(kvm_sregs, efer));
static_assert(sizeof(kvm_dirty_gfn) == 16);

namespace {

// The dirty ring comes after struct kvm_run and the kernel's other shared pages.
constexpr std::size_t ring_offset = std::size_t{KVM_DIRTY_LOG_PAGE_OFFSET} * 4096;
// Entries KVM keeps for itself: 64, and as many as Intel's page modification log has.
constexpr std::size_t ring_reserved = 64 + 512;
// With this MSR a guest asks for the wall clock at a guest-physical address. KVM writes three times to that page each
// time the MSR is set.
constexpr std::uint32_t wall_clock_msr = 0x4b564d00;  // MSR_KVM_WALL_CLOCK_NEW
constexpr std::size_t writes_of_wall_clock = 3;
constexpr std::size_t most_msrs_at_once = 255;
constexpr std::uint32_t ring_dirty = KVM_DIRTY_GFN_F_DIRTY;
constexpr std::uint32_t ring_collected = KVM_DIRTY_GFN_F_RESET;

// Acquire, because KVM writes the flags with release semantics (api.rst, KVM_CAP_DIRTY_LOG_RING).
std::uint32_t load_flags(std::uint32_t& flags) {
    return std::atomic_ref<std::uint32_t>(flags).load(std::memory_order_acquire);
}

}  // namespace

Vcpu::Vcpu(const Vm& vm, std::span<const CpuidEntry> cpuid, unsigned number) : vm_(&vm) {
    int fd = ::ioctl(vm.fd(), KVM_CREATE_VCPU, static_cast<unsigned long>(number));
    if (fd < 0) throw MachineError::from_errno("cannot create a virtual CPU (KVM_CREATE_VCPU)", errno);
    fd_ = FileDescriptor(fd);
    // One mapping with an unused gap in it, because each mapping of a process makes its new VMs more expensive.
    shared_ = Mapping("cannot map a virtual CPU", ring_offset + vm.dirty_ring_entries() * sizeof(RingEntry),
                      PROT_READ | PROT_WRITE, MAP_SHARED, fd);

    CountedArray<kvm_cpuid_entry2> table(static_cast<std::uint32_t>(cpuid.size()));
    std::memcpy(table.entries(), cpuid.data(), cpuid.size_bytes());
    if (call(set_cpuid2, table.data()) < 0) throw MachineError::from_errno("KVM_SET_CPUID2", errno);
    state()->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

int Vcpu::call(unsigned long request, void* argument) const {
    ++ioctls_;
    return ::ioctl(fd_.get(), request, argument);
}

Exit Vcpu::run() {
    accept_kick_signal();
    static thread_local const int thread = static_cast<int>(::syscall(SYS_gettid));
    thread_.store(thread, std::memory_order_seq_cst);
    int result = call(KVM_RUN, nullptr);
    int error = errno;
    thread_.store(0, std::memory_order_seq_cst);
    // When KVM_RUN was refused it may not have read the registers; they remain to be set then.
    if (result == 0 || error == EFAULT || error == EINTR) state()->kvm_dirty_regs = 0;
    return decode(result, error);
}

Exit Vcpu::decode(int result, int error) {
    const kvm_run& run = *state();
    if (result < 0) {
        switch (error) {
            case EINTR:
            case EAGAIN: return {.reason = Exit::Reason::interrupted};
            case EFAULT: return {.reason = Exit::Reason::memory_refused};
            default: throw MachineError::from_errno("KVM_RUN", error);
        }
    }
    switch (run.exit_reason) {
        case KVM_EXIT_MMIO: {
            if (!run.mmio.is_write) return {.reason = Exit::Reason::load, .address = run.mmio.phys_addr};
            std::uint64_t value = 0;
            std::uint32_t size = run.mmio.len <= sizeof value ? run.mmio.len : sizeof value;
            std::memcpy(&value, run.mmio.data, size);
            return {Exit::Reason::store, run.mmio.phys_addr, run.mmio.len, value};
        }
        case KVM_EXIT_IO: return {.reason = Exit::Reason::port, .address = run.io.port, .size = run.io.size};
        case KVM_EXIT_INTR: return {.reason = Exit::Reason::interrupted};
        case KVM_EXIT_DIRTY_RING_FULL: return {.reason = Exit::Reason::ring_full};
        case KVM_EXIT_SHUTDOWN: return {.reason = Exit::Reason::shutdown};
        case KVM_EXIT_INTERNAL_ERROR: return {.reason = Exit::Reason::not_emulated, .value = run.internal.suberror};
        case KVM_EXIT_FAIL_ENTRY:
            return {.reason = Exit::Reason::failed, .value = run.fail_entry.hardware_entry_failure_reason};
        default: return {.reason = Exit::Reason::failed, .value = run.exit_reason};
    }
}

void Vcpu::kick() noexcept {
    // immediate_exit catches a thread on its way into KVM_RUN, the signal one that is inside. A signal that
    // comes late finds the thread elsewhere, where it does nothing.
    std::atomic_ref<std::uint8_t>(state()->immediate_exit).store(1, std::memory_order_seq_cst);
    if (int thread = thread_.load(std::memory_order_seq_cst)) ::syscall(SYS_tgkill, ::getpid(), thread, kick_signal());
}

void Vcpu::acknowledge() noexcept {
    std::atomic_ref<std::uint8_t>(state()->immediate_exit).store(0, std::memory_order_seq_cst);
}

Registers Vcpu::registers() const { return std::bit_cast<Registers>(state()->s.regs.regs); }

void Vcpu::set_registers(const Registers& registers) {
    std::memcpy(&state()->s.regs.regs, &registers, sizeof registers);
    state()->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

SystemRegisters Vcpu::system_registers() const { return std::bit_cast<SystemRegisters>(state()->s.regs.sregs); }

void Vcpu::set_system_registers(const SystemRegisters& registers) {
    std::memcpy(&state()->s.regs.sregs, &registers, sizeof registers);
    state()->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

const SystemRegisters& Vcpu::initial_system_registers() const {
    static const SystemRegisters registers = [this] {
        SystemRegisters read;
        if (call(KVM_GET_SREGS, &read) < 0) throw MachineError::from_errno("KVM_GET_SREGS", errno);
        return read;
    }();
    return registers;
}

std::vector<std::byte> Vcpu::vector_state() const {
    std::vector<std::byte> image(vm_->system().vector_state_size());
    save_vector_state(image);
    return image;
}

void Vcpu::save_vector_state(std::span<std::byte> image) const {
    unsigned long request = image.size() > xsave_page ? get_xsave2 : get_xsave;
    if (call(request, image.data()) < 0) throw MachineError::from_errno("KVM_GET_XSAVE", errno);
}

bool Vcpu::set_vector_state(std::span<const std::byte> image) {
    return call(set_xsave, const_cast<std::byte*>(image.data())) == 0;
}

void Vcpu::set_xcr0(std::uint64_t value) {
    kvm_xcrs xcrs{};
    xcrs.nr_xcrs = 1;
    xcrs.xcrs[0].value = value;
    if (call(KVM_SET_XCRS, &xcrs) < 0) throw MachineError::from_errno("KVM_SET_XCRS", errno);
}

bool Vcpu::set_msrs(std::initializer_list<Msr> msrs) {
    CountedArray<kvm_msr_entry> table(static_cast<std::uint32_t>(msrs.size()));
    kvm_msr_entry* entry = table.entries();
    for (const Msr& msr : msrs) *entry++ = {.index = msr.index, .reserved = 0, .data = msr.value};
    return call(kvm::set_msrs, table.data()) == static_cast<int>(msrs.size());
}

bool Vcpu::follow_host_tsc() {
    std::uint64_t offset = 0;
    kvm_device_attr attribute{};
    attribute.group = KVM_VCPU_TSC_CTRL;
    attribute.attr = KVM_VCPU_TSC_OFFSET;
    attribute.addr = reinterpret_cast<std::uint64_t>(&offset);
    return call(KVM_SET_DEVICE_ATTR, &attribute) == 0;
}

bool Vcpu::has_pending_exception() const {
    kvm_vcpu_events events{};
    if (call(KVM_GET_VCPU_EVENTS, &events) < 0) throw MachineError::from_errno("KVM_GET_VCPU_EVENTS", errno);
    return events.exception.injected || events.exception.pending;
}

bool Vcpu::clear_pending() {
    // With immediate_exit KVM_RUN only completes the last exit. If it reports another exit instead, the instruction was
    // not at its end.
    auto immediate_exit = std::atomic_ref<std::uint8_t>(state()->immediate_exit);
    const std::uint8_t before = immediate_exit.exchange(1);
    const bool finished = call(KVM_RUN, nullptr) < 0 && errno == EINTR;
    immediate_exit.store(before);
    if (!finished) return false;

    kvm_vcpu_events events{};
    events.flags = KVM_VCPUEVENT_VALID_SHADOW;
    if (call(KVM_SET_VCPU_EVENTS, &events) < 0) throw MachineError::from_errno("KVM_SET_VCPU_EVENTS", errno);
    return true;
}

void Vcpu::collect_dirty_pages(std::vector<std::uint64_t>& pages) {
    auto* entries = reinterpret_cast<RingEntry*>(shared_.data() + ring_offset);
    auto slots = vm_->slots();
    const std::uint64_t ring_size = vm_->dirty_ring_entries();
    while (ring_next_ - ring_recycled_ < ring_size) {
        RingEntry& entry = entries[ring_next_ % ring_size];
        if (!(load_flags(entry.flags) & ring_dirty)) break;
        std::uint32_t slot = entry.slot & 0xFFFF;
        if (slot < slots.size()) pages.push_back((slots[slot].physical - slots[0].physical) / 4096 + entry.page);
        ++ring_next_;
    }
}

std::size_t Vcpu::ring_room() const {
    const std::size_t usable = vm_->dirty_ring_entries() - ring_reserved;
    return usable - std::min<std::size_t>(usable, ring_next_ - ring_recycled_);
}

bool Vcpu::take_ring_room(std::size_t pages, std::uint64_t scratch) {
    for (std::size_t left = pages / writes_of_wall_clock; left > 0;) {
        const std::size_t count = std::min(left, most_msrs_at_once);
        CountedArray<kvm_msr_entry> table(static_cast<std::uint32_t>(count));
        std::fill_n(table.entries(), count, kvm_msr_entry{.index = wall_clock_msr, .reserved = 0, .data = scratch});
        if (call(kvm::set_msrs, table.data()) != static_cast<int>(count)) return false;
        left -= count;
    }
    return true;
}

void Vcpu::make_ring_room(std::size_t pages) {
    const std::size_t usable = vm_->dirty_ring_entries() - ring_reserved;
    const std::size_t kept = usable - std::min(usable, pages);
    if (ring_next_ - ring_recycled_ <= kept) return;
    auto* entries = reinterpret_cast<RingEntry*>(shared_.data() + ring_offset);
    const std::uint64_t ring_size = vm_->dirty_ring_entries();
    for (; ring_recycled_ < ring_next_ - kept; ++ring_recycled_)
        std::atomic_ref<std::uint32_t>(entries[ring_recycled_ % ring_size].flags)
            .fetch_or(ring_collected, std::memory_order_release);
    ++ioctls_;
    if (::ioctl(vm_->fd(), KVM_RESET_DIRTY_RINGS, 0) < 0)
        throw MachineError::from_errno("KVM_RESET_DIRTY_RINGS", errno);
}

}  // namespace tinykvm::kvm
