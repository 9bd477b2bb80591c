// The VM as its holder and the pool see it. What its thread does is in vm_thread.cpp.
#include "api/request_vm.hpp"

#include <utility>

namespace tinykvm::api {

namespace {

constexpr auto look_for_client = std::chrono::milliseconds(100);

}  // namespace

RequestVm::RequestVm(std::shared_ptr<const BootedProgram> program, CounterSink& counters, Home& home)
    : program_(std::move(program)),
      counters_(counters),
      home_(home),
      calls_({program_->config.max_memory, program_->config.max_request_memory, program_->config.verbose}),
      output_([this](std::string_view line) { calls_.note(line); }) {
    keeps_body_ = program_->registration.callback(abi::Callback::on_error) != 0 ||
                  program_->config.on_error == ProgramConfig::OnError::original;
    output_.log_output(program_->config.standard_output);
    thread_ = Thread("kvm:" + program_->name, [this] { thread_main(); });
}

RequestVm::~RequestVm() { thread_.join(); }

void RequestVm::reserve() {
    const std::lock_guard lock(mutex_);
    life_.move_to(VmState::reserved);
    interrupted_.reset();
}

void RequestVm::shut_down() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        changed_.notify_all();
    }
    interrupt(FailureKind::closed);
}

void RequestVm::interrupt(FailureKind why) {
    const std::lock_guard lock(mutex_);
    if (life_.state() == VmState::running && !interrupted_) {
        interrupted_ = why;
    }
    if (guest_runs_) {
        fork_->interrupt();
    }
}

void RequestVm::begin(const Request& request) {
    request_ = request;
    kept_body_.clear();
    answers_with_kept_body_ = false;
    outcome_ = {};
    must_reset_ = program_->config.ephemeral;  // the layout alone changes memory
    layout_.begin(*fork_, request_);
}

void RequestVm::append_body(std::span<const std::byte> data) {
    layout_.append_body(data);
    if (keeps_body_) {
        kept_body_.insert(kept_body_.end(), data.begin(), data.end());
    }
}

Outcome RequestVm::run(const ClientGone& gone) {
    layout_.finish();
    std::unique_lock lock(mutex_);
    life_.move_to(VmState::running);
    changed_.notify_all();
    while (!changed_.wait_for(lock, look_for_client, [this] { return life_.state() == VmState::answered; })) {
        lock.unlock();
        if (gone && gone()) {
            interrupt(FailureKind::client_gone);  // repeated until the guest has noticed
        }
        lock.lock();
    }
    return std::move(outcome_);
}

std::span<const std::byte> RequestVm::body(const Response& response, std::size_t offset) const {
    if (offset >= response.body_size) {
        return {};
    }
    if (answers_with_kept_body_) {
        return std::span(kept_body_).subspan(offset);
    }
    return fork_->memory().readable(response.body + offset, response.body_size - offset);
}

void RequestVm::release() {
    constexpr std::size_t worth_keeping = std::size_t{1} << 20;
    if (kept_body_.capacity() > worth_keeping) {
        kept_body_ = {};
    }
    const std::lock_guard lock(mutex_);
    life_.move_to(VmState::resetting);
    changed_.notify_all();
}

}  // namespace tinykvm::api
