#include "src/programs/warmup.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/calls/request_layout.hpp"
#include "src/vms/program_call.hpp"
#include "src/vms/server_call.hpp"
#include "tinykvm/memory/guest_memory.hpp"

namespace tinykvm::host {

namespace {

// Without `exact` there are at most so many requests for each of num_requests.
constexpr unsigned most_rounds = 100;

// Warm-up requests have no body, so no answer comes before its end.
constexpr std::size_t most_early_answer = 0;

// What is beyond num_requests must not make a program fail that would load without it: it ends with half of the time
// and half of the memory that the program has while it boots.
class Allowance {
  public:
    Allowance(const GuestMemory& memory, Deadline deadline)
        : memory_(memory), half_time_(Clock::now() + (deadline - Clock::now()) / 2) {}

    bool is_left() const { return Clock::now() < half_time_ && memory_.own_bytes() <= memory_.limits().bytes / 2; }

  private:
    const GuestMemory& memory_;
    const Deadline half_time_;
};

class WarmUp {
  public:
    WarmUp(const WarmedProgram& program, const Warmup& warmup, Deadline deadline)
        : machine_(program.machine),
          calls_(program.calls),
          connection_(program.connection),
          deadline_(deadline),
          headers_(warmup.headers.begin(), warmup.headers.end()),
          program_call_(machine_, calls_.registration(), calls_, layout_, request_) {
        request_.method = warmup.method;
        request_.url = warmup.url;
        request_.headers = headers_;
        request_.warmup = true;
    }

    // The first request finds its connection accepted, as if its client had connected and had not said anything yet.
    void connect() {
        if (connection_ == nullptr || connection_->kept() != 0) {
            return;
        }
        connection_->open();
        return_to_waiting(machine_, calls_, deadline_);
    }

    // The program goes on to where it waits again.
    void answer_one() { connection_ != nullptr ? answer_on_connection() : answer_by_callback(); }

  private:
    void answer_by_callback() {
        layout_.begin(machine_.memory(), machine_.request_area(), request_);
        layout_.finish();
        calls_.begin_request(request_);
        if (!program_call_.can_call()) {
            throw Failure(FailureKind::unsupported, "the program has no callback for it");
        }
        (void)program_call_.expect_answer(program_call_.call(deadline_));
        if (calls_.registration().waiting == Registration::Waiting::paused &&
            !program_call_.return_to_waiting_call(deadline_)) {
            throw Failure(FailureKind::no_answer, "the program did not wait for another request after its answer");
        }
        calls_.response().reset();
    }

    void answer_on_connection() {
        ServerCall call(machine_, calls_, *connection_, request_, most_early_answer);
        call.begin();
        const Response response = call.expect_answer(deadline_);
        if (response.stream) {
            while (!call.make_response_piece(deadline_)->empty()) {
            }
        }
        connection_->finish();
        return_to_waiting(machine_, calls_, deadline_);
    }

    Machine& machine_;
    GuestCalls& calls_;
    ServerConnection* const connection_;
    const Deadline deadline_;
    const std::vector<std::string_view> headers_;
    Request request_;
    RequestLayout layout_;
    ProgramCall program_call_;
};

}  // namespace

void warm_up(const WarmedProgram& program, const Warmup& warmup, Deadline deadline, std::string& where) {
    if (warmup.num_requests == 0) {
        return;
    }
    const std::string what = " (" + printable(warmup.method, 20) + " " + printable(warmup.url, 80) + ")";
    const std::string of = warmup.exact ? " of " + std::to_string(warmup.num_requests) : std::string();
    const unsigned most = warmup.exact ? warmup.num_requests : warmup.num_requests * most_rounds;
    const Allowance allowance(program.machine.memory(), deadline);
    WarmUp warm(program, warmup, deadline);
    auto fastest = Clock::duration::max();
    const auto goes_on = [&](unsigned n, unsigned no_faster) {
        return n <= warmup.num_requests || (n <= most && no_faster < warmup.num_requests && allowance.is_left());
    };
    for (unsigned n = 1, no_faster = 0; goes_on(n, no_faster); n++) {
        where = "in warm-up request " + std::to_string(n) + of + what;
        const auto begin = Clock::now();
        warm.answer_one();
        const auto time = Clock::now() - begin;
        no_faster = time < fastest ? 0 : no_faster + 1;
        fastest = std::min(fastest, time);
    }
    warm.connect();
}

}  // namespace tinykvm::host
