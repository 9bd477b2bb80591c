#include "src/vmod/counters.hpp"

#include <atomic>
#include <cstddef>
#include <thread>

#include "src/vmod/varnish.hpp"

extern "C" {
#include "VSC_VMOD_KVM.h"
}

namespace tinykvm::vmod {

namespace {

// Trivially destroyed: other threads may still count when the process ends.
std::atomic<struct VSC_VMOD_KVM*> current = nullptr;
std::atomic<unsigned> adding = 0;  // threads that may be using it now
struct vsc_seg* handle = nullptr;
unsigned references = 0;

std::uint64_t* field(struct VSC_VMOD_KVM* segment, host::Counter counter) {
    switch (counter) {
        case host::Counter::program_notfound: return &segment->program_notfound;
        case host::Counter::program_exception: return &segment->program_exception;
        case host::Counter::program_timeout: return &segment->program_timeout;
        case host::Counter::exception_time: return &segment->exception_time;
        case host::Counter::program_status_2xx: return &segment->program_status_2xx;
        case host::Counter::program_status_3xx: return &segment->program_status_3xx;
        case host::Counter::program_status_4xx: return &segment->program_status_4xx;
        case host::Counter::program_status_5xx: return &segment->program_status_5xx;
        case host::Counter::requests: return &segment->requests;
        case host::Counter::interrupted: return &segment->interrupted;
        case host::Counter::connections: return &segment->connections;
        case host::Counter::input_bytes: return &segment->input_bytes;
        case host::Counter::output_bytes: return &segment->output_bytes;
        case host::Counter::boots: return &segment->boots;
        case host::Counter::boots_failed: return &segment->boots_failed;
        case host::Counter::forks: return &segment->forks;
        case host::Counter::resets: return &segment->resets;
        case host::Counter::pages_restored: return &segment->pages_restored;
        case host::Counter::exits: return &segment->exits;
        case host::Counter::guest_faults: return &segment->guest_faults;
        case host::Counter::kvm_calls: return &segment->kvm_calls;
        case host::Counter::cpu_time: return &segment->cpu_time;
        case host::Counter::queue_wait: return &segment->queue_wait;
        case host::Counter::queue_timeouts: return &segment->queue_timeouts;
        case host::Counter::fetch_time: return &segment->fetch_time;
        case host::Counter::self_requests: return &segment->self_requests;
        case host::Counter::self_requests_failed: return &segment->self_requests_failed;
    }
    return nullptr;
}

}  // namespace

Counters& Counters::get() {
    static Counters counters;
    return counters;
}

void Counters::acquire() {
    if (references++ == 0) {
        // The literal "" makes the names VMOD_KVM.program_notfound and so on.
        struct VSC_VMOD_KVM* segment = VSC_VMOD_KVM_New(nullptr, &handle, "");
        AN(segment);
        current = segment;
    }
}

void Counters::release() {
    assert(references > 0);
    if (--references == 0) {
        current = nullptr;
        while (adding != 0) {
            std::this_thread::yield();
        }
        VSC_VMOD_KVM_Destroy(&handle);
    }
}

void Counters::add(host::Counter counter, std::uint64_t amount) noexcept {
    if (amount == 0) {
        return;
    }
    // This comes before reading `current`: either release() sees it and waits, or this thread sees that the counters
    // have gone.
    ++adding;
    if (struct VSC_VMOD_KVM* segment = current; segment != nullptr) {
        __atomic_fetch_add(field(segment, counter), amount, __ATOMIC_RELAXED);
    }
    --adding;
}

}  // namespace tinykvm::vmod
