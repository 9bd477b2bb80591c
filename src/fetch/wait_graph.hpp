// Finds requests that wait for a VM which cannot become free before they have been answered: a program asks Varnish for
// what it answers itself, directly or through other programs, and all its VMs are held by requests that do so.
//
// It knows the self-requests under way, each of which may hold a VM of a pool and may be inside of another one, and the
// requests that wait for a VM on behalf of one. A wait is hopeless when every VM of its pool is held by a self-request
// for whose response a hopeless wait would have to end. A request that is inside of no self-request keeps none of them
// waiting in vain, so it is not in the graph and costs nothing here.
//
// Thread safety: any thread. Its mutex is taken after all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class WaitGraph {
  public:
    // Identifies a self-request under way. It is random, so that a client cannot guess it. 0: none.
    using Id = std::uint64_t;

    // A self-request or a wait that is in the graph until this object is destroyed.
    class Entry {
      public:
        Entry() = default;
        Entry(Entry&& other) noexcept { *this = std::move(other); }
        Entry& operator=(Entry&& other) noexcept;
        ~Entry() { end(); }
        // The Id of a self-request; that of a wait means nothing outside of the graph.
        Id id() const { return id_; }
        void end();

      private:
        friend class WaitGraph;
        WaitGraph* graph_ = nullptr;
        bool is_wait_ = false;
        Id id_ = 0;
    };

    // The one graph of all configurations, because a loop may go through several.
    static WaitGraph& of_process();

    // Adds a self-request, which can be answered when everything done on its behalf is. `pool` is the pool of the VM
    // that is held meanwhile (null: none is), `inside_of` the self-request that waits for it in turn (0: none does).
    // Throws MachineError when there are no random numbers.
    Entry begin_self_request(const void* pool, Id inside_of);

    // Adds a wait for one of the `vms` VMs of a pool, on behalf of a self-request. Nullopt when it would be hopeless. A
    // boot is a pool of one VM that is held until it has booted.
    std::optional<Entry> begin_wait(const void* pool, std::size_t vms, Id inside_of);
    // Removes all waits for VMs of this pool: they are over, even if the threads that waited have not noticed yet.
    void forget_waits(const void* pool);

  private:
    struct SelfRequest {
        const void* pool;
        Id inside_of;
    };
    struct Wait {
        const void* pool;
        std::size_t vms;
        Id inside_of;
    };
    using HeldVms = std::map<const void*, std::size_t>;  // of which pool, how many

    bool is_hopeless(const Wait& wait) const TINYKVM_REQUIRES(mutex_);
    std::set<Id> unanswerable(const std::set<Id>& candidates, const HeldVms& held) const TINYKVM_REQUIRES(mutex_);
    HeldVms vms_held(const std::set<Id>& by) const TINYKVM_REQUIRES(mutex_);
    static bool has_all(const HeldVms& held, const Wait& wait);
    Entry entry(bool is_wait, Id id);

    Mutex mutex_;
    std::map<Id, SelfRequest> self_requests_ TINYKVM_GUARDED_BY(mutex_);
    std::map<Id, Wait> waits_ TINYKVM_GUARDED_BY(mutex_);  // under numbers of their own
    Id last_wait_ TINYKVM_GUARDED_BY(mutex_) = 0;
};

}  // namespace tinykvm::host
