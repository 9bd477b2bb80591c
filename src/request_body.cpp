#include "src/request_body.hpp"

#include <optional>

#include "api/failure.hpp"

namespace tinykvm::vmod {

namespace {

// Handed through Varnish's iterators, which exceptions must not cross.
struct BodyReader {
    const TakePiece& take;
    std::optional<api::Failure> failure;
};

int take_piece(void* pointer, unsigned, const void* data, ssize_t size) {
    auto& reader = *static_cast<BodyReader*>(pointer);
    if (size <= 0) {  // later versions end with an empty piece
        return 0;
    }
    try {
        reader.take({static_cast<const std::byte*>(data), static_cast<std::size_t>(size)});
        return 0;
    } catch (const api::Failure& failure) {
        reader.failure = failure;
    } catch (const std::exception& error) {
        reader.failure.emplace(api::FailureKind::host, error.what());
    }
    return -1;
}

bool has_body(const struct busyobj* bo) {
    return bo->bereq_body != nullptr || (bo->req != nullptr && bo->req->req_body_status != BS_NONE);
}

}  // namespace

void read_request_body(struct busyobj* bo, api::RequestVm& vm) {
    // A body that cannot fit is not even begun.
    if (const ssize_t size = http_GetContentLength(bo->bereq);
        has_body(bo) && size > 0 && static_cast<std::size_t>(size) >= vm.body_room()) {
        throw api::Failure(api::FailureKind::too_large, "a body of " + std::to_string(size) +
                                                            " bytes does not fit in max_request_memory");
    }
    read_request_body(bo, [&vm](std::span<const std::byte> piece) { vm.append_body(piece); });
}

void read_request_body(struct busyobj* bo, const TakePiece& take) {
    if (!has_body(bo)) {
        return;
    }
    BodyReader reader{take, std::nullopt};
    bool complete;
    if (bo->bereq_body != nullptr) {
        complete = ObjIterate(bo->wrk, bo->bereq_body, &reader, take_piece, 0) == 0;
    } else {
        complete = VRB_Iterate(bo->wrk, bo->vsl, bo->req, take_piece, &reader) >= 0;
        if (bo->req->req_body_status != BS_CACHED) {
            bo->no_retry = "req.body not cached";
        }
        if (bo->req->req_body_status == BS_ERROR) {
            bo->req->doclose = SC_RX_BODY;
            complete = false;
        }
    }
    if (reader.failure) {
        throw api::Failure(*reader.failure);
    }
    if (!complete) {
        throw api::Failure(api::FailureKind::client_gone, "the body of the request could not be read");
    }
}

}  // namespace tinykvm::vmod
