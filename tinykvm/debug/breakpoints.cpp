#include "tinykvm/debug/breakpoints.hpp"

#include <vector>

namespace tinykvm::debug {

namespace {

constexpr std::byte breakpoint_code{0xCC};

}  // namespace

bool Breakpoints::insert(Target& target, GuestAddr address) {
    if (codes_.contains(address)) return true;
    std::byte code{};
    if (codes_.size() == most || !target.read(address, {&code, 1}) || !target.write(address, {&breakpoint_code, 1}))
        return false;
    codes_.emplace(address, code);
    return true;
}

void Breakpoints::remove(Target& target, GuestAddr address) {
    const auto found = codes_.find(address);
    if (found == codes_.end()) return;
    // The program may have unmapped the place, or changed what is there itself.
    std::byte code{};
    if (target.read(address, {&code, 1}) && code == breakpoint_code) (void)target.write(address, {&found->second, 1});
    codes_.erase(found);
}

void Breakpoints::remove_all(Target& target) {
    while (!codes_.empty()) remove(target, codes_.begin()->first);
}

void Breakpoints::hide(GuestAddr from, std::span<std::byte> bytes) const {
    for (auto at = codes_.lower_bound(from); at != codes_.end() && at->first - from < bytes.size(); ++at)
        if (std::byte& byte = bytes[at->first - from]; byte == breakpoint_code) byte = at->second;
}

bool Breakpoints::write(Target& target, GuestAddr to, std::span<const std::byte> bytes) {
    std::vector<std::byte> with_codes(bytes.begin(), bytes.end());
    const auto first = codes_.lower_bound(to);
    for (auto at = first; at != codes_.end() && at->first - to < bytes.size(); ++at)
        with_codes[at->first - to] = breakpoint_code;
    if (!target.write(to, with_codes)) return false;
    for (auto at = first; at != codes_.end() && at->first - to < bytes.size(); ++at) at->second = bytes[at->first - to];
    return true;
}

}  // namespace tinykvm::debug
