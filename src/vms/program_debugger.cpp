#include "src/vms/program_debugger.hpp"

#include <chrono>
#include <utility>

#include "tinykvm/errors.hpp"

namespace tinykvm::host {

namespace {

// Is there a program of this process that is waited for or debugged?
std::atomic<bool> is_taken{false};

std::string_view what_happened(debug::Debugger::Event event) {
    switch (event) {
        case debug::Debugger::Event::start: return "before its first instruction";
        case debug::Debugger::Event::crash: return "because it has crashed (remote_debug_on_exception)";
        case debug::Debugger::Event::request: return "because it calls sys_breakpoint() (allow_debug)";
        case debug::Debugger::Event::signal:
        case debug::Debugger::Event::pause: break;
    }
    return "";
}

std::string seconds(std::chrono::microseconds time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

bool ProgramDebugger::is_wanted(Event event) const {
    if (waited_in_vain_) {
        return false;
    }
    switch (event) {
        case Event::start: return config_.allow_debug && config_.debug_start;
        case Event::crash: return config_.remote_debug_on_exception;
        case Event::request: return config_.allow_debug;
        case Event::signal:
        case Event::pause: break;
    }
    return false;
}

// Until one has connected, that is how long one is waited for, at most.
Deadline ProgramDebugger::deadline() const {
    return gdb_ ? gdb_->deadline() : Clock::now() + config_.max_debug_wait + config_.max_debug_time;
}

debug::Debugger::Resume ProgramDebugger::stopped(debug::Target& target, int signal, Event event) {
    if (!gdb_ && !(is_wanted(event) && attach(target, event))) {
        return event == Event::crash ? Resume::deliver : Resume::go_on;
    }
    const Resume resume = gdb_->stopped(target, signal, event);
    delivered_ = resume == Resume::deliver ? signal : 0;
    if (!gdb_->is_attached()) {
        if (Clock::now() >= gdb_->deadline()) {
            log_("gdb has had it for longer than max_debug_time (" + seconds(config_.max_debug_time) +
                 "), so it is ended");
        } else {
            log_(resume == Resume::kill ? "gdb has ended it" : "gdb has let it go");
        }
        release();
    }
    return resume;
}

// Waits for a gdb. False when there is none.
bool ProgramDebugger::attach(const debug::Target& target, Event event) {
    waited_in_vain_ = true;
    if (is_taken.exchange(true)) {
        log_("gdb is not waited for " + std::string(what_happened(event)) + ": it has another program");
        return false;
    }
    has_program_ = true;
    try {
        const Clock::time_point now = Clock::now();
        gdb_.emplace(static_cast<std::uint16_t>(config_.debug_port), debug::GdbServer::WithoutGdb::goes_on,
                     now + config_.max_debug_wait + config_.max_debug_time);
        log_("waits " + seconds(config_.max_debug_wait) + " for gdb " + std::string(what_happened(event)) +
             ": target remote 127.0.0.1:" + std::to_string(gdb_->port()));
        if (gdb_->accept(now + config_.max_debug_wait, [&] { return target.is_interrupted(); })) {
            log_("gdb has it");
            waited_in_vain_ = false;
            return true;
        }
        log_("goes on without gdb, which has not come");
    } catch (const MachineError& error) {
        log_(error.what());
    }
    release();
    return false;
}

void ProgramDebugger::let_go(debug::Target& target) {
    if (gdb_) {
        log_("gdb's session ends with the run of the program");
        delivered_ != 0 ? gdb_->killed(delivered_) : gdb_->exited(0);
        gdb_->let_go(target);
    }
    release();
}

void ProgramDebugger::release() {
    gdb_.reset();
    delivered_ = 0;
    if (has_program_.exchange(false)) {
        is_taken = false;
    }
}

}  // namespace tinykvm::host
