#include "src/calls/guest_output.hpp"

#include <unistd.h>

#include <algorithm>

#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

thread_local GuestOutput* attached = nullptr;

}  // namespace

void GuestOutput::attach(GuestOutput* output) { attached = output; }

void GuestOutput::connect(Options& options, const ProgramConfig& config) {
    options.output = [](int fd, std::string_view text) {
        if (attached != nullptr) {
            attached->write(fd, text);
        }
    };
    if (config.protocol == ProgramConfig::Protocol::stdio) {
        options.input = []() -> InputSource* { return attached != nullptr ? attached->streams_ : nullptr; };
    }
    if (config.protocol == ProgramConfig::Protocol::http) {
        options.client = []() -> Client* { return attached != nullptr ? attached->client_ : nullptr; };
    }
    options.warn = [](std::string_view line) {
        if (attached != nullptr) {
            attached->line_(printable(line));
        }
    };
    if (config.verbose || config.verbose_syscalls) {
        options.log = options.warn;
        options.log_system_calls = config.verbose_syscalls;
    }
}

void GuestOutput::write(int fd, std::string_view text) {
    if (fd == STDOUT_FILENO && streams_ != nullptr) {
        streams_->write(text);
    } else {
        add_to_log(text);
    }
}

void GuestOutput::add_to_log(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view part = text.substr(0, end);
        // A line is cut where a log line is, and by one byte more, which shows that it is cut.
        constexpr std::size_t most = max_log_line + 1;
        pending_ += part.substr(0, most - std::min(pending_.size(), most));
        if (end == std::string_view::npos) {
            return;
        }
        end_line();
        text.remove_prefix(end + 1);
    }
}

void GuestOutput::end_line() {
    last_line_ = printable(pending_, max_log_line);
    pending_.clear();
    if (log_output_) {
        line_("output: " + last_line_);
    }
}

void GuestOutput::flush() {
    if (!pending_.empty()) {
        end_line();
    }
}

}  // namespace tinykvm::host
