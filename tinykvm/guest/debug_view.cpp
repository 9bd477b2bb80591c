#include "tinykvm/guest/debug_view.hpp"

#include "tinykvm/linux/threads.hpp"

namespace tinykvm {

std::vector<int> DebugView::threads() const {
    std::vector<int> ids{state().thread.id};
    for (const linux_abi::ParkedThread& parked : state().parked) ids.push_back(parked.state.id);
    return ids;
}

std::string DebugView::thread_name(int thread) const {
    const linux_abi::ThreadState* found = linux_abi::find_thread(state(), thread);
    return found ? found->name.data() : "";
}

Registers DebugView::registers(int thread) const {
    for (const linux_abi::ParkedThread& parked : state().parked)
        if (parked.state.id == thread) return parked.registers;
    return thread == state().thread.id ? registers_ : Registers{};
}

bool DebugView::set_registers(const Registers& registers) {
    registers_ = registers;
    return true;
}

bool DebugView::switch_to(int thread) {
    const linux_abi::ThreadState* found = linux_abi::find_thread(state(), thread);
    if (!found || found->wait.what != linux_abi::Wait::For::processor) return false;
    linux_abi::ThreadPointers pointers = user_.thread_pointers();
    if (!user_.use_process().switch_to_thread(thread, registers_, pointers, user_.vectors())) return false;
    user_.set_thread_pointers(pointers);
    return true;
}

bool DebugView::read(GuestAddr from, std::span<std::byte> to) const { return memory_.read(from, to.data(), to.size()); }

bool DebugView::write(GuestAddr to, std::span<const std::byte> from) { return memory_.fill(to, from); }

}  // namespace tinykvm
