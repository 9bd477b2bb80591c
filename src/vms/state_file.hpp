// The file of the host in which a storage keeps what is to outlive it (the setting `state_file`).
//
// A save makes a new file beside it, which is written, synced and given its name; then the directory is synced. So at
// any moment the name has all of the old content or all of the new one, whatever ends the process.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/calls/storage.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

class StateFile : public std::enable_shared_from_this<StateFile> {
  public:
    // The file at an absolute path, which need not exist, in a directory that must. It is locked against other
    // processes, and against programs of other names, as long as this lives. Throws Failure (not_ready).
    static std::shared_ptr<StateFile> at(const std::string& path, const std::string& program);

    // What is in it; nullopt: there is no such file. Throws Failure (not_ready), also when it is not one that only
    // this user can have written, or is larger.
    std::optional<StorageBytes> read(std::size_t max_size);
    // Puts the bytes in its place. A disk may hang, so a thread of its own writes; `check` is called while this waits
    // for it, and what it throws ends the wait alone. Returns 0 or a negative errno, which is -ESTALE when somebody
    // else is the owner.
    int save(const void* owner, StorageBytes bytes, const std::function<void()>& check);
    // Only what the owner saves counts.
    void set_owner(const void* owner);

    const std::string& path() const { return path_; }

  private:
    struct Write;
    StateFile(const std::string& path, const std::string& program);
    FileDescriptor open_directory() const;
    FileDescriptor lock_file() const;
    int replace(const StorageBytes& bytes) const;

    const std::string path_, program_;
    const std::string name_;  // in its directory
    const FileDescriptor directory_, lock_;

    Mutex mutex_;
    CondVar written_;
    std::shared_ptr<Write> write_ TINYKVM_GUARDED_BY(mutex_);  // that is under way; null: none
    const void* owner_ TINYKVM_GUARDED_BY(mutex_) = nullptr;
};

// The state of one storage, or of one that boots. Until it takes over, what it saves is kept here, so that a program
// that does not come to serve has changed nothing.
//
// Thread safety: any thread.
class StorageState {
  public:
    StorageState(std::shared_ptr<StateFile> file, std::size_t max_size, std::function<void(std::string_view)> log);

    // What a program that boots now begins with. Throws Failure (not_ready).
    std::optional<StorageBytes> read();
    // See StateFile. Failures are logged, each kind once until something was saved.
    int save(StorageBytes bytes, const std::function<void()>& check);
    // The program boots again, with what the file has now, before it takes over.
    void forget_early();
    // From now on the file is what this storage saves.
    void take_over();

    std::size_t max_size() const { return max_size_; }

  private:
    int note(int result);

    const std::shared_ptr<StateFile> file_;
    const std::size_t max_size_;
    const std::function<void(std::string_view)> log_;

    Mutex mutex_;
    bool has_taken_over_ TINYKVM_GUARDED_BY(mutex_) = false;
    std::optional<StorageBytes> early_ TINYKVM_GUARDED_BY(mutex_);  // saved before
    int noted_ TINYKVM_GUARDED_BY(mutex_) = 0;                      // the error that was logged last
};

}  // namespace tinykvm::host
