#include "tinykvm/fork.hpp"

#include "tinykvm/guest/guest.hpp"
#include "tinykvm/kvm/system.hpp"

namespace tinykvm {

Fork::Fork(std::shared_ptr<const Snapshot> snapshot)
    : snapshot_(std::move(snapshot)), guest_(std::make_unique<Guest>(snapshot_->contents())) {}
Fork::~Fork() = default;
bool Fork::changes_threads_freely() { return kvm::System::instance().changes_threads_freely(); }
Fork::Fork(Fork&&) noexcept = default;
Fork& Fork::operator=(Fork&&) noexcept = default;

Stop Fork::call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline) {
    return guest_->call(function, arguments, calls, deadline);
}

Stop Fork::call_on_top(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
                       Deadline deadline) {
    return guest_->call_on_top(function, arguments, calls, deadline);
}

Stop Fork::resume(std::int64_t result, HostCalls& calls, Deadline deadline) {
    return guest_->resume(result, calls, deadline);
}

Stop Fork::go_on(HostCalls& calls, Deadline deadline) { return guest_->go_on(calls, deadline); }

bool Fork::prepare_wait(Awaits awaits, std::chrono::microseconds wait) {
    return guest_->mailbox().prepare_wait(awaits, wait);
}
std::optional<Stop> Fork::wait_for_call(HostCalls& calls) { return guest_->mailbox().wait_for_call(calls); }
bool Fork::post(GuestAddr function, std::span<const std::uint64_t> arguments, Deadline deadline) {
    return guest_->mailbox().post(function, arguments, deadline);
}
bool Fork::post_result(std::int64_t result, Deadline deadline) {
    return guest_->mailbox().post_result(result, deadline);
}
std::optional<Stop> Fork::poll_call(HostCalls& calls) { return guest_->mailbox().poll_call(calls); }
void Fork::release_after_call(std::optional<std::chrono::microseconds> wait_again) {
    guest_->mailbox().release_after_call(wait_again);
}
void Fork::disable_mailbox() { guest_->mailbox().disable_mailbox(); }
void Fork::wake() { guest_->mailbox().wake(); }

void Fork::set_debugger(debug::Debugger& debugger) {
    debugger_ = &debugger;
    guest_->set_debugger(debugger_);
}
void Fork::end_debugging() {
    if (guest_) guest_->end_debugging();
}
bool Fork::changed_by_debugger() const { return guest_ && guest_->changed_by_debugger(); }
Clock::duration Fork::debugged_time() const { return guest_ ? guest_->debugged_time() : Clock::duration::zero(); }

void Fork::release_locks() { guest_->mailbox().release_locks(); }

int Fork::append_to_file(const std::string& path, std::span<const std::byte> bytes) {
    return guest_->append_to_file(path, bytes);
}
int Fork::read_file(const std::string& path, std::size_t most, std::vector<std::byte>& bytes) {
    return guest_->read_file(path, most, bytes);
}

void Fork::reset() {
    if (guest_->reset()) return;
    Statistics statistics = guest_->statistics();
    ++statistics.resets;
    ++statistics.rebuilds;
    statistics_ = statistics;
    guest_.reset();  // first: the host may not have room for two
    guest_ = std::make_unique<Guest>(snapshot_->contents());
    guest_->set_statistics(statistics);
    guest_->set_debugger(debugger_);
}

bool Fork::recover(bool crashed) { return guest_ && guest_->recover(crashed); }

bool Fork::reset_if_quick() { return guest_->resets_quickly() && guest_->reset(); }

GuestMemory& Fork::memory() { return guest_->memory(); }
RequestArea Fork::request_area() const { return snapshot_->contents().request_area; }
const Statistics& Fork::statistics() const { return guest_ ? guest_->statistics() : statistics_; }
const Snapshot& Fork::snapshot() const { return *snapshot_; }
void Fork::interrupt() noexcept {
    if (guest_) guest_->interrupt();
}

}  // namespace tinykvm
