// A file that is the copy of what is at a URI, and is still there when that cannot be read.
//
// The file is replaced as a whole: it is written beside its place, checked, made durable and renamed; who has the old
// one open keeps it. What version it is stands in a small file beside it; without that, or when the copy is not what
// that is about, everything is fetched again. Several may update one copy at a time, in one process or in several: one
// of them fetches.
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

// Until when something may take, and whether it is still wanted. The functions may be called by any thread.
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
    // Makes the file what is at the URI, or leaves it as it is when that cannot be had, and logs which. The file, open
    // for reading: with this one nothing can come in between. Throws Failure when neither is possible, or when what is
    // at the URI has not the expected checksums; the file is then as before.
    FileDescriptor update(const CancellableDeadline& until, const SizeLimit& limit, const Log& log) const;
};

}  // namespace tinykvm::host
