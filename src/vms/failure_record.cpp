#include "src/vms/failure_record.hpp"

#include <string>

namespace tinykvm::host {

namespace {

Failure failure_of_timeout(const FailedRun& run) {
    if (run.interrupted) {
        return {*run.interrupted, "interrupted"};
    }
    if (run.is_error_handler) {
        return {FailureKind::timed_out, "the error handler took more than its second"};
    }
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(run.time_allowed);
    return {FailureKind::timed_out,
            "the program took more than max_request_time (" + std::to_string(milliseconds.count()) + " ms)"};
}

}  // namespace

Failure failure_of(const FailedRun& run) {
    const std::string prefix = run.is_error_handler ? "the error handler: " : "";
    try {
        std::rethrow_exception(run.thrown);
    } catch (const Failure& failure) {
        return failure;
    } catch (const GuestFault& fault) {
        return {FailureKind::crashed, prefix + fault.what(), fault.report()};
    } catch (const Interrupted&) {
        return {run.interrupted.value_or(FailureKind::shutting_down), "interrupted"};
    } catch (const Timeout&) {
        return failure_of_timeout(run);
    } catch (const OutOfMemory& error) {
        return {FailureKind::out_of_memory, prefix + error.what()};
    } catch (const std::exception& error) {
        return {FailureKind::host_error, error.what()};
    }
}

}  // namespace tinykvm::host
