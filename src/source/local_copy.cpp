#include "src/source/local_copy.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/fetch/resource.hpp"
#include "tinykvm/os/incoming_file.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

constexpr std::size_t max_note_bytes = 16384;
constexpr auto look_at_lock = std::chrono::milliseconds(50);
constexpr auto patience_with_servers = std::chrono::seconds(5);  // when there is a copy to use instead

[[noreturn]] void fail(const std::string& path, const std::string& why) {
    throw Failure(FailureKind::host_error, path + ": " + why);
}
[[noreturn]] void fail_with_errno(const std::string& path) { fail(path, std::strerror(errno)); }

// A hidden file beside `path`: for "/a/b" and ".x" it is "/a/.b.x".
std::string beside(const std::string& path, const char* suffix) {
    const std::size_t name = path.rfind('/') + 1;
    return path.substr(0, name) + "." + path.substr(name) + suffix;
}

// Makes the folders above `path` that are missing. Those that are there may be reached through links, as the path may;
// in one that others may write to, something that is put where a new one should be is not used. Returns the last.
FileDescriptor make_folders(const std::string& path) {
    FileDescriptor folder(::open(path.starts_with('/') ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (std::size_t begin = 0, end; (end = path.find('/', begin)) != std::string::npos; begin = end + 1) {
        const std::string name = path.substr(begin, end - begin), whole = path.substr(0, end);
        if (name.empty()) {
            continue;
        }
        FileDescriptor next(::openat(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!next && errno == ENOENT) {
            const bool is_made = ::mkdirat(folder.get(), name.c_str(), 0755) == 0;
            if (!is_made && errno != EEXIST) {
                fail(whole, std::string("the folder cannot be made: ") + std::strerror(errno));
            }
            next =
                FileDescriptor(::openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            struct stat status {};
            if (!next || ::fstat(next.get(), &status) != 0 || status.st_uid != ::geteuid()) {
                fail(whole, "is there, and not a folder of ours");
            }
            if (is_made && ::fchmod(next.get(), 0755) != 0) {  // whatever the umask is
                fail_with_errno(whole);
            }
        }
        if (!next) {
            fail_with_errno(whole);
        }
        folder = std::move(next);
    }
    return folder;
}

// What is on its way to become `path`. Only one thread has it, in all processes; others wait for it.
class IncomingCopy {
  public:
    IncomingCopy(const std::string& path, const CancellableDeadline& until)
        : path_(path), incoming_(beside(path, ".incoming")), folder_(make_folders(path)) {
        while (!try_to_begin()) {
            until.require_wanted();
            until.require_time();
            std::this_thread::sleep_for(look_at_lock);
        }
    }

    void write(std::string_view bytes) {
        named(incoming_, [&] { file_->write(std::as_bytes(std::span(bytes))); });
    }

    // The result is for reading the file, whatever takes its place later.
    FileDescriptor publish(mode_t mode) {
        FileDescriptor result(
            ::openat(folder_.get(), name_in_folder(incoming_).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!result) {
            fail_with_errno(path_);
        }
        named(path_, [&] { file_->publish(name_in_folder(path_), mode); });
        return result;
    }

  private:
    static std::string name_in_folder(const std::string& path) { return path.substr(path.rfind('/') + 1); }

    bool try_to_begin() {
        named(incoming_, [&] {
            if (auto file = IncomingFile::begin(folder_.get(), name_in_folder(incoming_))) {
                file_.emplace(std::move(*file));
            }
        });
        return file_.has_value();
    }

    template <typename Step>
    static void named(const std::string& path, Step step) {
        try {
            step();
        } catch (const std::system_error& error) {
            const bool is_taken = error.code() == std::errc::file_exists;
            fail(path, is_taken ? "is there, and not a file of ours" : error.code().message());
        }
    }

    const std::string path_, incoming_;
    const FileDescriptor folder_;
    std::optional<IncomingFile> file_;
};

// A file, opened without following a link. `file` is null, and `why_not` says why, when there is none that we would
// use.
struct TrustedFile {
    FileDescriptor file;
    std::string why_not;

    TrustedFile(const std::string& path, bool has_checksum)
        : file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
        struct stat status {};
        if (!file || ::fstat(file.get(), &status) != 0) {
            why_not = errno == ELOOP ? "it is a symbolic link" : std::strerror(errno);
        } else if (!S_ISREG(status.st_mode)) {
            why_not = "it is not a regular file";
        } else if (!has_checksum && ((status.st_uid != ::geteuid() && status.st_uid != 0) ||
                                     (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
            why_not = "others could have written it, and there is no checksum";
        }
        if (!why_not.empty()) {
            file = {};
        }
    }
};

// The copy that exists before anything is fetched.
struct ExistingCopy {
    FileDescriptor file;  // null: there is none that can be used
    std::string why_not;
    std::string sha256;
};

ExistingCopy look_at(const LocalCopy& copy, const CancellableDeadline& until) {
    TrustedFile trusted(copy.path, copy.expected.any());
    if (!trusted.file) {
        return {{}, trusted.why_not, {}};
    }
    Verification verification(copy.expected);
    std::vector<std::byte> piece(std::size_t{1} << 20);
    for (off_t offset = 0;;) {
        until.require_wanted();
        const ssize_t size = ::pread(trusted.file.get(), piece.data(), piece.size(), offset);
        if (size < 0 && errno != EINTR) {
            return {{}, std::strerror(errno), {}};
        }
        if (size == 0) {
            break;
        }
        offset += std::max<ssize_t>(size, 0);
        verification.add(std::span(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
    }
    const std::string problem = verification.finish();
    return {problem.empty() ? std::move(trusted.file) : FileDescriptor(), problem, verification.sha256()};
}

// Reads the note beside the copy, which says of which URI it is which version. A note with anything wrong in it counts
// as none.
ResourceVersion noted_version(const LocalCopy& copy, const ExistingCopy& existing) {
    const TrustedFile trusted(beside(copy.path, ".version"), false);
    std::array<char, max_note_bytes> text;
    const ssize_t size = trusted.file && existing.file ? ::read(trusted.file.get(), text.data(), text.size()) : 0;
    const json note = json::parse(text.data(), text.data() + std::max<ssize_t>(size, 0), nullptr, false);
    const auto value = [&](const char* key) {
        const auto found = note.is_object() ? note.find(key) : note.end();
        return found != note.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (value("uri") != copy.uri || value("sha256") != existing.sha256) {
        return {};
    }
    ResourceVersion version{value("etag"), value("last_modified")};
    return is_field_value(version.etag) && is_field_value(version.last_modified) ? version : ResourceVersion();
}

void note_version(const LocalCopy& copy, const ResourceVersion& version, const std::string& sha256,
                  const CancellableDeadline& until) {
    const json note = {
        {"uri", copy.uri}, {"sha256", sha256}, {"etag", version.etag}, {"last_modified", version.last_modified}};
    IncomingCopy file(beside(copy.path, ".version"), until);
    file.write(note.dump(4, ' ', false, json::error_handler_t::replace) + "\n");
    (void)file.publish(S_IRUSR | S_IWUSR);
}

class WrongChecksum : public Failure {
  public:
    using Failure::Failure;
};

// Throws Failure; the copy is as before then.
FileDescriptor fetch(const LocalCopy& copy, const CancellableDeadline& until, const SizeLimit& limit,
                     const LocalCopy::Log& log, std::optional<ExistingCopy>& existing) {
    IncomingCopy file(copy.path, until);
    existing = look_at(copy, until);
    Verification verification(copy.expected);
    std::size_t bytes = 0;
    ResourceRequest request;
    request.uri = copy.uri;
    request.have = noted_version(copy, *existing);
    request.limit = limit;
    request.deadline = until.deadline;
    request.cancelled = until.cancelled;
    if (existing->file) {
        request.answer_by = Clock::now() + patience_with_servers;
    }
    request.take = [&](std::string_view piece) {
        file.write(piece);
        verification.add(std::as_bytes(std::span(piece)));
        bytes += piece.size();
    };
    const ResourceAnswer answer = read_resource(request);
    if (answer.unchanged) {
        return std::move(existing->file);
    }
    const std::string uri = printable(copy.uri, 300);
    if (const std::string problem = verification.finish(); !problem.empty()) {
        throw WrongChecksum(FailureKind::not_ready, uri + ": " + problem);
    }
    // This is done before the file has its place, because from then on another process may have the lock.
    try {
        note_version(copy, answer.version, verification.sha256(), until);
    } catch (const Failure& failure) {
        log(std::string("will be fetched again next time: ") + failure.what());
    }
    FileDescriptor fetched = file.publish(0644);
    log("fetched " + uri + " to " + copy.path + ", " + std::to_string(bytes) + " bytes");
    return fetched;
}

}  // namespace

void CancellableDeadline::require_wanted() const {
    if (cancelled && cancelled()) {
        throw Failure(FailureKind::shutting_down, "cancelled");
    }
}

void CancellableDeadline::require_time() const {
    if (Clock::now() >= deadline) {
        throw Failure(FailureKind::timed_out, "there is no time left");
    }
}

FileDescriptor LocalCopy::update(const CancellableDeadline& until, const SizeLimit& limit, const Log& log) const {
    std::optional<ExistingCopy> existing;
    try {
        return fetch(*this, until, limit, log, existing);
    } catch (const WrongChecksum&) {
        throw;
    } catch (const Failure& failure) {
        until.require_wanted();
        if (!existing) {
            existing = look_at(*this, until);
        }
        // What failed names the URI, and comes last: Varnish cuts long lines.
        if (!existing->file) {
            throw Failure(FailureKind::not_ready,
                          "no copy at " + path + " can be used (" + existing->why_not + "): " + failure.what());
        }
        log("the copy at " + path + " is used: " + failure.what());
        return std::move(existing->file);
    }
}

}  // namespace tinykvm::host
