#include "src/source/program_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/fetch/resource.hpp"
#include "src/source/archive.hpp"
#include "src/source/local_copy.hpp"

namespace tinykvm::host {

namespace {

const SizeLimit download_limit{std::size_t{16} << 30};

class Source {
  public:
    Source(const std::string& name, const ProgramConfig& config, const LocalCopy::Log& log,
           const std::function<bool()>& cancelled)
        : name_(name),
          config_(config),
          limit_(program_size_limit(config.max_memory)),
          log_([&log](std::string_view line) {
              if (log) {
                  log(line);
              }
          }),
          until_{Clock::now() + config.max_boot_time, cancelled} {}

    void fetch_downloads() {
        for (const Download& download : config_.downloads) {
            (void)LocalCopy{download.uri, download.path, download.checksums}.update(until_, download_limit, log_);
        }
    }

    std::shared_ptr<const Program> program() {
        if (config_.filename.empty()) {
            return program_of(fetch_once());
        }
        FileDescriptor file = open();
        if (may_be_read_later(file)) {
            return Program::open(std::move(file), where(), limit_);
        }
        return program_of(read_program_file(file.get(), where(), limit_, [this] { until_.require_wanted(); }));
    }

  private:
    // A file of its snapshot may spare to read it.
    bool may_be_read_later(const FileDescriptor& file) const {
        if (config_.cold_start_file.empty() || config_.checksums.any()) {
            return false;
        }
        std::array<std::byte, 8> begin{};
        const ssize_t size = ::pread(file.get(), begin.data(), begin.size(), 0);
        return size > 0 && !is_archive(std::span(begin).first(static_cast<std::size_t>(size)));
    }

    std::shared_ptr<const Program> program_of(std::vector<std::byte> bytes) {
        until_.deadline = Clock::now() + config_.max_boot_time;
        if (config_.checksums.any()) {  // which take longer than reading a large file
            verify(bytes);
        }
        if (is_archive(bytes)) {
            bytes = unpack(bytes);
        }
        return Program::from_bytes(std::move(bytes), where());
    }

    void verify(std::span<const std::byte> bytes) const {
        Verification verification(config_.checksums);
        verification.add(bytes);
        if (const std::string problem = verification.finish(); !problem.empty()) {
            throw Failure(FailureKind::not_ready, where() + ": " + problem);
        }
    }

    std::string where() const { return config_.filename.empty() ? printable(config_.uri, 300) : config_.filename; }

    FileDescriptor open() const {
        if (!config_.uri.empty()) {
            return LocalCopy{config_.uri, config_.filename, config_.checksums}.update(until_, limit_, log_);
        }
        FileDescriptor file(::open(config_.filename.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        if (!file) {
            fail(std::strerror(errno));
        }
        return file;
    }

    // Without a filename there is no place to keep what is fetched.
    std::vector<std::byte> fetch_once() const {
        std::vector<std::byte> bytes;
        ResourceRequest request;
        request.uri = config_.uri;
        request.limit = limit_;
        request.deadline = until_.deadline;
        request.cancelled = until_.cancelled;
        request.take = [&](std::string_view piece) {
            const auto more = std::as_bytes(std::span(piece));
            bytes.insert(bytes.end(), more.begin(), more.end());
        };
        (void)read_resource(request);
        return bytes;
    }

    std::vector<std::byte> unpack(std::span<const std::byte> archive) const {
        std::vector<std::string> names;
        if (!config_.filename.empty()) {
            names.push_back(config_.filename.substr(config_.filename.rfind('/') + 1));
        }
        if (names.empty() || names.front() != name_) {
            names.push_back(name_);
        }
        const auto check = [&] {
            until_.require_wanted();
            until_.require_time();
        };
        try {
            return unpack_program(archive, names, check, {limit_});
        } catch (const Failure& failure) {
            fail(failure.what());
        }
    }

    [[noreturn]] void fail(const std::string& why) const {
        throw Failure(FailureKind::not_ready, where() + ": " + why);
    }

    const std::string& name_;
    const ProgramConfig& config_;
    const SizeLimit limit_;
    const LocalCopy::Log log_;
    CancellableDeadline until_;
};

}  // namespace

std::shared_ptr<const Program> obtain_program(const std::string& name, const ProgramConfig& config,
                                              const std::function<void(std::string_view)>& log,
                                              const std::function<bool()>& cancelled) {
    Source source(name, config, log, cancelled);
    source.fetch_downloads();
    return source.program();
}

}  // namespace tinykvm::host
