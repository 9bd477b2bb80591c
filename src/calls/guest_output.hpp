// What guests write to their standard output and standard error and what the library says about them, on its way to a
// log, or to the standard streams of a request. Forks share the callbacks of their program, so what they get goes to
// the GuestOutput that is attached to the running thread.
//
// Thread safety: a GuestOutput belongs to the thread it is attached to.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/calls/standard_streams.hpp"
#include "src/config/config.hpp"
#include "tinykvm/client.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::host {

class GuestOutput {
  public:
    // `line` gets whole lines, already fit for a log.
    explicit GuestOutput(std::function<void(std::string_view line)> line) : line_(std::move(line)) {}

    // Where output and log lines of guests on this thread go from now on; null: nowhere.
    static void attach(GuestOutput* output);
    // Makes the callbacks of `options` send to what is attached, also what the library logs on request if `config`
    // wants that. With the protocols stdio and http the program has the input or the client of use().
    static void connect(Options& options, const ProgramConfig& config);

    void log_output(bool enabled) { log_output_ = enabled; }
    // Standard input comes from there, and standard output goes there instead of to the log. Borrows it.
    void use(StandardStreams& streams) { streams_ = &streams; }
    // The client that connects to a server. Borrows it.
    void use(Client& client) { client_ = &client; }
    // A request begins: nothing is there of the one before.
    void forget_lines() {
        pending_.clear();
        last_line_.clear();
    }
    // Ends a line that has no end yet.
    void flush();
    // The last line of the program, for messages about its end.
    const std::string& last_line() const { return last_line_; }

  private:
    void write(int fd, std::string_view text);
    void add_to_log(std::string_view text);
    void end_line();

    std::function<void(std::string_view)> line_;
    Client* client_ = nullptr;            // null: there is none
    StandardStreams* streams_ = nullptr;  // null: the program has no input, and all output is for the log
    std::string pending_, last_line_;
    bool log_output_ = false;
};

}  // namespace tinykvm::host
