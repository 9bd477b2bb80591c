#include "tinykvm/linux/open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace tinykvm::linux_abi {

namespace {

constexpr const FileKind* all_kinds[] = {
    &kinds::input,
    &kinds::output,
    &kinds::null,
    &kinds::zero,
    &kinds::full,
    &kinds::random,
    &kinds::regular,
    &kinds::directory,
    &kinds::memory_file,
    &kinds::memory_directory,
    &kinds::memory_name,
    &kinds::text,
    &kinds::pipe_reader,
    &kinds::pipe_writer,
    &kinds::socket,
    &kinds::event,
    &kinds::client_connection,
    &kinds::timer,
    &kinds::signals,
    &kinds::process,
    &kinds::epoll,
    &kinds::path,
};

}  // namespace

const FileKind* kind_at(std::uint32_t number) { return number < std::size(all_kinds) ? all_kinds[number] : nullptr; }

std::uint32_t number_of(const FileKind* kind) {
    return static_cast<std::uint32_t>(std::find(std::begin(all_kinds), std::end(all_kinds), kind) -
                                      std::begin(all_kinds));
}

bool OpenFile::non_blocking() const { return flags & O_NONBLOCK; }

std::int64_t OpenFile::size() const {
    if (text) return static_cast<std::int64_t>(text->size());
    struct stat status {};
    return ::fstat(host->fd(), &status) == 0 ? status.st_size : -errno;
}

std::int64_t OpenFile::bytes_left() const {
    const std::int64_t all = size();
    return all < 0 ? all : std::max<std::int64_t>(0, all - static_cast<std::int64_t>(offset));
}

std::int64_t OpenFile::move_to(std::int64_t distance, int whence) {
    const std::int64_t end = size();
    if (end < 0) return end;
    std::int64_t position = 0;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {  // files have no holes
        if (distance < 0 || distance >= end) return -ENXIO;
        position = whence == SEEK_DATA ? distance : end;
    } else {
        const std::int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_END ? end : static_cast<std::int64_t>(offset);
        if (__builtin_add_overflow(base, distance, &position)) return -EOVERFLOW;
        if (position < 0) return -EINVAL;
    }
    offset = static_cast<std::uint64_t>(position);
    return position;
}

}  // namespace tinykvm::linux_abi
