// An answer as the source of a fetch. Holds the VM its body is in until the last byte was copied, or the fetch ends
// otherwise. A small body is copied at once, and the VM is free for the next request.
//
// Life: made in gethdrs, deleted in finish. One thread: the fetch's.
#pragma once

#include <cstddef>

#include "src/vmod/answer.hpp"
#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

class Delivery {
  public:
    static constexpr unsigned expected_magic = 0x7B4D0004;
    unsigned magic = expected_magic;

    // Throws host::Failure when the body is not readable.
    Delivery(Answer answer, const Log& log);

    const std::string& program() const { return answer_.program(); }
    const host::Response& response() const { return answer_.response(); }
    void drop_body(const Log& log) { answer_.drop_body(log); }
    // Makes this the source of the fetch. False: no workspace.
    [[nodiscard]] bool push_filter(struct vfp_ctx* context);

    // Copies the next `*size` bytes at most and says how many it were. Throws host::Failure.
    enum vfp_status pull(const Log& log, void* to, ssize_t* size);

  private:
    Answer answer_;
    std::size_t copied_ = 0;
};

}  // namespace tinykvm::vmod
