#include "src/fetch/wait_graph.hpp"

#include <span>
#include <utility>

#include "tinykvm/os/random.hpp"

namespace tinykvm::host {

namespace {

WaitGraph::Id random_id() {
    WaitGraph::Id id = 0;
    while (id == 0) {
        fill_random(std::as_writable_bytes(std::span(&id, 1)));
    }
    return id;
}

}  // namespace

WaitGraph::Entry& WaitGraph::Entry::operator=(Entry&& other) noexcept {
    if (this != &other) {
        end();
        graph_ = std::exchange(other.graph_, nullptr);
        is_wait_ = other.is_wait_;
        id_ = other.id_;
    }
    return *this;
}

void WaitGraph::Entry::end() {
    if (WaitGraph* graph = std::exchange(graph_, nullptr); graph != nullptr) {
        const MutexLock lock(graph->mutex_);
        is_wait_ ? graph->waits_.erase(id_) : graph->self_requests_.erase(id_);
    }
}

WaitGraph& WaitGraph::of_process() {
    // Never destroyed: there may still be requests while the process exits.
    static WaitGraph& graph = *new WaitGraph;
    return graph;
}

WaitGraph::Entry WaitGraph::entry(bool is_wait, Id id) {
    Entry entry;
    entry.graph_ = this;
    entry.is_wait_ = is_wait;
    entry.id_ = id;
    return entry;
}

WaitGraph::Entry WaitGraph::begin_self_request(const void* pool, Id inside_of) {
    const MutexLock lock(mutex_);
    Id id = 0;
    do {
        id = random_id();
    } while (!self_requests_.emplace(id, SelfRequest{pool, inside_of}).second);
    return entry(false, id);
}

std::optional<WaitGraph::Entry> WaitGraph::begin_wait(const void* pool, std::size_t vms, Id inside_of) {
    const MutexLock lock(mutex_);
    const Id id = ++last_wait_;
    const Wait& wait = waits_.emplace(id, Wait{pool, vms, inside_of}).first->second;
    if (is_hopeless(wait)) {
        waits_.erase(id);
        return std::nullopt;
    }
    return entry(true, id);
}

void WaitGraph::forget_waits(const void* pool) {
    const MutexLock lock(mutex_);
    std::erase_if(waits_, [pool](const auto& one) { return one.second.pool == pool; });
}

// Begins with the assumption that no self-request will be answered, and takes it back for those on whose behalf no
// request waits in vain, until nothing changes. What is left waits for itself. There are no more rounds than pools:
// each round but the last frees a VM that a request had seemed to wait for in vain.
bool WaitGraph::is_hopeless(const Wait& wait) const {
    std::set<Id> stuck;
    for (const auto& [id, request] : self_requests_) {
        stuck.insert(id);
    }
    for (;;) {
        const HeldVms held = vms_held(stuck);
        if (!has_all(held, wait)) {
            return false;
        }
        std::set<Id> fewer = unanswerable(stuck, held);
        if (fewer.size() == stuck.size()) {
            return true;
        }
        stuck = std::move(fewer);
    }
}

// Those of the candidates that could not be answered if all the candidates, which hold these VMs, could not.
std::set<WaitGraph::Id> WaitGraph::unanswerable(const std::set<Id>& candidates, const HeldVms& held) const {
    std::set<Id> stuck;
    for (const auto& [number, wait] : waits_) {
        if (!has_all(held, wait)) {
            continue;
        }
        // All self-requests that a stuck one is inside of are stuck, too.
        for (Id id = wait.inside_of; candidates.contains(id) && stuck.insert(id).second;) {
            id = self_requests_.at(id).inside_of;
        }
    }
    return stuck;
}

WaitGraph::HeldVms WaitGraph::vms_held(const std::set<Id>& by) const {
    HeldVms held;
    for (const Id id : by) {
        held[self_requests_.at(id).pool]++;
    }
    return held;
}

// Are all VMs held that the wait could be for?
bool WaitGraph::has_all(const HeldVms& held, const Wait& wait) {
    const auto found = held.find(wait.pool);
    return found != held.end() && found->second >= wait.vms;
}

}  // namespace tinykvm::host
