// What a program said about itself while it booted.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "src/calls/guest_abi.hpp"
#include "src/calls/regex.hpp"
#include "src/calls/storage.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

struct Registration {
    enum class Waiting {
        no,         // has not called wait_for_requests yet
        callbacks,  // wait_for_requests: a callback per request
        paused,     // wait_for_requests_paused: goes on after the call, once per request
    };
    Waiting waiting = Waiting::no;
    GuestAddr paused_request = 0;                            // where a paused program wants its kvm_request
    std::array<GuestAddr, abi::callback_limit> callbacks{};  // 0: not registered

    std::shared_ptr<const RegexSet> regexes;  // null: none
    bool ephemeral = true;                    // VMs are reset after each request

    // Of a storage: what requests may call (empty: everything), and the tasks that it began while it booted.
    std::vector<GuestAddr> storage_functions;
    std::vector<StorageTask> storage_tasks;

    // All but what only a storage has.
    template <typename Archive>
    void archive(Archive& archive) {
        archive(waiting, paused_request, callbacks, regexes, ephemeral);
    }

    GuestAddr callback(abi::Callback which) const { return callbacks[static_cast<std::size_t>(which)]; }
};

}  // namespace tinykvm::host
