#include "tinykvm/machine.hpp"

#include "tinykvm/guest/guest.hpp"

namespace tinykvm {

Machine::Machine(std::shared_ptr<const Program> program, Options options)
    : guest_(std::make_unique<Guest>(std::move(program), std::move(options))) {}
Machine::~Machine() = default;
Machine::Machine(Machine&&) noexcept = default;
Machine& Machine::operator=(Machine&&) noexcept = default;

Stop Machine::run(HostCalls* calls, Deadline deadline) { return guest_->run(calls, deadline); }
Stop Machine::call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls, Deadline deadline) {
    return guest_->call_on_top(function, arguments, calls, deadline);
}
Stop Machine::resume(std::int64_t result, HostCalls& calls, Deadline deadline) {
    guest_->require_waiting("go on");
    return guest_->resume(result, calls, deadline);
}
Stop Machine::go_on(HostCalls& calls, Deadline deadline) { return guest_->go_on(calls, deadline); }
std::vector<GuestAddr> Machine::argument_addresses() const { return guest_->argument_addresses(); }
EnvironmentPlaces Machine::environment_places() const { return guest_->environment_places(); }
std::vector<std::string> Machine::listening() const { return guest_->listening(); }
RequestArea Machine::request_area() { return guest_->request_area(); }
GuestMemory& Machine::memory() { return guest_->memory(); }
const Statistics& Machine::statistics() const { return guest_->statistics(); }

void Machine::debug(debug::Debugger& debugger) {
    guest_->set_debugger(&debugger);
    guest_->start_debugging();
}
void Machine::end_debugging() { guest_->end_debugging(); }
Clock::duration Machine::debugged_time() const { return guest_->debugged_time(); }

int Machine::append_to_file(const std::string& path, std::span<const std::byte> bytes) {
    return guest_->append_to_file(path, bytes);
}

void Machine::interrupt() noexcept { guest_->interrupt(); }

std::shared_ptr<const Snapshot> Machine::freeze() && {
    ended_ = std::move(guest_);
    return std::make_shared<const Snapshot>(ended_->freeze());
}

}  // namespace tinykvm
