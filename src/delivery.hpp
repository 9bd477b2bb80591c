// A response whose body is still in guest memory, as the source of a fetch. Holds the VM until the last byte
// was copied, or the fetch ends otherwise.
//
// Life: made in gethdrs, deleted in finish. One thread: the fetch's.
#pragma once

#include <cstddef>
#include <utility>

#include "api/pool.hpp"
#include "api/response.hpp"
#include "src/varnish.hpp"

namespace tinykvm::vmod {

class Delivery {
  public:
    static constexpr unsigned expected_magic = 0x7B4D0004;
    unsigned magic = expected_magic;

    Delivery(api::Lease lease, api::Response response)
        : lease_(std::move(lease)), response_(std::move(response)) {}

    const api::Response& response() const { return response_; }
    void release_vm() { lease_.give_back(); }
    // Makes this the source of the fetch. False: no workspace.
    bool push_filter(struct vfp_ctx* context);

    // Copies the next `*size` bytes at most and says how many it were.
    enum vfp_status pull(struct vfp_ctx* context, void* to, ssize_t* size);

  private:
    api::Lease lease_;
    api::Response response_;
    std::size_t copied_ = 0;
};

}  // namespace tinykvm::vmod
