// What ended a run, as the failure of its request. This needs no KVM.
#include "src/vms/failure_record.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace tinykvm::host {
namespace {

using namespace std::chrono_literals;

template <typename Thrown>
FailedRun run_that_threw(const Thrown& thrown) {
    return {.thrown = std::make_exception_ptr(thrown), .interrupted = {}, .time_allowed = 8s};
}

TEST(FailureRecordTest, FailuresStayAsTheyAre) {
    FailedRun run = run_that_threw(Failure(FailureKind::invalid_answer, "status 7", "report"));
    run.is_error_handler = true;
    const Failure failure = failure_of(run);
    EXPECT_EQ(failure.kind(), FailureKind::invalid_answer);
    EXPECT_STREQ(failure.what(), "status 7");
    EXPECT_EQ(failure.report(), "report");
}

TEST(FailureRecordTest, TimeIsUpOrSomebodyInterrupted) {
    FailedRun run = run_that_threw(Timeout("interrupted"));
    EXPECT_EQ(failure_of(run).kind(), FailureKind::timed_out);
    EXPECT_STREQ(failure_of(run).what(), "the program took more than max_request_time (8000 ms)");
    run.is_error_handler = true;
    EXPECT_STREQ(failure_of(run).what(), "the error handler took more than its second");
    run.interrupted = FailureKind::client_gone;
    EXPECT_EQ(failure_of(run).kind(), FailureKind::client_gone);
    EXPECT_STREQ(failure_of(run).what(), "interrupted");
}

TEST(FailureRecordTest, MemoryAndTheHost) {
    FailedRun run = run_that_threw(OutOfMemory("max_request_memory", std::size_t{1} << 20));
    EXPECT_EQ(failure_of(run).kind(), FailureKind::out_of_memory);
    run.is_error_handler = true;
    EXPECT_EQ(std::string(failure_of(run).what()).rfind("the error handler: ", 0), 0U);
    EXPECT_EQ(failure_of(run_that_threw(std::runtime_error("no KVM"))).kind(), FailureKind::host_error);
    EXPECT_STREQ(failure_of(run_that_threw(std::runtime_error("no KVM"))).what(), "no KVM");
}

}  // namespace
}  // namespace tinykvm::host
