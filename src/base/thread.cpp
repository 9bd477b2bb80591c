#include "src/base/thread.hpp"

#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::host {

namespace {

constexpr std::size_t stack_size = std::size_t{512} << 10;

struct Start {
    std::string name;
    std::function<void()> body;
};

void* run(void* argument) {
    std::unique_ptr<Start> start(static_cast<Start*>(argument));
    pthread_setname_np(pthread_self(), start->name.substr(0, 15).c_str());
    start->body();
    return nullptr;
}

}  // namespace

Thread::Thread(const std::string& name, std::function<void()> body) {
    auto start = std::make_unique<Start>(Start{name, std::move(body)});
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    sigset_t others;
    sigfillset(&others);
    for (const int own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) {
        sigdelset(&others, own);
    }
    pthread_attr_setsigmask_np(&attributes, &others);
    const int error = pthread_create(&thread_, &attributes, run, start.get());
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        throw Failure(FailureKind::host_error, std::string("a thread for a VM: ") + std::strerror(error));
    }
    (void)start.release();
    running_ = true;
}

Thread::~Thread() { join(); }

Thread::Thread(Thread&& other) noexcept : thread_(other.thread_), running_(std::exchange(other.running_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
    join();
    thread_ = other.thread_;
    running_ = std::exchange(other.running_, false);
    return *this;
}

void Thread::join() {
    if (std::exchange(running_, false)) {
        pthread_join(thread_, nullptr);
    }
}

void Thread::detach() {
    if (std::exchange(running_, false)) {
        pthread_detach(thread_);
    }
}

}  // namespace tinykvm::host
