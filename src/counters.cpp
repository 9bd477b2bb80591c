#include "src/counters.hpp"

#include <atomic>
#include <cstddef>
#include <thread>

#include "src/varnish.hpp"

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

std::uint64_t* field(struct VSC_VMOD_KVM* segment, api::Counter counter) {
    switch (counter) {
        case api::Counter::program_notfound: return &segment->program_notfound;
        case api::Counter::program_exception: return &segment->program_exception;
        case api::Counter::program_timeout: return &segment->program_timeout;
        case api::Counter::exception_time: return &segment->exception_time;
        case api::Counter::program_status_2xx: return &segment->program_status_2xx;
        case api::Counter::program_status_3xx: return &segment->program_status_3xx;
        case api::Counter::program_status_4xx: return &segment->program_status_4xx;
        case api::Counter::program_status_5xx: return &segment->program_status_5xx;
        case api::Counter::requests: return &segment->requests;
        case api::Counter::input_bytes: return &segment->input_bytes;
        case api::Counter::output_bytes: return &segment->output_bytes;
        case api::Counter::boots: return &segment->boots;
        case api::Counter::boots_failed: return &segment->boots_failed;
        case api::Counter::forks: return &segment->forks;
        case api::Counter::resets: return &segment->resets;
        case api::Counter::pages_restored: return &segment->pages_restored;
        case api::Counter::exits: return &segment->exits;
        case api::Counter::guest_faults: return &segment->guest_faults;
        case api::Counter::kvm_calls: return &segment->kvm_calls;
        case api::Counter::cpu_time: return &segment->cpu_time;
        case api::Counter::queue_wait: return &segment->queue_wait;
        case api::Counter::queue_timeouts: return &segment->queue_timeouts;
        case api::Counter::fetch_time: return &segment->fetch_time;
        case api::Counter::self_requests: return &segment->self_requests;
        case api::Counter::self_requests_failed: return &segment->self_requests_failed;
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

void Counters::add(api::Counter counter, std::uint64_t amount) noexcept {
    if (amount == 0) {
        return;
    }
    // Said before the look at `current`, so that release() either sees it or is seen.
    ++adding;
    if (struct VSC_VMOD_KVM* segment = current; segment != nullptr) {
        __atomic_fetch_add(field(segment, counter), amount, __ATOMIC_RELAXED);
    }
    --adding;
}

}  // namespace tinykvm::vmod
