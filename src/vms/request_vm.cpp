// The VM as its holder and the pool see it. What its thread does is in vm_thread.cpp.
#include "src/vms/request_vm.hpp"

#include <immintrin.h>

#include <algorithm>
#include <utility>

namespace tinykvm::host {

namespace {

constexpr auto look_for_client = std::chrono::milliseconds(100);
// Who calls inside the guest listens so long, then sleeps.
constexpr auto listening_time = std::chrono::microseconds(100);
// Entering a guest takes 10 to 100 us, copying so much about as long.
constexpr std::size_t body_piece_size = std::size_t{256} << 10;
constexpr std::size_t response_piece_size = std::size_t{256} << 10;

Counter counter_of_status(int status) {
    switch (status / 100) {
        case 2: return Counter::program_status_2xx;
        case 3: return Counter::program_status_3xx;
        case 4: return Counter::program_status_4xx;
        default: return Counter::program_status_5xx;
    }
}

}  // namespace

RequestVm::RequestVm(std::shared_ptr<const BootedProgram> program, ProgramStatistics& statistics, Observer& observer)
    : program_(std::move(program)),
      counters_(statistics, program_->config.max_request_memory, program_->snapshot->image_bytes()),
      observer_(observer),
      spin_time_(program_->config.poll),
      calls_({program_->config.max_memory, program_->config.max_request_memory, program_->config.verbose,
              program_->registration.ephemeral, program_->config.control_ephemeral, &program_->config.allowed_hosts,
              program_->services, &observer_}),
      output_([this](std::string_view line) { calls_.note(line); }) {
    output_.log_output(program_->config.standard_output);
    thread_ = Thread("kvm:" + program_->name, [this] { thread_main(); });
}

RequestVm::~RequestVm() { thread_.join(); }

void RequestVm::reserve() {
    const MutexLock lock(mutex_);
    life_.move_to(VmState::reserved);
    served_.emplace();
    interrupted_.reset();
}

std::optional<VmState> RequestVm::state_unless_locked() noexcept {
    if (!mutex_.try_lock()) {
        return std::nullopt;
    }
    const MutexLock lock(mutex_, std::adopt_lock);
    return life_.state();
}

void RequestVm::retire() {
    const MutexLock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    if (inside_guest_) {
        fork_->wake();
    }
}

void RequestVm::shut_down() {
    retire();
    interrupt(FailureKind::shutting_down);
}

void RequestVm::interrupt(FailureKind why) {
    const MutexLock lock(mutex_);
    if (life_.state() == VmState::running && !interrupted_) {
        interrupted_ = why;
    }
    if (guest_runs_) {
        fork_->interrupt();
    }
}

void RequestVm::begin(const Request& request) {
    request_ = request;
    if (std::exchange(soft_left_, false) && !request_.soft_reset) {
        undo_soft_reset();
    }
    const auto& attempts = program_->config.on_error;
    keeps_body_ = std::any_of(attempts.begin(), attempts.end(), [this](ProgramConfig::OnError attempt) {
        return attempt == ProgramConfig::OnError::original ||
               program_->registration.callback(abi::Callback::on_error) != 0;
    });
    kept_body_.clear();
    answers_with_kept_body_ = false;
    outcome_ = {};
    must_reset_ = calls_.is_ephemeral();  // the layout alone changes memory
    time_left_ = time_allowed_ = program_->config.max_request_time;
    started_ = false;
    piece_failure_ = nullptr;
    given_ = 0;
    piece_ = {};
    layout_.begin(fork_->memory(), fork_->request_area(), request_);
}

// On the time of the holder, which is why requests with soft_reset are best the only ones of a program.
void RequestVm::undo_soft_reset() {
    std::string why;
    stack_.run([&] {
        try {
            renew();
        } catch (const std::exception& error) {
            why = error.what();
        }
    });
    if (!fork_) {
        must_reset_ = true;
        throw Failure(FailureKind::host_error, "the VM could not be made new: " + why);
    }
}

// A callback for any request gets the whole body.
bool RequestVm::streams_body() const {
    const Registration& registration = program_->registration;
    return !waits_paused() && registration.callback(abi::Callback::request) == 0 &&
           registration.callback(abi::Callback::stream_post) != 0;
}

void RequestVm::append_body(std::span<const std::byte> data) {
    counters_.add(Counter::input_bytes, data.size());
    if (keeps_body_) {
        if (kept_body_.size() + data.size() <= program_->config.max_request_memory) {
            kept_body_.insert(kept_body_.end(), data.begin(), data.end());
        } else {
            keeps_body_ = false;  // of this request
            kept_body_ = {};
            calls_.note("the body of the request is too long to be kept for a second chance");
        }
    }
    if (!streams_body()) {
        return layout_.append_body(data);
    }
    while (!data.empty() && !outcome_.answered && !piece_failure_) {
        const std::size_t size = std::min(data.size(), body_piece_size - layout_.request().content_len);
        layout_.append_body(data.first(size));
        data = data.subspan(size);
        if (layout_.request().content_len == body_piece_size) {
            run_body_piece();
        }
    }
}

// Gives the guest what there is of the body.
void RequestVm::run_body_piece() {
    start();
    execute(Work::body_piece, nullptr);
    layout_.next_body_piece();
}

void RequestVm::start() {
    if (std::exchange(started_, true)) {
        return;
    }
    layout_.finish();
    counters_.add(Counter::requests, 1);
    began_ = Clock::now();
    ran_ = true;
    calls_.begin_request(request_);
}

Outcome RequestVm::run(const IsClientGone& gone) {
    start();
    execute(Work::request, gone);
    return std::exchange(outcome_, {});
}

void RequestVm::execute(Work work, const IsClientGone& gone) {
    work_ = work;
    bool is_inside = false, runs_here = false;
    {
        const MutexLock lock(mutex_);
        life_.move_to(VmState::running);
        if (work == Work::request) {
            spin_time_.waited(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - idle_since_));
        }
        is_inside = inside_guest_;
        runs_here = runs_here_ = !is_inside && Fork::changes_threads_freely();
        if (is_inside && work != Work::request) {
            fork_->wake();
        }
    }
    if (runs_here) {
        return run_here(gone);
    }
    bool answered = false;
    if (is_inside && work == Work::request) {
        stack_.run([&] { answered = call_inside_guest(); });
    }
    if (!answered) {
        run_on_thread(gone);
    }
}

void RequestVm::run_on_thread(const IsClientGone& gone) {
    const MutexLock lock(mutex_);
    changed_.notify_all();
    for (;;) {
        const auto next_look = Clock::now() + look_for_client;
        while (life_.state() == VmState::running && changed_.wait_until(mutex_, next_look)) {
        }
        if (life_.state() != VmState::running) {
            return;
        }
        const MutexUnlock unlocked(mutex_);
        if (gone && gone()) {
            interrupt(FailureKind::client_gone);  // repeated until the guest has noticed
        }
    }
}

// True when the request is answered. Otherwise the thread is on it, or will be.
bool RequestVm::call_inside_guest() {
    const MutexLock inside(inside_);
    {
        const MutexLock lock(mutex_);
        if (!inside_guest_) {
            return false;  // the thread has left meanwhile, and may be at work
        }
    }
    guest_left_ = false;
    answered_inside_ = false;
    const auto begin = Clock::now();
    posted_ = begin;
    if (!post_inside_guest(begin + time_left_)) {
        fork_->wake();
        return false;
    }
    spin_permit_.give_back();
    std::chrono::microseconds spin_time;
    {
        const MutexLock lock(mutex_);
        spin_time = spin_time_.get();
        guest_runs_ = true;
        if (interrupted_) {
            fork_->interrupt();
        }
    }
    std::optional<std::chrono::microseconds> again;
    if (!calls_.is_ephemeral() && !waits_paused() && spin_permit_.obtain()) {
        again = spin_time;
    }
    std::optional<Stop> stop = listen(begin + listening_time);
    if (stop && wants_more(*stop) && has_taken_all(*stop)) {
        layout_.next_body_piece();
        if (post_inside_guest(begin + time_left_)) {
            stop = listen(begin + 2 * listening_time);
        }
    }
    const bool answered = stop && take_answer();
    if (stop) {
        fork_->release_after_call(answered ? again : std::nullopt);
    }
    if (!answered) {
        spin_permit_.give_back();
        return false;  // the thread goes on, or says what is wrong
    }
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
    time_left_ -= time;
    counters_.add(Counter::cpu_time, static_cast<std::uint64_t>(time.count()));
    conclude_inside_guest(again.has_value());
    return true;
}

// Until the guest stops in the mailbox, or leaves, or it has taken too long.
std::optional<Stop> RequestVm::listen(Clock::time_point until) {
    for (unsigned i = 1; !guest_left_.load(); ++i) {
        const bool enough = i % 32 == 0 && Clock::now() > until;
        if (enough) {
            fork_->disable_mailbox();
        }
        if (const auto stop = fork_->poll_call(calls_); stop || enough) {
            return stop;
        }
        _mm_pause();
    }
    return std::nullopt;
}

// False also for what only the thread can say what is wrong with.
bool RequestVm::post_inside_guest(Deadline deadline) {
    try {
        if (waits_paused()) {
            write_paused_request();
            return fork_->post_result(0, deadline);
        }
        const auto planned = plan_call(program_->registration, request_, layout_);
        if (!planned || !fork_->post(program_->registration.callback(planned->callback), planned->list(), deadline)) {
            return false;
        }
        given_ = layout_.request().content_len;
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

void RequestVm::conclude_inside_guest(bool waits_again) {
    finish_outcome();
    answered_inside_ = true;
    const MutexLock lock(mutex_);
    guest_runs_ = false;
    leaves_guest_ = inside_guest_ && !waits_again;
    life_.move_to(VmState::answered);
}

bool RequestVm::take_answer() {
    if (!calls_.response()) {
        return false;
    }
    outcome_.response = *std::move(calls_.response());
    outcome_.answered = true;
    return true;
}

// Before anybody can see the answer, or its last piece: the next request may be in another VM.
void RequestVm::end_locks() {
    if (fork_ && calls_.is_ephemeral()) {
        fork_->release_locks();
    }
}

void RequestVm::finish_outcome() {
    outcome_.log = take_log();
    note_time();
    if (!outcome_.answered || !outcome_.response.stream || outcome_.response.body_size == 0) {
        end_locks();
    }
    soft_left_ = calls_.is_ephemeral() && request_.soft_reset && outcome_.failures.empty();
    must_reset_ = (calls_.is_ephemeral() && !soft_left_) || !outcome_.failures.empty();
    if (outcome_.answered) {
        counters_.add(counter_of_status(outcome_.response.status), 1);
        if (!outcome_.response.stream) {
            counters_.add(Counter::output_bytes, outcome_.response.body_size);
        }
    }
}

std::span<const std::byte> RequestVm::body(const Response& response, std::size_t offset) {
    if (response.stream) {
        return streamed_body(response, offset);
    }
    if (offset >= response.body_size) {
        return {};
    }
    if (answers_with_kept_body_) {
        return std::span(kept_body_).subspan(offset);
    }
    const auto piece = fork_->memory().readable(response.body + offset, response.body_size - offset);
    if (piece.empty()) {
        throw Failure(FailureKind::invalid_answer, "the body is not readable any more");
    }
    return piece;
}

std::span<const std::byte> RequestVm::streamed_body(const Response& response, std::size_t offset) {
    if (offset == piece_.offset + piece_.size && offset < response.body_size) {
        stream_ = *response.stream;
        stream_wanted_ = {std::min(response.body_size - offset, response_piece_size), response.body_size};
        execute(Work::response_piece, nullptr);
        if (piece_failure_) {
            record_failure(std::exchange(piece_failure_, nullptr));
            must_reset_ = true;
            end_locks();
            throw Failure(outcome_.failures.back());
        }
        counters_.add(Counter::output_bytes, piece_.size);
    }
    const std::size_t begin = offset - piece_.offset;  // huge when it is before it
    if (begin >= piece_.size) {
        return {};
    }
    const auto piece = fork_->memory().readable(piece_.address + begin, piece_.size - begin);
    if (piece.empty()) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback: its data is not readable");
    }
    return piece;
}

std::vector<std::string> RequestVm::take_log() {
    output_.flush();
    return calls_.take_log();
}

void RequestVm::release() {
    // Nobody has asked for what is left. It is not the next client's.
    (void)take_log();
    Observer& observer = observer_;  // a VM that is idle may be gone at once, with a pool that nobody needs
    constexpr std::size_t worth_keeping = std::size_t{1} << 20;
    if (kept_body_.capacity() > worth_keeping) {
        kept_body_ = {};
    }
    {
        const MutexLock lock(mutex_);
        life_.move_to(VmState::resetting);
        served_.reset();
        if (must_reset_ && !inside_guest_ && fork_ && fork_->reset_if_quick()) {
            calls_.adopt(program_->registration);
            must_reset_ = ran_ = false;
        }
        if (needs_its_thread()) {
            changed_.notify_all();
            if (inside_guest_) {
                fork_->wake();
            }
            return;
        }
        if (!inside_guest_) {
            count_statistics();
            note_kept_memory();
        }
        ran_ = false;
        idle_since_ = Clock::now();
        life_.move_to(VmState::idle);
    }
    observer.vm_idle(*this);
}

// Before the next request: to reset, to go back to where a paused program waits, to enter the guest, or to end.
bool RequestVm::needs_its_thread() const {
    const bool enters = spin_time_.get().count() > 0 && !inside_guest_ && !soft_left_;
    return must_reset_ || leaves_guest_ || (ran_ && waits_paused()) || enters || closing_;
}

}  // namespace tinykvm::host
