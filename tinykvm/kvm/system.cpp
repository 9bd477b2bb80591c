#include "tinykvm/kvm/system.hpp"

#include <fcntl.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/advice.hpp"
#include "tinykvm/kvm/ioctl.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::kvm {

static_assert(sizeof(CpuidEntry) == sizeof(kvm_cpuid_entry2));
static_assert(offsetof(CpuidEntry, eax) == offsetof(kvm_cpuid_entry2, eax));

namespace {

struct Need {
    int number;
    const char* name;
    const char* purpose;
};

constexpr Need needs[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "guest memory is memory of this process"},
    {KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS", "registers are exchanged without extra system calls"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "deadlines cannot be missed"},
    {KVM_CAP_DIRTY_LOG_RING, "KVM_CAP_DIRTY_LOG_RING", "changed pages are known exactly (Linux 5.11 and newer)"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE", "vector registers are saved and reset"},
    {KVM_CAP_XCRS, "KVM_CAP_XCRS", "AVX and AVX-512 are available to programs"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS", "a VM stopped at any moment can be used again"},
};

// Linux 6.13 ("KVM: Protect vCPU's 'last run PID' with rwlock, not RCU").
bool has_cheap_changes_of_threads() {
    utsname name{};
    if (::uname(&name) != 0) return false;
    int major = 0, minor = 0;
    // NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers are small.
    const int found = std::sscanf(name.release, "%d.%d", &major, &minor);
    return found == 2 && (major > 6 || (major == 6 && minor >= 13));
}

}  // namespace

System::System() {
    changes_threads_freely_ = has_cheap_changes_of_threads();
    fd_ = FileDescriptor(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!fd_) throw MachineError(describe_open_failure(errno));
    if (int version = ::ioctl(fd(), KVM_GET_API_VERSION, 0); version != KVM_API_VERSION)
        throw MachineError("/dev/kvm speaks API version " + std::to_string(version) + ", not 12");

    std::string missing;
    for (const Need& need : needs) {
        bool present = ::ioctl(fd(), KVM_CHECK_EXTENSION, need.number) > 0;
        capabilities_.push_back({need.name, need.purpose, present});
        if (!present) missing += (missing.empty() ? "" : ", ") + std::string(need.name);
    }
    if (!missing.empty())
        throw MachineError("/dev/kvm lacks " + missing + "; a newer kernel has it (Linux 5.11 or later)");

    dirty_ring_entries_ =
        static_cast<std::size_t>(::ioctl(fd(), KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING)) / sizeof(kvm_dirty_gfn);
    if (int xsave = ::ioctl(fd(), KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2); xsave > 4096)
        xsave_size_ = static_cast<std::size_t>(xsave);

    idle_vm_ = create_vm(fd(), Clock::now() + usual_creation_time);
    // It has no interrupt controller, like all our vCPUs: what the kernel patches is kvm_has_noapic_vcpu. Each guest
    // has one with the number 0, so that /proc tells them from this one (anon_inode:kvm-vcpu:0).
    constexpr unsigned long idle_number = 1;
    idle_vcpu_ = FileDescriptor(::ioctl(idle_vm_.get(), KVM_CREATE_VCPU, idle_number));
    if (!idle_vcpu_) throw MachineError::from_errno("cannot create a virtual CPU (KVM_CREATE_VCPU)", errno);

    CountedArray<kvm_cpuid_entry2> table(256);
    if (::ioctl(fd(), get_supported_cpuid, table.data()) < 0)
        throw MachineError::from_errno("KVM_GET_SUPPORTED_CPUID", errno);
    cpuid_.resize(table.count());
    std::memcpy(static_cast<void*>(cpuid_.data()), table.entries(), cpuid_.size() * sizeof(CpuidEntry));
}

const System& System::instance() {
    // This is not a function-local static of System, because after a failure a later attempt may succeed. It is never
    // destroyed, because guests may still run while the process exits.
    static Mutex mutex;
    static const System* system TINYKVM_GUARDED_BY(mutex) = nullptr;
    const MutexLock lock(mutex);
    if (!system) system = new System;
    return *system;
}

}  // namespace tinykvm::kvm
