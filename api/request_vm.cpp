// The VM as its holder and the pool see it. What its thread does is in vm_thread.cpp.
#include "api/request_vm.hpp"

#include <immintrin.h>

#include <utility>

namespace tinykvm::api {

namespace {

constexpr auto look_for_client = std::chrono::milliseconds(100);
// Who calls inside the guest listens so long, then sleeps.
constexpr auto listening_time = std::chrono::microseconds(100);

}  // namespace

RequestVm::RequestVm(std::shared_ptr<const BootedProgram> program, CounterSink& counters, Home& home)
    : program_(std::move(program)),
      counters_(counters),
      home_(home),
      spin_time_(program_->config.poll),
      calls_({program_->config.max_memory, program_->config.max_request_memory, program_->config.verbose,
              program_->registration.ephemeral, program_->config.control_ephemeral, &program_->config.allowed_hosts,
              program_->outside}),
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
    served_.emplace();
    interrupted_.reset();
}

void RequestVm::retire() {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    if (inside_guest_) {
        fork_->recall();
    }
}

void RequestVm::shut_down() {
    retire();
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
    must_reset_ = calls_.is_ephemeral();  // the layout alone changes memory
    layout_.begin(fork_->memory(), fork_->request_area(), request_);
}

void RequestVm::append_body(std::span<const std::byte> data) {
    layout_.append_body(data);
    if (keeps_body_) {
        kept_body_.insert(kept_body_.end(), data.begin(), data.end());
    }
}

Outcome RequestVm::run(const ClientGone& gone) {
    layout_.finish();
    counters_.add(Counter::requests, 1);
    ran_ = true;
    calls_.begin_request(request_);
    std::unique_lock lock(mutex_);
    life_.move_to(VmState::running);
    spin_time_.waited(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - idle_since_));
    if (inside_guest_) {
        lock.unlock();
        if (!call_inside_guest()) {
            lock.lock();
            run_on_thread(lock, gone);
        }
    } else if (Fork::changes_threads_freely()) {
        runs_here_ = true;
        lock.unlock();
        run_here(gone);
    } else {
        run_on_thread(lock, gone);
    }
    return std::move(outcome_);
}

void RequestVm::run_on_thread(std::unique_lock<std::mutex>& lock, const ClientGone& gone) {
    changed_.notify_all();
    while (!changed_.wait_for(lock, look_for_client, [this] { return life_.state() == VmState::answered; })) {
        lock.unlock();
        if (gone && gone()) {
            interrupt(FailureKind::client_gone);  // repeated until the guest has noticed
        }
        lock.lock();
    }
}

// True when the request is answered. Otherwise the thread is on it, or will be.
bool RequestVm::call_inside_guest() {
    const std::lock_guard inside(inside_);
    {
        const std::lock_guard lock(mutex_);
        if (!inside_guest_) {
            return false;  // the thread has left meanwhile, and may be at work
        }
    }
    guest_left_ = false;
    answered_inside_ = false;
    const auto begin = Clock::now();
    if (!post_inside_guest(begin + program_->config.max_request_time)) {
        fork_->recall();
        return false;
    }
    spin_permit_.give_back();
    {
        const std::lock_guard lock(mutex_);
        guest_runs_ = true;
        if (interrupted_) {
            fork_->interrupt();
        }
    }
    std::optional<std::chrono::microseconds> again;
    if (!calls_.is_ephemeral() && spin_permit_.obtain()) {
        again = spin_time_.get();
    }
    bool stopped = false;
    for (unsigned i = 1; !stopped && !guest_left_.load(); ++i) {
        const bool enough = i % 32 == 0 && Clock::now() > begin + listening_time;
        if (enough) {
            fork_->stop_listening();
        }
        stopped = fork_->take_call(calls_, again);
        if (enough) {
            break;
        }
        _mm_pause();
    }
    if (stopped && conclude_inside_guest(again.has_value())) {
        counters_.add(Counter::cpu_time, static_cast<std::uint64_t>(
                                             std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin)
                                                 .count()));
        return true;
    }
    spin_permit_.give_back();
    return false;
}

// False also for what only the thread can say what is wrong with.
bool RequestVm::post_inside_guest(Deadline deadline) {
    const auto planned = plan_call(program_->registration, request_, layout_);
    if (!planned || planned->callback == abi::Callback::stream_post) {
        return false;
    }
    try {
        return fork_->post(program_->registration.callback(planned->callback), planned->list(), deadline);
    } catch (const std::exception&) {
        return false;
    }
}

bool RequestVm::conclude_inside_guest(bool waits_again) {
    if (!take_answer()) {
        return false;  // the thread says what is wrong
    }
    finish_outcome();
    answered_inside_ = true;
    const std::lock_guard lock(mutex_);
    guest_runs_ = false;
    leaves_guest_ = inside_guest_ && !waits_again;
    life_.move_to(VmState::answered);
    return true;
}

bool RequestVm::take_answer() {
    if (!calls_.response()) {
        return false;
    }
    outcome_.response = *std::move(calls_.response());
    outcome_.answered = true;
    return true;
}

void RequestVm::finish_outcome() {
    output_.flush();
    outcome_.log = calls_.take_log();
    must_reset_ = calls_.is_ephemeral() || !outcome_.failures.empty();
    if (outcome_.answered) {
        const int hundreds = outcome_.response.status / 100;
        if (hundreds == 4 || hundreds == 5) {
            counters_.add(hundreds == 4 ? Counter::program_status_4xx : Counter::program_status_5xx, 1);
        }
    }
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
    {
        const std::lock_guard lock(mutex_);
        life_.move_to(VmState::resetting);
        served_.reset();
        if (must_reset_ && !inside_guest_ && fork_->quick_reset()) {
            calls_.adopt(program_->registration);
            must_reset_ = ran_ = false;
        }
        if (needs_its_thread()) {
            changed_.notify_all();
            if (inside_guest_) {
                fork_->recall();
            }
            return;
        }
        if (!inside_guest_) {
            count_statistics();
        }
        ran_ = false;
        idle_since_ = Clock::now();
        life_.move_to(VmState::idle);
    }
    home_.vm_idle(*this);
}

// Before the next request: to reset, to go back to where a paused program waits, to enter the guest, or to end.
bool RequestVm::needs_its_thread() const {
    const bool enters = spin_time_.get().count() > 0 && !inside_guest_;
    return must_reset_ || leaves_guest_ || (ran_ && waits_paused()) || enters || closing_;
}

}  // namespace tinykvm::api
