#include "src/vms/request_vm.hpp"

#include <exception>
#include <utility>

#include "src/vms/thread_time.hpp"

namespace tinykvm::host {

RequestVm::RequestVm(std::shared_ptr<const BootedProgram> program, ProgramStatistics& statistics, Observer& observer)
    : observer_(observer),
      fork_(std::move(program), statistics, &observer),
      slot_(fork_, fork_.program().can_wait_inside() ? fork_.program().config.poll : Poll{}),
      runner_(slot_, fork_) {
    thread_ = Thread("kvm:" + fork_.program().name, [this] { thread_main(); });
}

RequestVm::~RequestVm() { thread_.join(); }

void RequestVm::shut_down() {
    slot_.retire();
    slot_.interrupt(FailureKind::shutting_down);
}

// --- A request, on the thread of the lease's holder

void RequestVm::begin(const Request& request) {
    if (slot_.begin() && !request.soft_reset) {
        // The client waits for this, which is why requests with soft_reset are best the only ones of a program.
        runner_.reset_here();
    }
    conversation_.emplace(fork_, slot_, request, std::exchange(body_buffer_, {}));
    conversation_->begin();
}

void RequestVm::append_body(std::span<const std::byte> data) {
    conversation_->keep_body(data);
    while (!data.empty()) {
        if (conversation_->append_body(data)) {
            conversation_->start();
            runner_.run(*conversation_, GuestWork::body_piece, nullptr);
        }
    }
}

Outcome RequestVm::run(const IsClientGone& gone) {
    conversation_->start();
    runner_.run(*conversation_, GuestWork::request, gone);
    return conversation_->take_outcome();
}

std::span<const std::byte> RequestVm::body(const Response& response, std::size_t offset) {
    if (conversation_->needs_response_piece(response, offset)) {
        runner_.run(*conversation_, GuestWork::response_piece, nullptr);
        conversation_->expect_response_piece();
    }
    return conversation_->body(response, offset);
}

void RequestVm::exchange(Exchange& exchange, const IsClientGone& gone) {
    conversation_->begin_exchange(exchange);
    runner_.run(*conversation_, GuestWork::exchange, gone);
    conversation_->expect_exchange();
}

void RequestVm::release() {
    (void)take_log();  // lines that were not asked for must not reach the next client
    end_conversation();
    Observer& observer = observer_;
    if (slot_.release(leftover_)) {
        observer.vm_idle(*this);  // not the member: this VM may be gone already
    }
}

void RequestVm::end_conversation() {
    // Without a fork, which begin() could not reset, there has to be a new one.
    leftover_ = conversation_ ? conversation_->leftover() : fork_.exists() ? Leftover::nothing : Leftover::spoiled;
    if (fork_.end_debugging()) {
        leftover_ = Leftover::spoiled;
    }
    if (conversation_) {
        body_buffer_ = conversation_->take_buffer();
        conversation_.reset();
    }
    if (leftover_ == Leftover::spoiled && !slot_.thread_is_inside() && fork_.reset_if_quick()) {
        leftover_ = Leftover::nothing;
    }
}

// --- The VM's own thread

void RequestVm::thread_main() {
    GuestOutput::attach(&fork_.output());
    std::string why;
    leftover_ = Leftover::spoiled;  // there is no fork yet
    try {
        reset_after_request(false);
        do {
            const bool enters = runner_.prepare_to_wait(leftover_);
            slot_.become_idle(enters, leftover_);
            observer_.vm_idle(*this);
            if (enters) {
                runner_.wait_inside();
            }
        } while (serve_until_used());
    } catch (const std::exception& error) {
        why = error.what();
    }
    fork_.destroy();
    slot_.withdraw();
    GuestOutput::attach(nullptr);
    observer_.vm_withdrawn(*this, why);
}

// Runs the guest for requests until the VM has to be made fit for another one, and does that. False: this VM was told
// to end. Throws what making it fit throws.
bool RequestVm::serve_until_used() {
    for (;;) {
        const VmSlot::Task task = slot_.await_task();
        const CountedCpuTime counted(fork_.statistics());
        switch (task) {
            case VmSlot::Task::end: return false;
            case VmSlot::Task::run_guest: runner_.perform(); break;
            case VmSlot::Task::reset: reset_after_request(false); return true;
            case VmSlot::Task::reset_last: reset_after_request(true); return false;
        }
    }
}

// Throws what making a fork throws: then this VM has come to its end. The last request is undone as well, because only
// then it is known what it has taken.
void RequestVm::reset_after_request(bool is_last) {
    const bool ran = leftover_ == Leftover::kept || leftover_ == Leftover::soft;
    if (ran && fork_.waits_paused() && !is_last) {
        return_to_waiting_call();
    }
    if (leftover_ == Leftover::spoiled) {
        fork_.reset();
    } else {
        fork_.count();
    }
    leftover_ = leftover_ == Leftover::soft ? Leftover::soft : Leftover::nothing;
}

// A paused program that is not reset goes on after its response, to where it waits for the next request.
void RequestVm::return_to_waiting_call() {
    TimeBudget time(fork_.program().config.max_request_time);
    TimedFork guest(fork_, slot_, time);
    const Request none;
    ProgramCall call(guest, fork_.program().registration, fork_.calls(), fork_.layout(), none);
    try {
        if (call.return_to_waiting_call(time.deadline())) {
            return;
        }
    } catch (const std::exception&) {
        // The VM is reset instead, after which it waits as well.
    }
    leftover_ = Leftover::spoiled;
}

}  // namespace tinykvm::host
