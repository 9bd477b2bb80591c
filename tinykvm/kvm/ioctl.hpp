// Numbers and shapes of the KVM ioctls whose C++ view in Debian 12's <linux/kvm.h> is wrong: there, in C++,
// structures that end in a flexible array are larger than the kernel's, and with them the ioctl numbers.
// Source: Linux Documentation/virt/kvm/api.rst. Included by tinykvm/kvm/*.cpp only.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cstdint>
#include <vector>

namespace tinykvm::kvm {

// A header of two 32-bit words (the count and padding), then the entries.
template <typename Entry>
class CountedArray {
  public:
    explicit CountedArray(std::uint32_t count) : words_(1 + (count * sizeof(Entry) + 7) / 8) { set_count(count); }
    void* data() { return words_.data(); }
    std::uint32_t count() const { return static_cast<std::uint32_t>(words_[0]); }
    void set_count(std::uint32_t count) { words_[0] = count; }
    Entry* entries() { return reinterpret_cast<Entry*>(words_.data() + 1); }

  private:
    std::vector<std::uint64_t> words_;
};

struct Header {
    std::uint32_t count, padding;
};
static_assert(sizeof(Header) == 8);
static_assert(sizeof(kvm_cpuid_entry2) == 40);
static_assert(sizeof(kvm_msr_entry) == 16);

inline constexpr unsigned long get_supported_cpuid = _IOWR(KVMIO, 0x05, Header);
inline constexpr unsigned long set_cpuid2 = _IOW(KVMIO, 0x90, Header);
inline constexpr unsigned long set_msrs = _IOW(KVMIO, 0x89, Header);
// The number of an XSAVE ioctl contains the size of the first page; images may be longer (KVM_GET_XSAVE2).
inline constexpr std::size_t xsave_page = 4096;
inline constexpr unsigned long get_xsave = _IOR(KVMIO, 0xA4, char[xsave_page]);
inline constexpr unsigned long set_xsave = _IOW(KVMIO, 0xA5, char[xsave_page]);
inline constexpr unsigned long get_xsave2 = _IOR(KVMIO, 0xCF, char[xsave_page]);
static_assert(get_xsave == 0x9000AEA4);
static_assert(get_supported_cpuid == 0xC008AE05);
static_assert(set_cpuid2 == 0x4008AE90);
static_assert(set_msrs == 0x4008AE89);

}  // namespace tinykvm::kvm
