// A guest's way into a snapshot and back: the area for requests, freezing, reset.
#include <algorithm>
#include <cstring>

#include "tinykvm/errors.hpp"
#include "tinykvm/guest.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr char request_area_name[] = "[request]";

}  // namespace

void Guest::load_vectors(const SnapshotContents& snapshot) {
    if (!vcpu_.set_vector_state(snapshot.vector_state))
        throw MachineError("KVM refuses the vector registers of a snapshot");
    vectors_stale_ = false;
}

RequestArea Guest::request_area() {
    if (request_area_.size != 0) return request_area_;
    const std::size_t size = (options_.max_request_memory + large_page_size - 1) & ~(large_page_size - 1);
    memory_.use_small_pages();  // each fork has its own memory there
    const auto place = memory_.find_free(size, 0, large_page_size);
    if (!place || memory_.map(*place, size, {.read = true, .write = true}, request_area_name) != 0)
        throw MachineError("no address space left for requests of max_request_memory");
    return request_area_ = {*place, size};
}

// Of the area that what is left of it: the program may have unmapped or replaced parts.
void Guest::drop_request_area() {
    const GuestAddr end = request_area_.begin + request_area_.size;
    for (GuestAddr at = request_area_.begin; at < end;) {
        const Region* region = memory_.regions().find(at);
        const GuestAddr to = region ? std::min(region->end, end) : at + page_size;
        if (region && region->name == request_area_name && memory_.unmap(at, to - at) != 0)
            throw MachineError("the area of requests cannot be given back");
        at = to;
    }
    request_area_ = {};
}

std::unique_ptr<const SnapshotContents> Guest::freeze() {
    if (disorderly_) throw MachineError("only a program that waits in a host call can be frozen");
    auto snapshot = std::make_unique<SnapshotContents>();
    drop_request_area();
    memory_.finish();  // the request area is only named here, each fork has its own memory there
    snapshot->request_area = request_area();
    snapshot->registers = user_registers();
    snapshot->system_registers = vcpu_.system_registers();
    snapshot->vector_state = vcpu_.vector_state();
    std::memcpy(memory_.system_block() + x86::vectors_offset, snapshot->vector_state.data(),
                std::min(platform_.vector_state_size(), x86::vectors_max_size));
    snapshot->process = process_.state();
    snapshot->process.limits_reported = 0;
    snapshot->programs = programs_;
    snapshot->options = std::move(options_);
    mailbox().clear();
    snapshot->memory = memory_.make_image(
        snapshot->options.share_mapped_files ? std::make_shared<FileCopies>(snapshot->options.max_memory) : nullptr);
    return snapshot;
}

void Guest::note_peak(std::uint64_t bytes) { statistics_.memory_peak = std::max(statistics_.memory_peak, bytes); }

void Guest::release_locks() {
    const std::lock_guard lock(turn_);
    process_.state().files.release_locks();
}

bool Guest::resets_quickly() { return !mid_instruction_ && !disorderly_ && !process_used_ && memory_.resets_quickly(); }

bool Guest::restore(const SnapshotContents& snapshot) {
    // What KVM still finishes may write guest memory: first that, then the list of changed pages.
    if (mid_instruction_ || (disorderly_ && !vcpu_.clear_pending())) return false;
    collect_dirty_pages();
    if (memory_.needs_rebuild()) {
        note_peak(memory_.peak_bytes());
        return false;
    }
    statistics_.pages_restored += memory_.reset();
    note_peak(memory_.last_peak_bytes());
    mailbox().clear();
    if (process_used_) process_.restore(snapshot.process);
    process_used_ = false;
    turn_length_ = shortest_turn;
    vcpu_.set_system_registers(snapshot.system_registers);
    vcpu_.set_registers(snapshot.registers);
    vectors_stale_ = true;
    disorderly_ = false;
    ++statistics_.resets;
    return true;
}

}  // namespace tinykvm
