// Which files of the host a program looked at while it booted, and what they were then. What it has made of them is in
// its snapshot, so a snapshot in a file is of use only as long as they all are what they were: also those that were not
// there.
//
// Thread safety: the thread that runs the guest; immutable once the program is frozen.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "tinykvm/os/file_stamp.hpp"

namespace tinykvm::linux_abi {

class GuestFileSystem;
struct ProcessState;

class SeenFiles {
  public:
    // What of a file counts. Others may put files into a directory that the program only passed through, and a file
    // that the program writes to itself changes.
    enum class Counts : std::uint8_t { name, contents };

    // The program looked at an absolute path of its own that is free of links. `status` null: nothing was there.
    void look(const std::string& path, const struct stat* status);
    // It has listed the directory, which it has looked at before.
    void list(const std::string& path, const struct stat& status);
    // It has opened the file for writing, or made it.
    void write(const std::string& path, const struct stat& status);

    // Names the first file that is not what it was, and says so; empty: all are. `process` has the file system in
    // which the paths are.
    std::string difference(const ProcessState& process) const;
    // Why nobody could tell whether the files are what they were; empty: that can be told.
    std::string uncertainty() const;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(entries_);
    }

  private:
    static constexpr std::size_t most = 65536;
    struct Entry {
        bool exists = false;
        bool is_certain = true;  // a change of what counts shows
        Counts counts = Counts::name;
        FileStamp stamp;

        static Entry of(const struct stat* status, Counts counts);
        bool is_as(const struct stat* status) const;
        template <typename Archive>
        void archive(Archive& archive) {
            archive(exists, is_certain, counts, stamp);
        }
    };

    void note(const std::string& path, const Entry& entry, bool again);

    std::map<std::string, Entry> entries_;  // by path
    bool too_many_ = false;
};

}  // namespace tinykvm::linux_abi
