#include "src/cli/snapshot_run.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "src/cli/command.hpp"
#include "tinykvm/cold/archive.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/fork.hpp"
#include "tinykvm/input_source.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/snapshot_file.hpp"

namespace tinykvm::cli {

namespace {

constexpr std::size_t most_output = std::size_t{1} << 20;

// The host's standard input, as far as it was read.
class StandardInput final : public InputSource {
  public:
    std::optional<std::span<const std::byte>> next() const override {
        if (left_.empty() && !has_ended_) return std::nullopt;
        return left_;
    }
    void take(std::size_t bytes) override { left_ = left_.subspan(bytes); }

    // Waits until there is more, or the end. Throws Timeout.
    void read_more(Deadline deadline) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
            const int ready = ::poll(&input, 1, static_cast<int>(std::clamp<decltype(left)>(left, 0, 1000)));
            if (ready > 0) break;
            if (ready == 0 && left <= 0) throw Timeout("the program waits for its standard input");
        }
        const ssize_t size = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
        has_ended_ = size <= 0;
        left_ = std::span(buffer_).first(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    }

  private:
    std::array<std::byte, 65536> buffer_{};
    std::span<const std::byte> left_;
    bool has_ended_ = false;
};

// What the program wrote before it was saved, which it writes again each time it goes on from there.
using Output = std::vector<std::pair<int, std::string>>;

std::vector<std::byte> to_bytes(const Output& output) {
    cold::Writer writer;
    writer(output);
    return writer.bytes();
}

Output to_output(std::span<const std::byte> bytes) {
    Output output;
    cold::Reader reader(bytes);
    reader(output);
    return output;
}

class NoCalls final : public HostCalls {
  public:
    HostCallResult handle(const HostCall&, GuestMemory&) override { return HostCallResult::resume(-ENOSYS); }
};

class SnapshotRun {
  public:
    SnapshotRun(std::shared_ptr<const Program> program, Options options, const std::string& file, Deadline deadline)
        : program_(std::move(program)), options_(std::move(options)), file_(file), path_(file), deadline_(deadline) {
        options_.note_files = true;
        options_.host_stdin = false;
        options_.input = [this] { return &input_; };
        options_.max_request_memory = options_.max_memory;
        options_.output = [this, write = options_.output](int fd, std::string_view text) {
            note(fd, text);
            write(fd, text);
        };
    }

    int run() {
        std::shared_ptr<const Snapshot> snapshot = load();
        if (!snapshot) {
            Machine machine(program_, options_);
            const Stop stop = machine.run(nullptr, deadline_);
            if (stop.reason != Stop::Reason::needs_input) {
                print_message(path_ + " is not written: the program ended without reading its standard input");
                return stop.exit_status;
            }
            snapshot = std::move(machine).freeze();
            save(*snapshot);
        }
        is_saved_ = true;
        return go_on(snapshot);
    }

  private:
    void note(int fd, std::string_view text) {
        if (is_saved_ || written_ > most_output) return;
        written_ += text.size();
        output_.emplace_back(fd, text);
    }

    std::shared_ptr<const Snapshot> load() {
        try {
            std::optional<SnapshotFile::Loaded> loaded = file_.load(program_, options_, {});
            if (!loaded) return nullptr;
            is_saved_ = true;
            for (const auto& [fd, text] : to_output(loaded->notes)) options_.output(fd == 2 ? 2 : 1, text);
            return loaded->snapshot;
        } catch (const MachineError& error) {
            print_message(path_ + " is not used: " + error.what());
        }
        return nullptr;
    }

    void save(const Snapshot& snapshot) {
        try {
            if (written_ > most_output) throw MachineError("the program wrote more than 1 MiB before it read anything");
            file_.save(snapshot, {}, to_bytes(output_));
        } catch (const MachineError& error) {
            print_message(path_ + " is not written: " + error.what());
        }
    }

    int go_on(const std::shared_ptr<const Snapshot>& snapshot) {
        Fork fork(snapshot);
        NoCalls calls;
        for (;;) {
            input_.read_more(deadline_);
            const Stop stop = fork.go_on(calls, deadline_);
            if (stop.reason != Stop::Reason::needs_input) return stop.exit_status;
        }
    }

    std::shared_ptr<const Program> program_;
    Options options_;
    SnapshotFile file_;
    const std::string path_;
    const Deadline deadline_;
    StandardInput input_;
    Output output_;
    std::size_t written_ = 0;
    bool is_saved_ = false;
};

}  // namespace

int run_from_snapshot(std::shared_ptr<const Program> program, ProgramRun run, const std::string& file,
                      Deadline deadline) {
    return SnapshotRun(std::move(program), std::move(run.options), file, deadline).run();
}

}  // namespace tinykvm::cli
