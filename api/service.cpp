#include "api/service.hpp"

#include <utility>

#include "api/failure.hpp"

namespace tinykvm::api {

namespace {

constexpr auto retry_after = std::chrono::seconds(1);
constexpr auto look_around = std::chrono::milliseconds(100);
constexpr auto patience_with_vms = std::chrono::seconds(5);

}  // namespace

Service::Service(std::string name, const ServiceHost& host) : name_(std::move(name)), host_(host) {}

Service::~Service() { cold(); }

bool Service::configure(ProgramConfig config) {
    const std::lock_guard lock(mutex_);
    if (boot_) {
        return false;
    }
    config_ = std::move(config);
    return true;
}

void Service::run_boot(Boot& boot) const {
    const auto begin = Clock::now();
    std::shared_ptr<const BootedProgram> program;
    std::string failure;
    try {
        program = boot_program(
            boot.name, boot.config, [&](std::string_view line) { host_.log(boot.name, line); }, boot.control);
        if (boot.config.verbose) {
            const auto time = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin);
            host_.log(boot.name, "booted in " + std::to_string(time.count()) + " us");
        }
    } catch (const Failure& error) {
        failure = error.what();
        host_.log(boot.name, "did not boot: " + failure);
        for (std::string_view report = error.report(); !report.empty();) {
            const std::size_t end = report.find('\n');
            host_.log(boot.name, report.substr(0, end));
            report.remove_prefix(end == std::string_view::npos ? report.size() : end + 1);
        }
    } catch (const std::exception& error) {
        failure = error.what();
    }
    const std::lock_guard lock(boot.mutex);
    boot.program = std::move(program);
    boot.failure = std::move(failure);
    boot.ended = Clock::now();
    boot.done = true;
    boot.over.notify_all();
}

// Of one that is over, only the thread goes. Called with the mutex of the service.
void Service::give_up_boot() {
    if (!boot_) {
        return;
    }
    {
        std::unique_lock lock(boot_->mutex);
        while (!boot_->done) {
            boot_->control.cancel();
            boot_->over.wait_for(lock, look_around);
        }
    }
    thread_.join();
    if (!boot_->program) {
        boot_.reset();
    }
}

// The boot to wait for or to use; a new one when there is none or the last one failed a while ago.
std::shared_ptr<Service::Boot> Service::current_boot() {
    const std::lock_guard lock(mutex_);
    if (boot_) {
        const std::lock_guard boot_lock(boot_->mutex);
        if (!boot_->done || boot_->program || Clock::now() < boot_->ended + retry_after) {
            return boot_;
        }
    }
    auto boot = std::make_shared<Boot>();
    boot->name = name_;
    boot->config = config_;
    thread_.join();  // of the failed one: it is about to end
    thread_ = Thread("kvm:" + name_, [this, boot] { run_boot(*boot); });
    boot_ = boot;
    host_.counters.add(Counter::boots, 1);
    return boot;
}

void Service::start() { (void)current_boot(); }

void Service::wait_until_booted(const ClientGone& gone) { (void)await_boot(gone); }

std::shared_ptr<Service::Boot> Service::await_boot(const ClientGone& gone) {
    const std::shared_ptr<Boot> boot = current_boot();
    std::unique_lock lock(boot->mutex);
    while (!boot->over.wait_for(lock, look_around, [&] { return boot->done; })) {
        lock.unlock();
        if (gone && gone()) {
            throw Failure(FailureKind::client_gone, "the client left while the program booted");
        }
        lock.lock();
    }
    if (!boot->program) {
        if (!std::exchange(boot->failure_counted, true)) {
            host_.counters.add(Counter::boots_failed, 1);
        }
        throw Failure(FailureKind::not_ready, "the program did not boot: " + boot->failure);
    }
    return boot;
}

bool Service::ready() const {
    const std::lock_guard lock(mutex_);
    if (!boot_) {
        return false;
    }
    const std::lock_guard boot_lock(boot_->mutex);
    return boot_->program != nullptr;
}

bool Service::healthy() const {
    const std::lock_guard lock(mutex_);
    if (!boot_) {
        return true;
    }
    const std::lock_guard boot_lock(boot_->mutex);
    return !boot_->done || boot_->program || Clock::now() >= boot_->ended + retry_after;
}

std::shared_ptr<Pool> Service::pool_for(const Boot& boot) {
    const std::lock_guard lock(mutex_);
    if (cold_) {
        throw Failure(FailureKind::closed, "the VCL is cold");
    }
    if (!pool_) {
        pool_ = std::make_shared<Pool>(boot.program, host_.counters);
    }
    return pool_;
}

Lease Service::acquire(const ClientGone& gone) {
    const std::shared_ptr<Boot> boot = await_boot(gone);
    return pool_for(*boot)->acquire(Clock::now() + config_.max_queue_time, gone);
}

void Service::warm() {
    const std::lock_guard lock(mutex_);
    cold_ = false;
}

void Service::cold() {
    std::shared_ptr<Pool> pool;
    {
        const std::lock_guard lock(mutex_);
        cold_ = true;
        give_up_boot();
        pool = std::exchange(pool_, nullptr);
    }
    if (pool) {
        pool->close(patience_with_vms);
    }
}

}  // namespace tinykvm::api
