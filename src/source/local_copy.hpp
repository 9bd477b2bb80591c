// A file that is the copy of what is at a URI, and is still there when that cannot be read.
//
// The file is replaced as a whole: it is written beside its place, checked, made durable and renamed; a process that
// has the old one open keeps it. A small file beside it says which version it is; without that file, or when it is
// about another copy, everything is fetched again. Several threads and processes may update one copy at the same time:
// one of them fetches.
//
// Folders that are missing are made. They may be shared with others (/tmp): no link is followed to the copy, and a copy
// that others could have written is not used unless its checksum says that it is what it should be.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "src/base/checksum.hpp"
#include "src/base/failure.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/size_limit.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

// Until when an operation may go on, and whether it is still wanted. The functions may be called by any thread.
struct CancellableDeadline {
    Deadline deadline{};
    std::function<bool()> cancelled;  // null: never

    // Throw Failure: shutting_down, when it is cancelled; timed_out.
    void require_wanted() const;
    void require_time() const;
};

struct LocalCopy {
    std::string uri, path;
    Checksums expected;

    using Log = std::function<void(std::string_view)>;
    // Makes the file what is at the URI, or leaves it as it is when that cannot be had, and logs which. Returns the
    // file, open for reading, so that it cannot be replaced before it is read. Throws Failure when neither is possible,
    // or when what is at the URI has not the expected checksums; the file is then as before.
    FileDescriptor update(const CancellableDeadline& until, const SizeLimit& limit, const Log& log) const;
};

}  // namespace tinykvm::host
