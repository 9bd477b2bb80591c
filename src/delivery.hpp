// A response whose body is still in guest memory, as the source of a fetch. Holds the VM until the last byte
// was copied, or the fetch ends otherwise. A small body is copied at once, and the VM is free for the next request.
//
// Life: made in gethdrs, deleted in finish. One thread: the fetch's.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "api/pool.hpp"
#include "api/response.hpp"
#include "src/varnish.hpp"

namespace tinykvm::vmod {

class Delivery {
  public:
    static constexpr unsigned expected_magic = 0x7B4D0004;
    unsigned magic = expected_magic;

    // Throws std::runtime_error when the body is not readable.
    Delivery(api::Lease lease, api::Response response);

    const api::Response& response() const { return response_; }
    void release_vm() { lease_.give_back(); }
    // Makes this the source of the fetch. False: no workspace.
    bool push_filter(struct vfp_ctx* context);

    // Copies the next `*size` bytes at most and says how many it were.
    enum vfp_status pull(struct vfp_ctx* context, void* to, ssize_t* size);

  private:
    std::span<const std::byte> rest() const;

    api::Lease lease_;
    api::Response response_;
    std::vector<std::byte> small_;  // the body, when the VM is not needed for it
    std::size_t copied_ = 0;
};

}  // namespace tinykvm::vmod
