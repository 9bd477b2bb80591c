// The request VMs of a program: made when they are first needed, at most `concurrency` of them; requests that
// find none wait in line.
//
// Thread safety: any thread. Each lease keeps its pool alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/fetch/wait_graph.hpp"
#include "src/vms/program_statistics.hpp"
#include "src/vms/request_vm.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class Pool;

// A request VM that is the holder's until this object is gone. See RequestVm for what to do with it.
class Lease {
  public:
    Lease() = default;
    Lease(std::shared_ptr<Pool> pool, RequestVm& vm) : pool_(std::move(pool)), vm_(&vm) {}
    Lease(Lease&& other) noexcept : pool_(std::move(other.pool_)), vm_(std::exchange(other.vm_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { give_back(); }

    explicit operator bool() const { return vm_ != nullptr; }
    RequestVm& operator*() const { return *vm_; }
    RequestVm* operator->() const { return vm_; }
    void give_back();

  private:
    std::shared_ptr<Pool> pool_;
    RequestVm* vm_ = nullptr;
};

class Pool final : public std::enable_shared_from_this<Pool>, private RequestVm::Observer {
  public:
    Pool(std::shared_ptr<const BootedProgram> program, std::shared_ptr<ProgramStatistics> statistics);
    // With statistics of its own.
    Pool(std::shared_ptr<const BootedProgram> program, CounterSink& counters);
    ~Pool();

    // Waits in line until a VM is free, or `until`. Empty when the pool is retired. Throws Failure: busy,
    // client_gone, shutting_down, or host_error when no VM can be made. With the self-request that the request is
    // inside of (0: none) it is also busy at once when it would wait for itself.
    Lease acquire(Deadline until, const IsClientGone& gone, WaitGraph::Id inside_of = 0);
    // One that is free right now; an empty lease when there is none, or others wait.
    Lease try_acquire();

    // Nobody gets a VM until that ends, but requests inside of self-requests, for which others may wait: they wait in
    // line.
    void hold(bool on);
    // Is no VM in use?
    bool is_idle() const;

    // Another pool takes over: requests that wait are sent away, free VMs end, and the others when they are given back.
    void retire();
    // Ends everything: requests that wait fail, guests that run are interrupted, free VMs end. Waits at most `patience`
    // for VMs that are leased; those that still are end when they are given back.
    void close(std::chrono::milliseconds patience);
    // For a pool that is retired or closed: have all VMs and their threads ended? It has to be asked now and then,
    // because it also repeats interrupts that came too early.
    bool has_ended();

    // For tests and displays.
    struct Occupancy {
        std::size_t vms = 0, idle = 0, waiting = 0;
    };
    Occupancy occupancy() const;

    // For a process that panics, whose threads may hold any mutex and whose heap may be broken: waits for no mutex and
    // takes no memory. Calls `each` with the VM's number, its state (null: it changes right now) and the requests it
    // was given so far. False, and nothing was called, when the pool's mutex is held.
    using VisitVm = void (*)(void* context, std::size_t number, const char* state, std::uint64_t requests);
    bool visit_unless_locked(Occupancy& occupancy, VisitVm each, void* context) const noexcept;

  private:
    struct IdleVm {
        RequestVm* vm;
        int cpu;  // of the thread that used it last
    };
    struct Waiter {  // its members are guarded by the mutex of the pool
        CondVar served;
        RequestVm* vm = nullptr;
        bool sent_away = false;
        std::optional<Failure> failure;
        bool is_inside = false;        // of a self-request
        WaitGraph::Entry graph_entry;  // for such a wait; ends when a VM is given, not when that is noticed

        bool is_done() const { return vm != nullptr || sent_away || failure; }
    };
    enum class State { open, retired, closed };

    void vm_idle(RequestVm& vm) override;
    void vm_withdrawn(RequestVm& vm, const std::string& why) override;

    // Null: there is none, others wait, or the pool is held.
    RequestVm* take_idle(bool is_inside) TINYKVM_REQUIRES(mutex_);
    // Gives it to who waits first. False: nobody may have one now.
    bool give(RequestVm& vm) TINYKVM_REQUIRES(mutex_);
    RequestVm* wait_in_line(Deadline until, const IsClientGone& gone, WaitGraph::Id inside_of) TINYKVM_REQUIRES(mutex_);
    void refuse_hopeless_wait(Waiter& waiter, WaitGraph::Id inside_of);
    void join_line(Waiter& waiter) TINYKVM_REQUIRES(mutex_);
    void leave_line(Waiter& waiter) TINYKVM_REQUIRES(mutex_);
    bool is_promised_a_vm(const Waiter& waiter) const TINYKVM_REQUIRES(mutex_);
    void make_vms_for_waiters() TINYKVM_REQUIRES(mutex_);
    void fail_waiters(const Failure& failure) TINYKVM_REQUIRES(mutex_);
    void dismiss_vms() TINYKVM_REQUIRES(mutex_);
    void join_withdrawn() TINYKVM_REQUIRES(mutex_);

    const std::shared_ptr<const BootedProgram> program_;
    const std::shared_ptr<ProgramStatistics> statistics_;

    mutable Mutex mutex_;  // taken before the mutex of a VM
    CondVar vm_gone_;
    std::vector<std::unique_ptr<RequestVm>> vms_ TINYKVM_GUARDED_BY(mutex_);
    // Their threads are about to end.
    std::vector<std::unique_ptr<RequestVm>> withdrawn_ TINYKVM_GUARDED_BY(mutex_);
    // Of those that were used on the CPU of who takes one, the last one in is the first one out, else of all of them:
    // its memory, and what KVM knows of it, may be in that CPU's caches.
    std::vector<IdleVm> idle_ TINYKVM_GUARDED_BY(mutex_);
    std::deque<Waiter*> waiters_ TINYKVM_GUARDED_BY(mutex_);
    std::set<RequestVm*> building_ TINYKVM_GUARDED_BY(mutex_);  // those that were never idle yet
    State state_ TINYKVM_GUARDED_BY(mutex_) = State::open;
    bool is_held_ TINYKVM_GUARDED_BY(mutex_) = false;
};

}  // namespace tinykvm::host
