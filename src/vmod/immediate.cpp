#include "src/vmod/immediate.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "src/vmod/cacheability.hpp"
#include "src/vmod/errors.hpp"
#include "src/vmod/header.hpp"
#include "src/vmod/log.hpp"

namespace tinykvm::vmod {

namespace {

constexpr unsigned blob_type = 0x7B4D0B10;

// The answer, unless its status is an error to the caller.
std::optional<Answer> answer_below_threshold(VRT_CTX, const Links& links, std::string& program) {
    ChainResult result = run_chain(ctx, links, ChainInput::get);
    program = *result.program;
    if (result.answer && result.over_threshold) {
        Log(ctx).error("tinykvm: " + program + ": its response has status " +
                       std::to_string(result.answer->response().status));
        result.answer.reset();
    }
    return std::move(result.answer);
}

// Asked before anything is taken: an overflowed workspace would make the whole transaction fail, which is not the
// program's business.
bool fits_in_workspace(VRT_CTX, const std::string& program, const Answer& answer, std::size_t extra) {
    const std::size_t size = answer.response().body_size;
    const std::size_t room = WS_ReserveAll(ctx->ws);
    WS_Release(ctx->ws, 0);
    if (size < room && extra <= room - size) {
        return true;
    }
    Log(ctx).error("tinykvm: " + program + ": its response of " + std::to_string(size) +
                   " bytes does not fit in the workspace");
    return false;
}

// A zero byte follows it.
char* copy_to_workspace(VRT_CTX, Answer& answer) {
    const std::size_t size = answer.response().body_size;
    auto* text = static_cast<char*>(WS_Alloc(ctx->ws, static_cast<unsigned>(size) + 1));
    if (text == nullptr) {
        throw NoRoom("the workspace is too small");
    }
    std::size_t done = 0;
    answer.for_each_piece([&](std::span<const std::byte> piece) {
        std::memcpy(text + done, piece.data(), piece.size());
        done += piece.size();
    });
    text[size] = '\0';
    return text;
}

}  // namespace

VCL_STRING run_to_string(VRT_CTX, const Links& links, VCL_STRING on_error) {
    std::string program;
    auto answer = answer_below_threshold(ctx, links, program);
    if (!answer || !fits_in_workspace(ctx, program, *answer, 1)) {
        return on_error;
    }
    const char* text = copy_to_workspace(ctx, *answer);
    const char* end = text + answer->response().body_size;
    if (std::any_of(text + std::strlen(text), end, [](char c) { return c != '\0'; })) {
        Log(ctx).error("tinykvm: " + program + ": its response contains a zero byte");
        return on_error;
    }
    return text;
}

VCL_BLOB run_to_blob(VRT_CTX, const Links& links) {
    constexpr std::size_t own_part = 1 + sizeof(struct vrt_blob) + 2 * sizeof(void*);  // both parts are aligned
    std::string program;
    auto answer = answer_below_threshold(ctx, links, program);
    if (!answer || answer->response().body_size == 0 || !fits_in_workspace(ctx, program, *answer, own_part)) {
        return vrt_null_blob;
    }
    return VRT_blob(ctx, "tinykvm.to_blob()", copy_to_workspace(ctx, *answer), answer->response().body_size, blob_type);
}

VCL_INT run_synth(VRT_CTX, const Links& links, VCL_INT status) {
    if ((ctx->method & (VCL_MET_SYNTH | VCL_MET_BACKEND_ERROR)) == 0) {
        VRT_fail(ctx, "tinykvm.synth() is for vcl_synth and vcl_backend_error");
        return 0;
    }
    if (status != 0 && (status < 200 || status > 599)) {
        VRT_fail(ctx, "tinykvm.synth(): status %jd is not 0 or 200...599", static_cast<std::intmax_t>(status));
        return 0;
    }
    ChainResult chain = run_chain(ctx, links, ChainInput::get);
    auto& answer = chain.answer;
    if (!answer) {
        return 0;
    }
    const host::Response& response = answer->response();
    const bool in_fetch = ctx->method == VCL_MET_BACKEND_ERROR;
    struct http* message = in_fetch ? ctx->http_beresp : ctx->http_resp;
    if (const std::string_view missing = missing_room(message, response); !missing.empty()) {
        Log(ctx).error("tinykvm: " + *chain.program +
                       ": no room for the headers of its response: " + std::string(missing));
        return 0;
    }
    const VCL_INT result = status != 0 ? status : response.status;
    http_SetStatus(message, static_cast<std::uint16_t>(result), nullptr);
    add_headers(message, response);
    auto* body = static_cast<struct vsb*>(ctx->specific);
    CHECK_OBJ_NOTNULL(body, VSB_MAGIC);
    answer->for_each_piece([&](std::span<const std::byte> piece) {
        (void)VSB_bcat(body, piece.data(), static_cast<ssize_t>(piece.size()));
    });
    if (in_fetch && response.cacheability) {
        set_times(ctx->bo->fetch_objcore, *response.cacheability);
    }
    return result;
}

}  // namespace tinykvm::vmod
