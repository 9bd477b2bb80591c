#include "src/vmod/request_body.hpp"

#include <sys/socket.h>

#include <chrono>
#include <optional>

#include "src/base/failure.hpp"
#include "src/vmod/body_pace.hpp"
#include "src/vms/client_watch.hpp"

namespace tinykvm::vmod {

namespace {

constexpr auto patience_without_pieces = std::chrono::seconds(5);  // in addition to that of BodyPace

// What is handed through Varnish's iterators. Exceptions must not cross them, so a failure waits here.
struct BodyReader {
    const TakePiece& take;
    std::optional<host::Failure> failure;
};

int take_piece(void* pointer, unsigned, const void* data, ssize_t size) {
    auto& reader = *static_cast<BodyReader*>(pointer);
    if (size <= 0) {  // later versions end with an empty piece
        return 0;
    }
    try {
        reader.take({static_cast<const std::byte*>(data), static_cast<std::size_t>(size)});
        return 0;
    } catch (const host::Failure& failure) {
        reader.failure = failure;
    } catch (const std::exception& error) {
        reader.failure.emplace(host::FailureKind::host_error, error.what());
    }
    return -1;
}

// What a client's request is marked with when its body was read and not kept. Its Content-Length is not enough:
// Varnish 7.7 takes it away from a request that is restarted without its body.
constexpr char used_up[] = "X-Tinykvm-Body: used up";
constexpr char used_up_name[] = "\017X-Tinykvm-Body:";  // its name as Varnish's calls want it, after its length

// Throws host::Failure after a restart of a request whose body is gone: Varnish forgets that there was one.
bool has_body(const struct busyobj* bo) {
    if (bo->bereq_body != nullptr || (bo->req != nullptr && bo->req->req_body_status != BS_NONE)) {
        return true;
    }
    const bool is_marked = http_GetHdr(bo->bereq, TINYKVM_HEADER_SPEC(used_up_name), nullptr) != 0;
    if (bo->uncacheable && (http_GetContentLength(bo->bereq) > 0 || is_marked)) {
        throw host::Failure(host::FailureKind::client_gone,
                            "the body of the request was used before its restart; std.cache_req_body() keeps one");
    }
    return false;
}

}  // namespace

void read_request_body(struct busyobj* bo, host::RequestVm& vm) {
    if (!has_body(bo)) {
        return;
    }
    // A body that cannot fit is not even begun.
    if (const ssize_t size = http_GetContentLength(bo->bereq);
        size > 0 && static_cast<std::size_t>(size) >= vm.body_room()) {
        throw host::Failure(host::FailureKind::too_large,
                            "a body of " + std::to_string(size) + " bytes does not fit in max_request_memory");
    }
    host::BodyPace pace(Clock::now());
    const auto is_too_slow = [&pace] { return pace.is_too_slow(Clock::now()); };
    // Reading may also go on without a piece to show for it: the length of a chunk may have any number of zeros. Only
    // closing the connection ends that; with HTTP/2 other requests use it, too, so it is closed later.
    const auto is_stuck = [&pace] { return pace.is_too_slow(Clock::now() - patience_without_pieces); };
    const bool is_here = bo->bereq_body != nullptr || bo->req->req_body_status == BS_CACHED;
    const host::IsClientGone give_up = is_here ? host::IsClientGone() : is_stuck;
    const std::function<void()> hang_up = [session = bo->sp] { (void)::shutdown(session->fd, SHUT_RD); };
    const host::ClientWatch watch(give_up, hang_up);
    try {
        read_request_body(bo, [&](std::span<const std::byte> piece) {
            pace.arrived(piece.size(), Clock::now());
            if (is_too_slow()) {
                throw host::Failure(pace.failure(Clock::now()));
            }
            vm.append_body(piece);
            pace.go_on(Clock::now());
        });
    } catch (const host::Failure& failure) {
        if (failure.kind() == host::FailureKind::client_gone && is_too_slow()) {
            throw host::Failure(pace.failure(Clock::now()));
        }
        throw;
    }
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
            // The client's thread waits for this one as long as bo->req is there.
            http_SetHeader(bo->req->http, used_up);
        }
        if (bo->req->req_body_status == BS_ERROR) {
            bo->req->doclose = SC_RX_BODY;
            complete = false;
        }
    }
    if (reader.failure) {
        throw host::Failure(*reader.failure);
    }
    if (!complete) {
        throw host::Failure(host::FailureKind::client_gone, "the body of the request could not be read");
    }
}

}  // namespace tinykvm::vmod
