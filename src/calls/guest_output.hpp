// What guests write to their standard output and what the library says about them, on its way to a log. Forks share the
// callbacks of their program, so what they get goes to the GuestOutput that is attached to the running thread.
//
// Thread safety: a GuestOutput belongs to the thread it is attached to.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tinykvm/options.hpp"

namespace tinykvm::host {

class GuestOutput {
  public:
    // `line` gets whole lines, already fit for a log.
    explicit GuestOutput(std::function<void(std::string_view line)> line) : line_(std::move(line)) {}

    // Where output and log lines of guests on this thread go from now on; null: nowhere.
    static void attach(GuestOutput* output);
    // Makes the callbacks of `options` send to what is attached. `log`: also what the library logs on request.
    static void connect(Options& options, bool log);

    void log_output(bool enabled) { log_output_ = enabled; }
    // Ends a line that has no end yet.
    void flush();
    // The last line of the program, for messages about its end.
    const std::string& last_line() const { return last_line_; }

  private:
    void write(std::string_view text);
    void end_line();

    std::function<void(std::string_view)> line_;
    std::string pending_, last_line_;
    bool log_output_ = false;
};

}  // namespace tinykvm::host
