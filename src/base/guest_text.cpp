#include "src/base/guest_text.hpp"

namespace tinykvm::host {

std::string hex(unsigned long long value) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    do {
        out.insert(out.begin(), digits[value & 15]);
        value >>= 4;
    } while (value != 0);
    return "0x" + out;
}

}  // namespace tinykvm::host
