// By what a file of the host is known to be still what it was: its inode, mode, size and times. Whoever changes a file
// can set the time of its contents back, but not that of its inode.
//
// Devices are not part of it, because overlays and network file systems get another number each time they are mounted.
//
// Thread safety: a plain value.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <optional>

namespace tinykvm {

struct FileStamp {
    std::uint64_t inode = 0;
    std::uint32_t mode = 0;
    std::int64_t size = 0;
    timespec modified{}, changed{};

    static FileStamp of(const struct stat& status);
    // nullopt: the host does not say.
    static std::optional<FileStamp> of(int fd);

    // The last change is so long ago that another one would show. A stamp that was not settled when it was taken says
    // nothing later: two changes within one tick of a file system's clock look like one.
    bool is_settled() const;

    bool operator==(const FileStamp& other) const;
    // Also of a file that has another name or none any more, other rights or owners. It does not find out who has set
    // the time of the contents back.
    bool has_contents_of(const FileStamp& other) const;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(inode, mode, size, modified, changed);
    }
};

}  // namespace tinykvm
