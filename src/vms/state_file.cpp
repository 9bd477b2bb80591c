#include "src/vms/state_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/thread.hpp"
#include "tinykvm/os/incoming_file.hpp"

namespace tinykvm::host {

namespace {

constexpr auto look_around = std::chrono::milliseconds(10);
// A process that ends, or a storage, may hold the lock a little longer.
constexpr auto patience_with_lock = std::chrono::seconds(2);

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw Failure(FailureKind::not_ready, "state_file " + printable(path, 300) + ": " + why);
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string octal(mode_t mode) {
    char text[16];
    std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode));
    return text;
}

std::string user_text() { return "user " + std::to_string(::geteuid()); }

}  // namespace

// --- StateFile

struct StateFile::Write {
    StorageBytes bytes;
    std::optional<int> result;  // guarded by the mutex of the file
};

std::shared_ptr<StateFile> StateFile::at(const std::string& path, const std::string& program) {
    static Mutex mutex;
    static std::map<std::string, std::weak_ptr<StateFile>> files;
    const MutexLock lock(mutex);
    std::erase_if(files, [](const auto& one) { return one.second.expired(); });
    std::shared_ptr<StateFile> file = files[path].lock();
    if (!file) {
        file.reset(new StateFile(path, program));
        files[path] = file;
    }
    if (file->program_ != program) {
        refuse(path, "it is the one of the program \"" + file->program_ + "\" already");
    }
    return file;
}

StateFile::StateFile(const std::string& path, const std::string& program)
    : path_(path),
      program_(program),
      name_(path.substr(path.rfind('/') + 1)),
      directory_(open_directory()),
      lock_(lock_file()) {}

FileDescriptor StateFile::open_directory() const {
    if (name_.empty() || name_ == "." || name_ == "..") {
        refuse(path_, "it has to be the path of a file");
    }
    const std::string directory = directory_of(path_);
    FileDescriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    if (!opened || ::fstat(opened.get(), &status) != 0) {
        refuse(path_, "its directory cannot be opened (" + std::string(std::strerror(errno)) +
                          "); it has to exist and to belong to the " + user_text() + " that Varnish runs as");
    }
    if ((status.st_uid != ::geteuid() && status.st_uid != 0) || (status.st_mode & S_IWOTH) != 0) {
        refuse(path_, "its directory can be changed by others (owner " + std::to_string(status.st_uid) + ", mode " +
                          octal(status.st_mode & 07777) + "); it has to belong to the " + user_text() +
                          " that Varnish runs as, or to root, and not to be writable for everybody");
    }
    return opened;
}

FileDescriptor StateFile::lock_file() const {
    const std::string name = name_ + ".lock";
    FileDescriptor opened(
        ::openat(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!opened) {
        refuse(path_, "its lock " + name + " cannot be made beside it (" + std::strerror(errno) +
                          "); the directory has to be writable for the " + user_text() + " that Varnish runs as");
    }
    const Deadline until = Clock::now() + patience_with_lock;
    while (::flock(opened.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            refuse(path_, "its lock " + name + " cannot be taken (" + std::strerror(errno) + ")");
        }
        if (Clock::now() >= until) {
            refuse(path_, "another process uses it (its lock " + name + " is taken)");
        }
        std::this_thread::sleep_for(look_around);
    }
    return opened;
}

std::optional<StorageBytes> StateFile::read(std::size_t max_size) {
    const FileDescriptor file(
        ::openat(directory_.get(), name_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && errno == ENOENT) {
        return std::nullopt;
    }
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) {
        refuse(path_, errno == ELOOP ? "it is a symbolic link" : std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        refuse(path_, "it is not a regular file");
    }
    if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        refuse(path_, "others can have written it (owner " + std::to_string(status.st_uid) + ", mode " +
                          octal(status.st_mode & 07777) + "); it has to belong to the " + user_text() +
                          " that Varnish runs as, and to be writable for it alone");
    }
    if (static_cast<std::uint64_t>(status.st_size) > max_size) {
        refuse(path_, "it has " + std::to_string(status.st_size) + " bytes, more than max_state_file (" +
                          std::to_string(max_size >> 20) + " MiB)");
    }
    StorageBytes bytes(static_cast<std::size_t>(status.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::read(file.get(), bytes.data() + done, bytes.size() - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            refuse(path_, got < 0 ? std::strerror(errno) : "it has become shorter while it was read");
        }
        done += static_cast<std::size_t>(got);
    }
    return bytes;
}

int StateFile::save(const void* owner, StorageBytes bytes, const std::function<void()>& check) {
    auto mine = std::make_shared<Write>();
    mine->bytes = std::move(bytes);
    const MutexLock lock(mutex_);
    // One after the other: the last one is what stays.
    while (!mine->result) {
        if (write_ != mine && !write_) {
            if (owner_ != owner) {
                return -ESTALE;
            }
            write_ = mine;
            try {
                Thread("kvm:state", [self = shared_from_this(), mine] {
                    const int result = self->replace(mine->bytes);
                    const MutexLock finished(self->mutex_);
                    mine->result = result;
                    self->write_.reset();
                    self->written_.notify_all();
                }).detach();
            } catch (const Failure&) {
                write_.reset();
                return -EAGAIN;
            }
        }
        written_.wait_until(mutex_, Clock::now() + look_around);
        const MutexUnlock unlocked(mutex_);
        check();
    }
    return *mine->result;
}

void StateFile::set_owner(const void* owner) {
    const MutexLock lock(mutex_);
    owner_ = owner;
}

int StateFile::replace(const StorageBytes& bytes) const {
    try {
        auto file = IncomingFile::begin(directory_.get(), name_ + ".new");
        if (!file) {
            return -EAGAIN;
        }
        file->write(bytes);
        file->publish(name_, S_IRUSR | S_IWUSR);
        return 0;
    } catch (const std::system_error& error) {
        return -error.code().value();
    }
}

// --- StorageState

StorageState::StorageState(std::shared_ptr<StateFile> file, std::size_t max_size,
                           std::function<void(std::string_view)> log)
    : file_(std::move(file)), max_size_(max_size), log_(std::move(log)) {}

std::optional<StorageBytes> StorageState::read() {
    {
        const MutexLock lock(mutex_);
        if (early_) {
            return early_;
        }
    }
    return file_->read(max_size_);
}

int StorageState::save(StorageBytes bytes, const std::function<void()>& check) {
    {
        const MutexLock lock(mutex_);
        if (!has_taken_over_) {
            early_ = std::move(bytes);
            return 0;
        }
    }
    return note(file_->save(this, std::move(bytes), check));
}

void StorageState::forget_early() {
    const MutexLock lock(mutex_);
    early_.reset();
}

void StorageState::take_over() {
    std::optional<StorageBytes> early;
    {
        const MutexLock lock(mutex_);
        has_taken_over_ = true;
        early = std::exchange(early_, std::nullopt);
    }
    file_->set_owner(this);
    if (early) {
        const Deadline until = Clock::now() + patience_with_lock;
        try {
            (void)save(*std::move(early), [until] {
                if (Clock::now() >= until) {
                    throw Failure(FailureKind::timed_out, "the disk takes long");
                }
            });
        } catch (const Failure&) {
            (void)note(-ETIMEDOUT);
        }
    }
}

int StorageState::note(int result) {
    const MutexLock lock(mutex_);
    if (result != std::exchange(noted_, result) && result != 0) {
        log_("state_file " + file_->path() + " was not written: " +
             (result == -ESTALE ? "a storage that began later has it now" : std::strerror(-result)));
    }
    return result;
}

}  // namespace tinykvm::host
