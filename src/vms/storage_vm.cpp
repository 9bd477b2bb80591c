#include "src/vms/storage_vm.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/vms/state_file.hpp"
#include "src/vms/thread_time.hpp"

namespace tinykvm::host {

namespace {

constexpr std::size_t max_queue = 10000;
// How often one that waits looks whether its request is still wanted.
constexpr auto look_around = std::chrono::milliseconds(10);
constexpr GuestAddr alignment = 64;  // SIMD code likes its input aligned

GuestCalls::Environment environment_of(const BootedProgram& program, Storage* storage) {
    GuestCalls::Environment environment = GuestCalls::environment_of(program.config);
    environment.ephemeral = false;
    environment.control_ephemeral = false;
    environment.allow_debug = false;
    environment.debug = false;
    environment.services = program.services;
    environment.services.storage = {std::shared_ptr<void>(), storage};  // not owned: it owns these calls
    environment.pool = storage;
    environment.is_storage = true;
    return environment;
}

}  // namespace

StorageVm::StorageVm(std::shared_ptr<const BootedProgram> program, std::unique_ptr<StorageBoot> again)
    : program_(std::move(program)),
      again_(std::move(again)),
      booted_(program_),
      statistics_(program_statistics_, program_->config.max_request_memory, program_->snapshot->image_bytes()),
      calls_(environment_of(*program_, this)),
      output_([this](std::string_view line) { log(line); }),
      fork_(std::make_unique<Fork>(program_->snapshot)) {
    calls_.begin_boot([this](std::string_view line) { log(line); });
    calls_.adopt(program_->registration);
    output_.log_output(program_->config.standard_output);
    for (const StorageTask& task : program_->registration.storage_tasks) {
        (void)begin(task);
    }
    thread_ = Thread("kvm:" + program_->name, [this] { thread_main(); });
}

StorageVm::~StorageVm() {
    {
        const MutexLock lock(mutex_);
        ends_ = true;
        work_.notify_one();
        // An interrupt is lost when the guest is about to run only.
        while (!has_ended_) {
            interrupt();
            thread_ended_.wait_until(mutex_, Clock::now() + look_around);
        }
    }
    thread_.join();
}

void StorageVm::log(std::string_view lines) const {
    if (program_->services.log != nullptr) {
        program_->services.log(program_->name, "storage: " + std::string(lines));
    }
}

void StorageVm::interrupt() {
    if (again_) {
        again_->cancel();
    }
    const MutexLock lock(fork_mutex_);
    if (fork_) {
        fork_->interrupt();
    }
}

// --- Of those that call, any thread

bool StorageVm::allows(GuestAddr function) const {
    const auto& allowed = program_->registration.storage_functions;
    return allowed.empty() || std::find(allowed.begin(), allowed.end(), function) != allowed.end();
}

StorageResult StorageVm::call(StorageCall call) {
    std::optional<WaitGraph::Entry> wait;
    if (call.inside_of != 0 && !(wait = WaitGraph::of_process().begin_wait(this, 1, call.inside_of))) {
        return {.error = EDEADLK};
    }
    auto job = std::make_shared<Job>();
    job->function = call.function;
    job->buffers = std::move(call.buffers);
    job->room = call.room;
    return await(call, job);
}

StorageResult StorageVm::await(const StorageCall& call, const std::shared_ptr<Job>& job) {
    const MutexLock lock(mutex_);
    if (ends_ || queue_.size() >= max_queue) {
        return {.error = ends_ ? ECANCELED : EAGAIN};
    }
    queue_.push_back(job);
    work_.notify_one();
    while (!job->result) {
        const auto now = Clock::now();
        if (now >= call.deadline || (call.is_cancelled && call.is_cancelled())) {
            // One that runs is left to itself: half of a change would be worse than a change nobody hears of.
            if (!job->has_begun) {
                std::erase(queue_, job);
            }
            return {.error = ETIMEDOUT};
        }
        job->ended.wait_until(mutex_, std::min(call.deadline, now + look_around));
    }
    return *std::exchange(job->result, std::nullopt);
}

long StorageVm::begin(StorageTask task) {
    const MutexLock lock(mutex_);
    const long number = tasks_.add(std::move(task), Clock::now());
    work_.notify_one();
    return number;
}

bool StorageVm::stop(long task) {
    const MutexLock lock(mutex_);
    return tasks_.remove(task);
}

// --- Of a live update

// Asked without the mutex: it may take others that come before.
bool StorageVm::ask(const std::function<bool()>& is_cancelled) {
    const MutexUnlock unlocked(mutex_);
    return is_cancelled();
}

bool StorageVm::hold(Deadline until, const std::function<bool()>& is_cancelled) {
    const MutexLock lock(mutex_);
    bool is_mine = false;  // programs of several VCLs may be updated at a time
    while (is_running_ || !is_mine) {
        if (Clock::now() >= until || ask(is_cancelled)) {
            is_held_ = is_held_ && !is_mine;
            work_.notify_one();
            return false;
        }
        if (!is_mine && !is_held_) {
            is_held_ = is_mine = true;
            continue;
        }
        job_ended_.wait_until(mutex_, Clock::now() + look_around);
    }
    return true;
}

void StorageVm::release() {
    const MutexLock lock(mutex_);
    is_held_ = false;
    work_.notify_one();
    job_ended_.notify_all();
}

StorageBytes StorageVm::hand_over(const std::function<bool()>& is_cancelled) {
    auto job = std::make_shared<Job>();
    job->kind = Job::Kind::hand_over;
    job->function = program_->registration.callback(abi::Callback::live_update);
    job->room = program_->config.max_memory;
    StorageResult result = update(job, is_cancelled);
    if (result.error == 0 && result.size > job->room) {
        result.error = EFBIG;
        result.why = "its state has " + std::to_string(result.size) + " bytes, more than max_memory";
    }
    if (result.error != 0) {
        throw Failure(FailureKind::not_ready, "on_live_update failed: " + result.why);
    }
    return std::move(result.bytes);
}

void StorageVm::take_over(StorageBytes state, const std::function<bool()>& is_cancelled) {
    auto job = std::make_shared<Job>();
    job->kind = Job::Kind::take_over;
    job->function = program_->registration.callback(abi::Callback::live_restore);
    job->buffers.push_back(std::move(state));
    if (const StorageResult result = update(job, is_cancelled); result.error != 0) {
        throw Failure(FailureKind::not_ready, "on_live_restore failed: " + result.why);
    }
}

void StorageVm::reload(const std::function<bool()>& is_cancelled) {
    auto job = std::make_shared<Job>();
    job->kind = Job::Kind::reload;
    if (const StorageResult result = update(job, is_cancelled); result.error != 0) {
        throw Failure(FailureKind::not_ready, result.why);
    }
}

// Has the thread run it. Its time is that of any call, or of a boot.
StorageResult StorageVm::update(const std::shared_ptr<Job>& job, const std::function<bool()>& is_cancelled) {
    const MutexLock lock(mutex_);
    update_job_ = job;
    work_.notify_one();
    while (!job->result) {
        job->ended.wait_until(mutex_, Clock::now() + look_around);
        if (!job->result && ask(is_cancelled) && !job->result) {
            update_job_.reset();
            return {.error = ECANCELED, .why = "the update is not wanted any more"};
        }
    }
    return *std::exchange(job->result, std::nullopt);
}

StorageReport StorageVm::report() const {
    StorageReport report;
    report.machine = statistics_.report();
    const MutexLock lock(mutex_);
    report.calls_queued = queue_.size();
    report.tasks_queued = tasks_.count_due(Clock::now());
    report.tasks_inschedule = tasks_.size();
    return report;
}

// --- The thread

// Tasks that are due take turns with calls: neither keeps the other waiting for ever.
std::shared_ptr<StorageVm::Job> StorageVm::next_job() {
    if (update_job_ || is_held_) {
        return std::exchange(update_job_, nullptr);
    }
    std::optional<StorageTask> task;
    if (!task_was_last_ || queue_.empty()) {
        task = tasks_.take_due(Clock::now());
    }
    task_was_last_ = task.has_value();
    if (!task) {
        if (queue_.empty()) {
            return nullptr;
        }
        auto job = queue_.front();
        queue_.pop_front();
        job->has_begun = true;
        return job;
    }
    auto job = std::make_shared<Job>();
    job->function = task->function;
    job->buffers.push_back(std::move(task->data));
    job->kind = Job::Kind::task;
    return job;
}

void StorageVm::thread_main() {
    GuestOutput::attach(&output_);
    const MutexLock lock(mutex_);
    while (!ends_) {
        const std::shared_ptr<Job> job = next_job();
        if (!job) {
            if (const auto due = is_held_ ? std::nullopt : tasks_.next()) {
                work_.wait_until(mutex_, *due);
            } else {
                work_.wait(mutex_);
            }
            continue;
        }
        StorageResult result;
        is_running_ = true;
        {
            const MutexUnlock unlock(mutex_);
            result = run(*job);
        }
        is_running_ = false;
        job_ended_.notify_all();
        job->result = std::move(result);
        job->ended.notify_one();
    }
    for (const auto& job : queue_) {
        job->result = StorageResult{.error = ECANCELED, .why = "the storage ends"};
        job->ended.notify_one();
    }
    queue_.clear();
    has_ended_ = true;
    thread_ended_.notify_one();
    GuestOutput::attach(nullptr);
}

// Puts the arguments where requests of other VMs are, and returns those of the function.
std::vector<std::uint64_t> StorageVm::lay_out(const Job& job) {
    const RequestArea area = fork_->request_area();
    GuestAddr at = area.begin + job.buffers.size() * sizeof(abi::Buffer);
    std::vector<abi::Buffer> list;
    const GuestAddr end = area.begin + area.size;
    const auto write = [&](GuestAddr to, const void* from, std::size_t size) {
        if (to > end || size > end - to || !fork_->memory().write(to, from, size)) {
            throw OutOfMemory("max_memory", program_->config.max_memory);
        }
    };
    for (const StorageBytes& buffer : job.buffers) {
        at = (at + alignment - 1) & ~(alignment - 1);
        write(at, buffer.data(), buffer.size());
        list.push_back({at, buffer.size()});
        at += buffer.size();
    }
    if (job.kind == Job::Kind::task) {
        return {list[0].data, list[0].length};
    }
    write(area.begin, list.data(), list.size() * sizeof(abi::Buffer));
    return {list.size(), area.begin, job.room};
}

// Has the guest run what the job is.
Stop StorageVm::enter(const Job& job) {
    const Deadline deadline = Clock::now() + program_->config.max_storage_time;
    switch (job.kind) {
        case Job::Kind::call:
        case Job::Kind::task: {
            calls_.begin_storage_call(job.room);
            return fork_->call(job.function, lay_out(job), calls_, deadline);
        }
        case Job::Kind::hand_over: {
            calls_.begin_hand_over(job.room);
            return fork_->call(job.function, {}, calls_, deadline);
        }
        case Job::Kind::take_over: {
            calls_.begin_restore(job.buffers[0]);
            const std::array<std::uint64_t, 1> arguments{job.buffers[0].size()};
            return fork_->call(job.function, arguments, calls_, deadline);
        }
        case Job::Kind::reload: break;
    }
    return {};
}

StorageResult StorageVm::run(const Job& job) {
    const CountedCpuTime counted(statistics_);
    statistics_.add(Counter::requests, 1);
    try {
        if (job.kind == Job::Kind::reload) {
            program_->state->forget_early();
            replace(nullptr);
        }
        if (!fork_) {
            make_fork();
        }
        for (const StorageBytes& buffer : job.buffers) {
            statistics_.add(Counter::input_bytes, buffer.size());
        }
        if (job.kind == Job::Kind::reload) {
            return {};
        }
        const Stop stop = enter(job);
        output_.flush();
        statistics_.set_memory(fork_->statistics().pages_dirtied * page_size);
        if (stop.reason == Stop::Reason::exited) {
            const std::string why = "the program ended itself with status " + std::to_string(stop.exit_status);
            begin_anew(why);
            return {.error = EIO, .why = why};
        }
        StorageResult result = calls_.take_storage_result();
        statistics_.add(Counter::output_bytes, result.bytes.size());
        return result;
    } catch (const GuestFault& fault) {
        return failed(job, EIO, fault.what(), fault.report());
    } catch (const Timeout&) {
        statistics_.add(Counter::program_timeout, 1);
        return failed(job, ETIMEDOUT, "it took more than max_storage_time");
    } catch (const OutOfMemory&) {
        return failed(job, ENOMEM, "it needs more than max_memory");
    } catch (const Interrupted&) {
        return {.error = ECANCELED, .why = "the storage ends"};
    } catch (const std::exception& error) {
        return failed(job, EIO, error.what());
    }
}

std::string StorageVm::name_of(Job::Kind kind) {
    switch (kind) {
        case Job::Kind::call: return "a call of the function";
        case Job::Kind::task: return "a task of the function";
        case Job::Kind::hand_over: return "on_live_update";
        case Job::Kind::take_over: return "on_live_restore";
        case Job::Kind::reload: break;
    }
    return "the boot";
}

StorageResult StorageVm::failed(const Job& job, int error, const std::string& why, const std::string& report) {
    statistics_.add(Counter::program_exception, 1);
    output_.flush();
    log(name_of(job.kind) + " at " + hex(job.function) + " failed: " + why);
    if (!report.empty()) {
        log(report);
    }
    try {
        if (fork_ && !fork_->recover(!report.empty())) {
            begin_anew("its VM cannot go on");
        }
    } catch (const std::exception& trouble) {
        begin_anew(trouble.what());
    }
    return {.error = error, .why = why};
}

void StorageVm::begin_anew(const std::string& why) {
    log(why + ": it begins anew, with " + (again_ ? "what it has saved" : "nothing of what it kept"));
    if (again_) {
        replace(nullptr);  // the next call boots it
        return;
    }
    calls_.adopt(booted_->registration);
    try {
        fork_->reset();
    } catch (const std::exception& trouble) {
        log(trouble.what());
        replace(nullptr);  // the next call makes one
    }
}

void StorageVm::make_fork() {
    if (again_) {
        booted_ = again_->boot(*program_, [this](std::string_view line) { log(line); });
        GuestOutput::attach(&output_);  // instead of that of the boot
        calls_.adopt(booted_->registration);
    }
    replace(std::make_unique<Fork>(booted_->snapshot));
}

void StorageVm::replace(std::unique_ptr<Fork> fork) {
    const MutexLock lock(fork_mutex_);
    fork_ = std::move(fork);
}

}  // namespace tinykvm::host
