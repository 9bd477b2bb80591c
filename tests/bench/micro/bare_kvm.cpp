#include "tests/bench/micro/bare_kvm.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/ioctl.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::bench {

namespace {

// Guest-virtual addresses are the guest-physical ones, but for the doorbell, behind which there is no memory.
constexpr std::uint64_t root = 0x1000, level3 = 0x2000, level2 = 0x3000, code = 0x8000, doorbell = 0x9000;
constexpr std::uint64_t level1 = 0x10000, data = large_page_size, no_memory = 0x70000000;
constexpr std::uint64_t present_writable_user = 0x67;  // and accessed and dirty
constexpr std::size_t entries = 512;
constexpr std::size_t ring_offset = std::size_t{KVM_DIRTY_LOG_PAGE_OFFSET} * page_size;

constexpr std::uint64_t touching = code, asking = code + 28;
constexpr std::uint8_t program[] = {
    0x48, 0x89, 0xF8,                             // mov %rdi, %rax
    0x80, 0x08, 0x00,                             // orb $0, (%rax)
    0x48, 0x05, 0x00, 0x10, 0x00, 0x00,           // add $4096, %rax
    0x48, 0x39, 0xF0,                             // cmp %rsi, %rax
    0x72, 0xF2,                                   // jb back to the store
    0xA3, 0x00, 0x90, 0,    0,    0,    0, 0, 0,  // movabs %eax, doorbell
    0xEB, 0xE4,                                   // jmp to the beginning
    0x85, 0xFF,                                   // test %edi, %edi
    0x74, 0x08,                                   // je to the store
    0x31, 0xC0,                                   // xor %eax, %eax
    0x0F, 0xA2,                                   // cpuid
    0xFF, 0xCF,                                   // dec %edi
    0xEB, 0xF4,                                   // jmp to the test
    0xA3, 0x00, 0x90, 0,    0,    0,    0, 0, 0,  // movabs %eax, doorbell
};

// linux/kvm.h has it since 6.11.
constexpr int cap_pre_fault_memory = 236;
struct PreFault {
    std::uint64_t physical, size, flags, padding[5];
};
constexpr unsigned long pre_fault_memory = _IOWR(KVMIO, 0xD5, PreFault);

int opened() {
    static const FileDescriptor kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    return kvm.get();
}

int require(int result, const char* what) {
    if (result < 0) throw MachineError::from_errno(what, errno);
    return result;
}

// Asking for it executes CPUID, which may leave a virtual machine that the host is.
kvm::CountedArray<kvm_cpuid_entry2> supported_cpuid() {
    kvm::CountedArray<kvm_cpuid_entry2> table(256);
    require(::ioctl(opened(), kvm::get_supported_cpuid, table.data()), "KVM_GET_SUPPORTED_CPUID");
    return table;
}

kvm_segment segment(std::uint16_t selector, bool is_code) {
    kvm_segment s{};
    s.limit = 0xFFFFFFFF;
    s.selector = selector;
    s.type = is_code ? 11 : 3;
    s.present = s.s = s.g = 1;
    s.dpl = 3;
    s.db = !is_code;
    s.l = is_code;
    return s;
}

}  // namespace

FileDescriptor filled_file(std::size_t pages) {
    FileDescriptor file(::memfd_create("bench image", MFD_CLOEXEC));
    const std::size_t size = pages * page_size;
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        throw MachineError::from_errno("cannot make an image", errno);
    const Mapping all("cannot map an image", size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
    std::memset(all.data(), 0xA5, size);
    return file;
}

BareVm::BareVm(const Shape& shape, int image) : shape_(shape) {
    map_memory(image);
    write_tables();
}

void BareVm::create() {
    vm_ = FileDescriptor(require(::ioctl(opened(), KVM_CREATE_VM, 0), "KVM_CREATE_VM"));
    require(::ioctl(vm_.get(), KVM_SET_TSS_ADDR, 0xFFFBD000ul), "KVM_SET_TSS_ADDR");
    if (shape_.ring > 0) {
        kvm_enable_cap ring{};
        ring.cap = KVM_CAP_DIRTY_LOG_RING;
        ring.args[0] = shape_.ring * sizeof(kvm_dirty_gfn);
        require(::ioctl(vm_.get(), KVM_ENABLE_CAP, &ring), "KVM_CAP_DIRTY_LOG_RING");
    }
    make_vcpu();
    kvm_userspace_memory_region region{};
    region.flags = shape_.ring > 0 ? KVM_MEM_LOG_DIRTY_PAGES : 0;
    region.memory_size = memory_.size();
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory_.data());
    require(::ioctl(vm_.get(), KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

void BareVm::map_memory(int image) {
    const std::size_t size = data + ((shape_.pages * page_size + large_page_size - 1) & ~(large_page_size - 1));
    memory_ = Mapping("cannot reserve memory", size + large_page_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    const auto excess = reinterpret_cast<std::uintptr_t>(memory_.data()) % large_page_size;
    memory_.trim((large_page_size - excess) % large_page_size, size);
    std::byte* const begin = memory_.data() + data;
    if (shape_.huge) {
        require(::madvise(begin, size - data, MADV_HUGEPAGE), "MADV_HUGEPAGE");
    } else if (::mmap(begin, shape_.pages * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                      image, 0) == MAP_FAILED) {
        throw MachineError::from_errno("cannot map the image", errno);
    }
    // One more for a page at the edge whose rights differ from its neighbour's, two for one in the middle.
    constexpr std::size_t fewest = 3;  // zero memory, image, what the vCPU shares
    std::size_t more = std::max(shape_.mappings, fewest) - fewest;
    for (std::size_t page = more % 2 ? 0 : 0x20; more > 0; page = std::max<std::size_t>(page + 2, 0x20)) {
        require(::mprotect(memory_.data() + page * page_size, page_size, PROT_READ), "mprotect");
        more -= page == 0 ? 1 : 2;
    }
}

void BareVm::write_tables() {
    const auto put = [&](std::uint64_t table, std::uint64_t index, std::uint64_t target) {
        const std::uint64_t entry = target | present_writable_user;
        std::memcpy(memory_.data() + table + index * sizeof entry, &entry, sizeof entry);
    };
    put(root, 0, level3);
    put(level3, 0, level2);
    const auto table = [&](std::uint64_t block) { return block == 0 ? level1 : level1 + block * page_size; };
    for (std::uint64_t at = 0; at < memory_.size(); at += page_size) {
        const std::uint64_t block = at / large_page_size;
        if (at % large_page_size == 0) put(level2, block, table(block));
        put(table(block), at / page_size % entries, at == doorbell ? no_memory : at);
    }
    std::memcpy(memory_.data() + code, program, sizeof program);
}

void BareVm::make_vcpu() {
    vcpu_ = FileDescriptor(require(::ioctl(vm_.get(), KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU"));
    const std::size_t size =
        shape_.ring > 0
            ? ring_offset + shape_.ring * sizeof(kvm_dirty_gfn)
            : static_cast<std::size_t>(require(::ioctl(opened(), KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"));
    shared_ = Mapping("cannot map a virtual CPU", size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_.get());
    static kvm::CountedArray<kvm_cpuid_entry2> table = supported_cpuid();
    require(::ioctl(vcpu_.get(), kvm::set_cpuid2, table.data()), "KVM_SET_CPUID2");
    kvm_sregs system{};
    require(::ioctl(vcpu_.get(), KVM_GET_SREGS, &system), "KVM_GET_SREGS");
    system.cr0 = 0x80050033;
    system.cr3 = root;
    system.cr4 = 1 << 5 | 1 << 9 | 1 << 10;
    system.efer = 0xD01;
    system.cs = segment(0x33, true);
    system.ss = system.ds = system.es = system.fs = system.gs = segment(0x2B, false);
    require(::ioctl(vcpu_.get(), KVM_SET_SREGS, &system), "KVM_SET_SREGS");
}

void BareVm::set_registers(std::uint64_t rip, std::uint64_t rdi, std::uint64_t rsi) {
    kvm_regs registers{};
    registers.rip = rip;
    registers.rdi = rdi;
    registers.rsi = rsi;
    registers.rflags = 0x202;
    require(::ioctl(vcpu_.get(), KVM_SET_REGS, &registers), "KVM_SET_REGS");
}

void BareVm::populate() {
    require(::madvise(memory_.data() + data, shape_.pages * page_size, MADV_POPULATE_WRITE), "MADV_POPULATE_WRITE");
}

bool BareVm::pre_fault() {
    if (::ioctl(vm_.get(), KVM_CHECK_EXTENSION, cap_pre_fault_memory) <= 0) return false;
    PreFault range{.physical = data, .size = shape_.pages * page_size, .flags = 0, .padding = {}};
    while (range.size > 0)
        if (::ioctl(vcpu_.get(), pre_fault_memory, &range) < 0 && errno != EINTR) return false;
    return true;
}

void BareVm::touch() {
    if (!touches_) set_registers(touching, data, data + shape_.pages * page_size);
    touches_ = true;
    run();
}

void BareVm::ask_cpuid(unsigned times) {
    touches_ = false;
    set_registers(asking, times, 0);
    run();
}

void BareVm::run() {
    require(::ioctl(vcpu_.get(), KVM_RUN, 0), "KVM_RUN");
    const auto* const run = reinterpret_cast<const kvm_run*>(shared_.data());
    if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != no_memory)
        throw MachineError("the bare guest went astray: exit " + std::to_string(run->exit_reason));
}

}  // namespace tinykvm::bench
