#include "tinykvm/kvm/advice.hpp"

#include <cerrno>
#include <cstring>

namespace tinykvm::kvm {

namespace {

enum class Trouble { missing, denied, either, other };

struct Advice {
    Trouble trouble;
    const char* text;
};

constexpr Advice advice[] = {
#define KVM_ADVICE(trouble, text) {Trouble::trouble, text},
#include "tinykvm/kvm/advice.def"
#undef KVM_ADVICE
};

// ENXIO and ENODEV: there is a device node, as in many containers, but no module that answers it.
Trouble trouble_of(int error) {
    switch (error) {
        case ENOENT:
        case ENXIO:
        case ENODEV: return Trouble::missing;
        case EACCES:
        case EPERM: return Trouble::denied;
        default: return Trouble::other;
    }
}

}  // namespace

std::string describe_open_failure(int error) {
    const Trouble trouble = trouble_of(error);
    std::string text = "cannot open /dev/kvm: " + std::string(std::strerror(error));
    if (trouble == Trouble::other) return text + "; the kernel log (dmesg) may say why";
    for (const Advice& one : advice)
        if (one.trouble == trouble || one.trouble == Trouble::either) text += std::string("\n") + one.text;
    return text;
}

}  // namespace tinykvm::kvm
