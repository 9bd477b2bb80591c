#include "src/vms/pool.hpp"

#include <sched.h>

#include <algorithm>
#include <iterator>

namespace tinykvm::host {

namespace {

constexpr auto look_around = std::chrono::milliseconds(100);

}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
    if (this != &other) {
        give_back();
        pool_ = std::move(other.pool_);
        vm_ = std::exchange(other.vm_, nullptr);
    }
    return *this;
}

void Lease::give_back() {
    if (vm_ != nullptr) {
        std::exchange(vm_, nullptr)->release();
        pool_.reset();
    }
}

Pool::Pool(std::shared_ptr<const BootedProgram> program, std::shared_ptr<ProgramStatistics> statistics)
    : program_(std::move(program)), statistics_(std::move(statistics)) {}

Pool::Pool(std::shared_ptr<const BootedProgram> program, CounterSink& counters)
    : Pool(std::move(program), std::make_shared<ProgramStatistics>(counters)) {}

Pool::~Pool() {
    // There are no more leases, so every thread ends.
    close(std::chrono::milliseconds(0));
    const MutexLock lock(mutex_);
    while (!vms_.empty()) {
        vm_gone_.wait(mutex_);
    }
    join_withdrawn();
}

Pool::Occupancy Pool::occupancy() const {
    const MutexLock lock(mutex_);
    return {vms_.size(), idle_.size(), waiters_.size()};
}

bool Pool::visit_unless_locked(Occupancy& occupancy, VisitVm each, void* context) const noexcept {
    if (!mutex_.try_lock()) {
        return false;
    }
    const MutexLock lock(mutex_, std::adopt_lock);
    occupancy = {vms_.size(), idle_.size(), waiters_.size()};
    for (std::size_t i = 0; i < vms_.size(); ++i) {
        const auto state = vms_[i]->state_unless_locked();
        each(context, i, state ? to_string(*state) : nullptr, vms_[i]->statistics().count(Counter::requests));
    }
    return true;
}

// Joins the threads of VMs that have come to their end.
void Pool::join_withdrawn() {
    if (!withdrawn_.empty()) {
        auto ended = std::exchange(withdrawn_, {});
        const MutexUnlock unlocked(mutex_);
        ended.clear();
    }
}

Lease Pool::acquire(Deadline until, const IsClientGone& gone, WaitGraph::Id inside_of) {
    const MutexLock lock(mutex_);
    join_withdrawn();
    if (state_ == State::closed) {
        throw Failure(FailureKind::shutting_down, "the program is being shut down");
    }
    if (state_ == State::retired) {
        return {};
    }
    if (RequestVm* vm = take_idle(inside_of != 0); vm != nullptr) {
        return Lease(shared_from_this(), *vm);
    }
    RequestVm* vm = wait_in_line(until, gone, inside_of);
    return vm != nullptr ? Lease(shared_from_this(), *vm) : Lease();
}

Lease Pool::try_acquire() {
    const MutexLock lock(mutex_);
    RequestVm* vm = state_ == State::open ? take_idle(false) : nullptr;
    return vm != nullptr ? Lease(shared_from_this(), *vm) : Lease();
}

RequestVm* Pool::take_idle(bool is_inside) {
    // While it is held VMs may be idle though others wait, and who is inside goes before these anyway.
    const bool must_wait =
        is_held_ ? !is_inside || (!waiters_.empty() && waiters_.front()->is_inside) : !waiters_.empty();
    if (must_wait || idle_.empty()) {
        return nullptr;
    }
    const auto is_near = [cpu = ::sched_getcpu()](const IdleVm& idle) { return idle.cpu == cpu; };
    auto chosen = std::find_if(idle_.rbegin(), idle_.rend(), is_near);
    if (chosen == idle_.rend()) {
        chosen = idle_.rbegin();
    }
    RequestVm* vm = chosen->vm;
    idle_.erase(std::next(chosen).base());
    vm->reserve();
    return vm;
}

// Null: the request is sent away, because the pool is retired.
RequestVm* Pool::wait_in_line(Deadline until, const IsClientGone& gone, WaitGraph::Id inside_of) {
    const auto begin = Clock::now();
    Waiter me;
    refuse_hopeless_wait(me, inside_of);
    join_line(me);
    try {
        make_vms_for_waiters();
    } catch (...) {
        if (vms_.empty()) {  // else one of them will serve this request
            leave_line(me);
            throw;
        }
    }
    while (!me.is_done()) {
        me.served.wait_until(mutex_, std::min(until, Clock::now() + look_around));
        if (me.is_done()) {
            break;
        }
        if (Clock::now() >= until && !is_promised_a_vm(me)) {
            statistics_->add(Counter::queue_timeouts, 1);
            me.failure.emplace(FailureKind::busy, "no VM became free within max_queue_time (" +
                                                      std::to_string(program_->config.max_queue_time.count() / 1000) +
                                                      " ms); " + std::to_string(vms_.size()) + " in use, " +
                                                      std::to_string(waiters_.size() - 1) + " other requests waiting");
        } else if (Clock::now() >= until) {
            me.served.wait_until(mutex_, Clock::now() + look_around);  // its VM is being built
        }
        if (gone && !me.is_done()) {
            bool left = false;
            {
                const MutexUnlock unlocked(mutex_);
                left = gone();
            }
            if (left && !me.is_done()) {
                me.failure.emplace(FailureKind::client_gone, "the client left while its request was waiting");
            }
        }
    }
    const auto wait = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    CounterSink& whose = me.vm != nullptr ? static_cast<CounterSink&>(me.vm->statistics()) : *statistics_;
    whose.add(Counter::queue_wait, static_cast<std::uint64_t>(wait.count()));
    if (me.vm != nullptr || me.sent_away) {
        return me.vm;
    }
    leave_line(me);
    throw Failure(*me.failure);
}

void Pool::refuse_hopeless_wait(Waiter& waiter, WaitGraph::Id inside_of) {
    const unsigned vms = program_->config.concurrency;
    if (inside_of == 0) {
        return;
    }
    // The same address as that of the observer of its VMs, which stands for the pool in the graph.
    auto entry = WaitGraph::of_process().begin_wait(static_cast<Observer*>(this), vms, inside_of);
    if (!entry) {
        throw Failure(FailureKind::busy,
                      "all its VMs (concurrency: " + std::to_string(vms) +
                          ") wait for requests to Varnish that need another one: the program asks for what it answers "
                          "itself, directly or through other programs; give it more concurrency");
    }
    waiter.graph_entry = *std::move(entry);
    waiter.is_inside = true;
}

// First come, first served; but requests inside of self-requests, for which VMs of this pool may wait, go before those
// of clients.
void Pool::join_line(Waiter& waiter) {
    const auto is_of_client = [](const Waiter* one) { return !one->is_inside; };
    waiters_.insert(waiter.is_inside ? std::find_if(waiters_.begin(), waiters_.end(), is_of_client) : waiters_.end(),
                    &waiter);
}

void Pool::leave_line(Waiter& waiter) { std::erase(waiters_, &waiter); }

// The time in line is limited; that in which a VM is being built for the request does not count.
bool Pool::is_promised_a_vm(const Waiter& waiter) const {
    const auto at = std::find(waiters_.begin(), waiters_.end(), &waiter);
    return static_cast<std::size_t>(at - waiters_.begin()) < building_.size();
}

void Pool::make_vms_for_waiters() {
    while (state_ == State::open && building_.size() < waiters_.size() && vms_.size() < program_->config.concurrency) {
        // Its thread reports to this pool, but not before the mutex is free.
        vms_.push_back(std::make_unique<RequestVm>(program_, *statistics_, static_cast<Observer&>(*this)));
        building_.insert(vms_.back().get());
    }
}

void Pool::fail_waiters(const Failure& failure) {
    for (Waiter* waiter : waiters_) {
        waiter->failure = failure;
        waiter->graph_entry.end();
        waiter->served.notify_one();
    }
    waiters_.clear();
}

void Pool::vm_idle(RequestVm& vm) {
    const MutexLock lock(mutex_);
    building_.erase(&vm);
    if (state_ != State::open) {
        return;
    }
    if (!give(vm)) {
        idle_.push_back({&vm, ::sched_getcpu()});
    }
}

bool Pool::give(RequestVm& vm) {
    if (waiters_.empty() || (is_held_ && !waiters_.front()->is_inside)) {
        return false;
    }
    Waiter* first = waiters_.front();
    waiters_.pop_front();
    vm.reserve();
    first->vm = &vm;
    first->graph_entry.end();
    first->served.notify_one();
    return true;
}

void Pool::hold(bool on) {
    const MutexLock lock(mutex_);
    is_held_ = on;
    while (state_ == State::open && !idle_.empty() && give(*idle_.back().vm)) {
        idle_.pop_back();
    }
}

bool Pool::is_idle() const {
    const MutexLock lock(mutex_);
    return idle_.size() + building_.size() == vms_.size();
}

void Pool::vm_withdrawn(RequestVm& vm, const std::string& why) {
    const MutexLock lock(mutex_);
    const bool was_building = building_.erase(&vm) != 0;
    const auto at = std::find_if(vms_.begin(), vms_.end(), [&](const auto& one) { return one.get() == &vm; });
    withdrawn_.push_back(std::move(*at));
    vms_.erase(at);
    vm_gone_.notify_all();
    if (state_ != State::open) {
        return;
    }
    const Failure failure(FailureKind::host_error, "no VM for the program: " + why);
    if (was_building && vms_.empty()) {
        fail_waiters(failure);
    } else if (!was_building) {
        try {
            make_vms_for_waiters();
        } catch (const std::exception&) {
            if (vms_.empty()) {
                fail_waiters(failure);
            }
        }
    }
}

void Pool::retire() {
    const MutexLock lock(mutex_);
    if (state_ != State::open) {
        return;
    }
    state_ = State::retired;
    for (Waiter* waiter : waiters_) {
        waiter->sent_away = true;
        waiter->graph_entry.end();
        waiter->served.notify_one();
    }
    waiters_.clear();
    idle_.clear();
    dismiss_vms();
}

// May be repeated, and should: an interrupt that comes before the guest runs may be lost.
void Pool::dismiss_vms() {
    for (const auto& vm : vms_) {
        state_ == State::retired ? vm->retire() : vm->shut_down();
    }
}

void Pool::close(std::chrono::milliseconds patience) {
    const Deadline until = Clock::now() + patience;
    const MutexLock lock(mutex_);
    state_ = State::closed;
    fail_waiters(Failure(FailureKind::shutting_down, "the program is being shut down"));
    idle_.clear();
    dismiss_vms();
    while (!vms_.empty() && Clock::now() < until) {
        const Deadline next_look = std::min(until, Clock::now() + look_around);
        while (!vms_.empty() && vm_gone_.wait_until(mutex_, next_look)) {
        }
        if (!vms_.empty()) {
            dismiss_vms();
        }
    }
    join_withdrawn();
}

bool Pool::has_ended() {
    const MutexLock lock(mutex_);
    if (state_ != State::open) {
        dismiss_vms();
    }
    join_withdrawn();
    return vms_.empty() && withdrawn_.empty();
}

}  // namespace tinykvm::host
