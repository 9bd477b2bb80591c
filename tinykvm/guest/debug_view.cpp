#include "tinykvm/guest/debug_view.hpp"

#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/threads.hpp"

namespace tinykvm {

std::vector<int> DebugView::threads() const {
    std::vector<int> ids;
    if (state().thread.id != 0) ids.push_back(state().thread.id);  // else it has ended, and the others wait
    for (const linux_abi::ParkedThread& parked : state().parked) ids.push_back(parked.state.id);
    return ids;
}

std::string DebugView::thread_name(int thread) const {
    const linux_abi::ThreadState* found = linux_abi::find_thread(state(), thread);
    return found ? found->name.data() : "";
}

debug::ThreadRegisters DebugView::registers(int thread) const {
    for (const linux_abi::ParkedThread& parked : state().parked)
        if (parked.state.id == thread)
            return {parked.registers, parked.pointers.fs_base, parked.pointers.gs_base,
                    parked.vectors ? *parked.vectors : std::vector<std::byte>()};
    if (thread != state().thread.id) return {};
    const linux_abi::ThreadPointers pointers = user_.thread_pointers();
    std::vector<std::byte> image(user_.vectors().size());
    user_.vectors().save(image);
    return {registers_, pointers.fs_base, pointers.gs_base, std::move(image)};
}

bool DebugView::set_registers(const debug::ThreadRegisters& registers) {
    // One that waits makes its call again, for which it needs those that it has.
    if (state().thread.id == 0 || state().thread.wait.what != linux_abi::Wait::For::processor) return false;
    changed_ = true;
    if (!registers.vectors.empty() && !user_.vectors().load(registers.vectors)) return false;
    registers_ = registers.general;
    return true;
}

bool DebugView::switch_to(int thread) {
    const linux_abi::ThreadState* found = linux_abi::find_thread(state(), thread);
    const bool can_go_on = found && found->wait.what == linux_abi::Wait::For::processor &&
                           state().thread.wait.what == linux_abi::Wait::For::processor;
    if (!can_go_on) return false;
    changed_ = true;
    linux_abi::ThreadPointers pointers = user_.thread_pointers();
    if (!user_.use_process().switch_to_thread(thread, registers_, pointers, user_.vectors())) return false;
    user_.set_thread_pointers(pointers);
    return true;
}

bool DebugView::has_avx() const {
    constexpr std::uint64_t avx = 4;
    return user_.vectors().features() & avx;
}

bool DebugView::read(GuestAddr from, std::span<std::byte> to) const { return memory_.read(from, to.data(), to.size()); }

bool DebugView::write(GuestAddr to, std::span<const std::byte> from) {
    changed_ = true;
    try {
        return memory_.fill(to, from);
    } catch (const OutOfMemory&) {
        return false;  // the program goes on as if nothing had been asked of it
    }
}

}  // namespace tinykvm
