// What the thread of a request VM does: build, serve, reset, and around again. And serving itself, which its holder
// does, too, where that is better.
#include <time.h>

#include <array>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/vms/request_vm.hpp"

namespace tinykvm::host {

namespace {

constexpr auto second_chance_time = std::chrono::seconds(1);

std::uint64_t thread_microseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

// `answer` answers the request, or throws what ended it; there may be a second chance then. Afterwards it is the
// holder's turn.
template <typename Answer>
void RequestVm::conclude(Answer answer) {
    try {
        answer();
    } catch (...) {
        record_failure(std::current_exception());
        const Failure& first = outcome_.failures.back();
        if (is_program_failure(first.kind()) && first.kind() != FailureKind::unsupported) {
            answer_after_failure(std::string(to_string(first.kind())) + ": " + first.what());
        }
    }
    finish_outcome();
    const MutexLock lock(mutex_);
    life_.move_to(VmState::answered);
    if (!std::exchange(runs_here_, false)) {
        changed_.notify_all();
    }
}

// The same for one piece of a body. What is wrong with it is left in piece_failure_.
template <typename Run>
void RequestVm::conclude_piece(VmState next, Run run) {
    try {
        run();
    } catch (...) {
        piece_failure_ = std::current_exception();
    }
    note_time();
    const MutexLock lock(mutex_);
    life_.move_to(next);
    if (!std::exchange(runs_here_, false)) {
        changed_.notify_all();
    }
}

void RequestVm::thread_main() {
    GuestOutput::attach(&output_);
    std::string why;
    bool alive = build(why);
    while (alive) {
        const bool enters = prepare_to_wait();
        {
            const MutexLock lock(mutex_);
            inside_guest_ = enters;
            idle_since_ = Clock::now();
            life_.move_to(VmState::idle);
        }
        observer_.vm_idle(*this);
        if (enters) {
            wait_inside_guest();
        }
        alive = serve_until_used(why);
    }
    fork_.reset();
    {
        const MutexLock lock(mutex_);
        life_.move_to(VmState::withdrawn);
    }
    GuestOutput::attach(nullptr);
    observer_.vm_withdrawn(*this, why);
}

// Serves requests until the VM has to be made fit for another one, and does that. False: this VM ends.
bool RequestVm::serve_until_used(std::string& why) {
    const MutexLock lock(mutex_);
    for (;;) {
        while ((life_.state() != VmState::running || runs_here_) && life_.state() != VmState::resetting &&
               (life_.state() != VmState::idle || !closing_)) {
            changed_.wait(mutex_);
        }
        if (life_.state() == VmState::idle) {
            return false;
        }
        const std::uint64_t begin = thread_microseconds();
        const bool runs = life_.state() == VmState::running;
        const bool closing = closing_;
        const MutexUnlock unlocked(mutex_);
        bool fit = false;
        if (runs) {
            serve();
        } else {
            fit = recycle(why, closing) && !closing;
        }
        counters_.add(Counter::cpu_time, thread_microseconds() - begin);
        if (!runs) {
            return fit;
        }
    }
}

// On the thread of the VM's holder.
void RequestVm::run_here(const IsClientGone& gone) {
    const std::function<void()> leave = [this] { interrupt(FailureKind::client_gone); };
    const ClientWatch watch(gone, leave);
    const std::uint64_t begin = thread_microseconds();
    GuestOutput::attach(&output_);
    stack_.run([this] { serve(); });
    GuestOutput::attach(nullptr);
    counters_.add(Counter::cpu_time, thread_microseconds() - begin);
}

// Makes the guest enter the place where it waits for requests. False: requests will wake this thread.
bool RequestVm::prepare_to_wait() {
    std::chrono::microseconds time;
    {
        const MutexLock lock(mutex_);
        time = spin_time_.get();
    }
    if (time.count() == 0 || soft_left_ || !spin_permit_.obtain()) {
        return false;
    }
    try {
        if (fork_->prepare_wait(waits_paused() ? Fork::Awaits::result : Fork::Awaits::call, time)) {
            return true;
        }
    } catch (const std::exception&) {
        // The next request meets it, too.
    }
    spin_permit_.give_back();
    return false;
}

void RequestVm::wait_inside_guest() {
    std::optional<Stop> stop;
    std::exception_ptr failure;
    try {
        stop = fork_->wait_for_call(calls_);
    } catch (...) {
        failure = std::current_exception();
    }
    guest_left_ = true;
    {
        const MutexLock inside(inside_);
        spin_permit_.give_back();
        count_statistics();
        note_kept_memory();
        const MutexLock lock(mutex_);
        inside_guest_ = leaves_guest_ = false;
        guest_runs_ = false;
        if (!failure && (!stop || answered_inside_)) {
            return;  // nobody called, or has his answer
        }
        time_left_ -= std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - posted_);
    }
    conclude([&] {
        if (failure) {
            std::rethrow_exception(failure);
        }
        finish_call(*stop);
    });
}

bool RequestVm::build(std::string& why) {
    try {
        fork_ = std::make_unique<Fork>(program_->snapshot);
        counted_ = {};
        calls_.adopt(program_->registration);
        counters_.add(Counter::forks, 1);
        return true;
    } catch (const std::exception& error) {
        why = error.what();
        return false;
    }
}

void RequestVm::count_statistics() {
    const Statistics now = fork_->statistics();
    counters_.add(Counter::exits, now.exits - counted_.exits);
    counters_.add(Counter::guest_faults, now.guest_faults - counted_.guest_faults);
    counters_.add(Counter::kvm_calls, now.kvm_calls - counted_.kvm_calls);
    counters_.add(Counter::resets, now.resets - counted_.resets);
    counters_.add(Counter::pages_restored, now.pages_restored - counted_.pages_restored);
    counters_.set_memory(now.pages_dirtied * page_size);
    counters_.note_request_memory(now.memory_peak);
    counted_ = now;
}

// Of a VM that is not reset after requests: all they have changed so far is there for the next one, and counts for it.
void RequestVm::note_kept_memory() {
    if (!calls_.is_ephemeral()) {
        counters_.note_request_memory(fork_->memory().changes().peak_bytes());
    }
}

void RequestVm::note_time() { counters_.note_request_time(time_allowed_ - time_left_); }

void RequestVm::serve() {
    switch (work_) {
        case Work::request: return conclude([this] { answer_request(); });
        case Work::body_piece: return conclude_piece(VmState::reserved, [this] { take_body_piece(); });
        case Work::response_piece: return conclude_piece(VmState::answered, [this] { call_for_piece(); });
    }
}

template <typename Run>
Stop RequestVm::run_guest(Run run) {
    {
        const MutexLock lock(mutex_);
        if (interrupted_) {
            throw Failure(*interrupted_, "interrupted");
        }
        guest_runs_ = true;
    }
    // Also when run() throws.
    struct Ran {
        RequestVm& vm;
        const Clock::time_point begin = Clock::now();
        ~Ran() {
            vm.time_left_ -= std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
            const MutexLock lock(vm.mutex_);
            vm.guest_runs_ = false;
        }
    } ran{*this};
    return run(*fork_);
}

void RequestVm::require_answer(const Stop& stop) {
    if (stop.reason != Stop::Reason::host_call || !take_answer()) {
        throw no_answer(stop);
    }
}

Stop RequestVm::call(const CallPlan& planned, Deadline deadline) {
    const GuestAddr function = program_->registration.callback(planned.callback);
    given_ = layout_.request().content_len;
    return run_guest([&](Fork& fork) { return fork.call(function, planned.list(), calls_, deadline); });
}

// It may answer before the end of the body.
void RequestVm::take_body_piece() {
    const Stop stop = give_rest(call_stream_post());
    if (stop.reason != Stop::Reason::returned) {
        require_answer(stop);
    }
}

void RequestVm::answer_request() {
    if (piece_failure_) {
        std::rethrow_exception(std::exchange(piece_failure_, nullptr));
    }
    if (outcome_.answered) {
        return;  // before the end of the body
    }
    if (waits_paused()) {
        write_paused_request();
        return finish_call(run_guest([&](Fork& fork) { return fork.resume(0, calls_, deadline()); }));
    }
    const auto planned = plan_call(program_->registration, request_, layout_);
    if (!planned) {
        throw Failure(FailureKind::unsupported,
                      "the program has no callback for " + printable(request_.method, 20) +
                          (layout_.request().content_len != 0 ? " with a body" : " without a body"));
    }
    finish_call(call(*planned, deadline()));
}

// Where a paused program finds it.
void RequestVm::write_paused_request() {
    const GuestAddr wanted_at = calls_.registration().paused_request;
    if (!fork_->memory().write(wanted_at, layout_.request())) {
        throw Failure(FailureKind::invalid_answer,
                      "the request of wait_for_requests_paused at " + hex(wanted_at) + " is not writable");
    }
}

// Has a program that takes the body in pieces returned for the next one? It is also called for the end of the body.
bool RequestVm::wants_more(const Stop& stop) const {
    return stop.reason == Stop::Reason::returned && streams_body() && given_ != 0;
}

// Where another callback answers, that for the pieces returns how many bytes it took; else what it returns means
// nothing.
bool RequestVm::says_what_it_takes() const {
    return streams_body() && program_->registration.callback(abi::Callback::post) != 0;
}

bool RequestVm::has_taken_all(const Stop& stop) const { return !says_what_it_takes() || stop.values[0] == given_; }

// Of the piece with which the guest was called, and stopped like this.
Stop RequestVm::give_rest(Stop stop) {
    while (wants_more(stop) && !has_taken_all(stop)) {
        const auto taken = static_cast<std::int64_t>(stop.values[0]);
        if (taken <= 0 || static_cast<std::uint64_t>(taken) > given_) {
            throw Failure(FailureKind::invalid_answer, "the callback for pieces of the body returned " +
                                                           std::to_string(taken) + " for " + std::to_string(given_) +
                                                           " bytes; it returns how many of them it took, at least one");
        }
        layout_.skip_body(static_cast<std::size_t>(taken));
        stop = call_stream_post();
    }
    return stop;
}

// The guest was called for the request, and stopped like this.
void RequestVm::finish_call(Stop stop) {
    stop = give_rest(stop);
    while (wants_more(stop)) {
        layout_.next_body_piece();
        stop = give_rest(call_stream_post());
    }
    require_answer(stop);
}

// With the piece that is laid out; at the end of the body with nothing, or the callback that answers.
Stop RequestVm::call_stream_post() { return call(*plan_call(program_->registration, request_, layout_), deadline()); }

// Of the answer. The function returns struct { const void* data; ssize_t len; } in registers.
void RequestVm::call_for_piece() {
    const std::size_t done = piece_.offset + piece_.size;
    const auto [most, size] = stream_wanted_;
    const std::array<std::uint64_t, 4> arguments = {stream_.argument, most, done, size};
    calls_.begin_streaming();
    const Stop stop =
        run_guest([&](Fork& fork) { return fork.call_on_top(stream_.function, arguments, calls_, deadline()); });
    if (stop.reason != Stop::Reason::returned) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback did not return");
    }
    const auto [address, length] = stop.values;
    if (length > most) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback returned " +
                                                       std::to_string(static_cast<std::int64_t>(length)) +
                                                       " bytes when it was asked for at most " + std::to_string(most));
    }
    if (length == 0 && size != Response::unknown_size) {
        throw Failure(FailureKind::invalid_answer, "the streaming callback ended after " + std::to_string(done) +
                                                       " of " + std::to_string(size) + " bytes");
    }
    piece_ = {done, length, address};
    if (length == 0 || done + length == size) {
        end_locks();
    }
}

// The second chances.
void RequestVm::answer_after_failure(const std::string& what) {
    for (const auto attempt : program_->config.on_error) {
        if (outcome_.answered && !lacks_body()) {
            return;
        }
        if (attempt == ProgramConfig::OnError::handler) {
            outcome_.answered = answer_by_handler(what);
        } else if (!kept_body_.empty()) {
            if (outcome_.answered) {
                calls_.note("the error handler answered without a body: the client gets that of the request");
            }
            answer_with_kept_body();
        }
    }
}

// The VM is made new, and the error handler gets the request as it came. False when it failed, too, or there is none.
bool RequestVm::answer_by_handler(const std::string& what) {
    if (program_->registration.callback(abi::Callback::on_error) == 0) {
        return false;
    }
    try {
        renew();
        note_time();
        time_left_ = time_allowed_ = second_chance_time;
        layout_.begin(fork_->memory(), fork_->request_area(), request_);
        layout_.append_body(kept_body_);
        const GuestAddr text = layout_.add_string(printable(what));
        layout_.finish();
        calls_.begin_request(request_);
        const abi::Request& request = layout_.request();
        const CallPlan handler{abi::Callback::on_error, {request.url, request.arg, text, layout_.request_address()}, 4};
        require_answer(call(handler, deadline()));
        return true;
    } catch (...) {
        record_failure(std::current_exception());
        return false;
    }
}

// Has it a status that would have one?
bool RequestVm::lacks_body() const {
    const Response& response = outcome_.response;
    return response.body_size == 0 && response.status / 100 == 2 && response.status != 204 && response.status != 205;
}

void RequestVm::answer_with_kept_body() {
    outcome_.response = {};
    outcome_.response.status = 200;
    outcome_.response.content_type = request_.content_type;
    outcome_.response.body_size = kept_body_.size();
    // What else the client said about its form is still true.
    for (const std::string_view line : request_.headers) {
        if (is_field(line, "Content-Encoding")) {
            outcome_.response.headers.emplace_back(line);
        }
    }
    answers_with_kept_body_ = true;
    outcome_.answered = true;
}

void RequestVm::record_failure(const std::exception_ptr& thrown) {
    std::optional<FailureKind> interrupted;
    {
        const MutexLock lock(mutex_);
        interrupted = interrupted_;
    }
    const bool second = !outcome_.failures.empty();
    const std::string prefix = second ? "the error handler: " : "";
    auto& failures = outcome_.failures;
    try {
        std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
        failures.push_back(failure);
    } catch (const GuestFault& fault) {
        failures.emplace_back(FailureKind::crashed, prefix + fault.what(), fault.report());
    } catch (const Interrupted&) {
        failures.emplace_back(interrupted.value_or(FailureKind::shutting_down), "interrupted");
    } catch (const Timeout&) {
        if (interrupted) {
            failures.emplace_back(*interrupted, "interrupted");
        } else {
            failures.emplace_back(FailureKind::timed_out,
                                  second
                                      ? "the error handler took more than its second"
                                      : "the program took more than max_request_time (" +
                                            std::to_string(program_->config.max_request_time.count() / 1000) + " ms)");
        }
    } catch (const OutOfMemory& error) {
        failures.emplace_back(FailureKind::out_of_memory, prefix + error.what());
    } catch (const std::exception& error) {
        failures.emplace_back(FailureKind::host_error, error.what());
    }
    const FailureKind kind = failures.back().kind();
    if (is_program_failure(kind) && !second) {
        const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_);
        counters_.add(Counter::exception_time, static_cast<std::uint64_t>(time.count()));
    }
    if (kind == FailureKind::timed_out) {
        counters_.add(Counter::program_timeout, 1);
    } else if (is_program_failure(kind)) {
        counters_.add(Counter::program_exception, 1);
    }
}

// Equal to the snapshot, by reset or by a new fork. Throws when neither is to be had; fork_ is null then.
void RequestVm::renew() {
    calls_.adopt(program_->registration);
    if (fork_) {
        try {
            fork_->reset();
            count_statistics();
            return;
        } catch (const std::exception& error) {
            calls_.note(std::string("the VM could not be reset and is replaced: ") + error.what());
        }
        count_statistics();
        const MutexLock lock(mutex_);
        fork_.reset();
    }
    auto fresh = std::make_unique<Fork>(program_->snapshot);
    counters_.add(Counter::forks, 1);
    const MutexLock lock(mutex_);
    fork_ = std::move(fresh);
    counted_ = {};
}

// A paused program that is not ephemeral goes on behind its response, to where it waits for the next request.
void RequestVm::return_to_wait() {
    calls_.begin_return();
    const Deadline deadline = Clock::now() + program_->config.max_request_time;
    try {
        const Stop stop = run_guest([&](Fork& fork) { return fork.resume(0, calls_, deadline); });
        must_reset_ = stop.reason != Stop::Reason::host_call || !calls_.waits();
    } catch (const std::exception&) {
        must_reset_ = true;
    }
}

// After a request: fit for the next one. False, and the reason, when this VM has come to its end. The last one is
// undone as well: only then it is known what it has taken.
bool RequestVm::recycle(std::string& why, bool is_last) {
    try {
        if (ran_ && !must_reset_ && waits_paused() && !is_last) {
            return_to_wait();
        }
        if (must_reset_) {
            renew();
        } else {
            count_statistics();
            note_kept_memory();
        }
        ran_ = must_reset_ = false;
        return true;
    } catch (const std::exception& error) {
        why = error.what();
        return false;
    }
}

}  // namespace tinykvm::host
