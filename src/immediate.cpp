#include "src/immediate.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

#include "src/cacheability.hpp"
#include "src/header.hpp"
#include "src/log.hpp"
#include "src/request.hpp"
#include "src/vcl_state.hpp"

namespace tinykvm::vmod {

namespace {

// An answer and the VM its body is in.
struct Answer {
    api::Lease lease;
    api::Response response;
};

std::optional<Answer> run(VRT_CTX, const ProgramBackend& backend, VCL_STRING url, VCL_STRING argument) {
    const Log log(ctx);
    const std::string& program = backend.service->name();
    const VarnishRequest request = VarnishRequest::get(ctx, view(url), view(argument));
    const api::ClientGone gone = client_gone(ctx);
    try {
        Answer answer;
        answer.lease = backend.service->acquire(gone);
        answer.lease->begin(request.request());
        api::Outcome outcome = answer.lease->run(gone);
        log.outcome(program, outcome, SLT_Error);
        if (outcome.answered) {
            answer.response = std::move(outcome.response);
            return answer;
        }
    } catch (const api::Failure& failure) {
        log.failure(program, failure, SLT_Error);
    }
    return std::nullopt;
}

// Hands the whole body to `take`, piece by piece.
template <typename Take>
void for_each_piece(const Answer& answer, Take take) {
    for (std::size_t offset = 0; offset < answer.response.body_size;) {
        const auto piece = answer.lease->body(answer.response, offset);
        if (piece.empty()) {
            throw std::runtime_error("the body is not readable any more");
        }
        take(piece);
        offset += piece.size();
    }
}

// Null, and the reason, when the body cannot be a string of VCL.
const char* copy_to_workspace(VRT_CTX, const Answer& answer, std::string& why) {
    const std::size_t size = answer.response.body_size;
    auto* text = size < UINT32_MAX ? static_cast<char*>(WS_Alloc(ctx->ws, static_cast<unsigned>(size) + 1)) : nullptr;
    if (text == nullptr) {
        why = "its response of " + std::to_string(size) + " bytes does not fit in the workspace";
        return nullptr;
    }
    std::size_t done = 0;
    for_each_piece(answer, [&](std::span<const std::byte> piece) {
        std::memcpy(text + done, piece.data(), piece.size());
        done += piece.size();
    });
    text[size] = '\0';
    const std::size_t length = std::strlen(text);
    if (std::any_of(text + length, text + size, [](char c) { return c != '\0'; })) {
        why = "its response contains a zero byte";
        return nullptr;
    }
    return text;
}

}  // namespace

VCL_STRING run_to_string(VRT_CTX, const ProgramBackend& backend, const StringCall& call) {
    const auto answer = run(ctx, backend, call.url, call.argument);
    if (!answer) {
        return call.on_error;
    }
    const Log log(ctx);
    const std::string whose = "tinykvm: " + backend.service->name() + ": ";
    if (answer->response.status >= call.error_threshold) {
        log.error(whose + "its response has status " + std::to_string(answer->response.status));
        return call.on_error;
    }
    // A string that does not fit is the program's business: it must not make the whole transaction fail, as an
    // overflowed workspace would.
    if (answer->response.body_size >= WS_ReserveAll(ctx->ws)) {
        WS_Release(ctx->ws, 0);
        log.error(whose + "its response of " + std::to_string(answer->response.body_size) +
                  " bytes does not fit in the workspace");
        return call.on_error;
    }
    WS_Release(ctx->ws, 0);
    std::string why;
    const char* text = copy_to_workspace(ctx, *answer, why);
    if (text == nullptr) {
        log.error(whose + why);
    }
    return text != nullptr ? text : call.on_error;
}

VCL_INT run_synth(VRT_CTX, const ProgramBackend& backend, VCL_INT status, VCL_STRING url, VCL_STRING argument) {
    if ((ctx->method & (VCL_MET_SYNTH | VCL_MET_BACKEND_ERROR)) == 0) {
        VRT_fail(ctx, "tinykvm.synth() is for vcl_synth and vcl_backend_error");
        return 0;
    }
    if (status != 0 && (status < 200 || status > 599)) {
        VRT_fail(ctx, "tinykvm.synth(): status %jd is not 0 or 200...599", static_cast<std::intmax_t>(status));
        return 0;
    }
    const auto answer = run(ctx, backend, url, argument);
    if (!answer) {
        return 0;
    }
    const bool in_fetch = ctx->method == VCL_MET_BACKEND_ERROR;
    struct http* message = in_fetch ? ctx->http_beresp : ctx->http_resp;
    const VCL_INT result = status != 0 ? status : answer->response.status;
    http_SetStatus(message, static_cast<std::uint16_t>(result), nullptr);
    add_headers(message, answer->response);
    auto* body = static_cast<struct vsb*>(ctx->specific);
    CHECK_OBJ_NOTNULL(body, VSB_MAGIC);
    for_each_piece(*answer, [&](std::span<const std::byte> piece) {
        (void)VSB_bcat(body, piece.data(), static_cast<ssize_t>(piece.size()));
    });
    if (in_fetch && answer->response.cacheability) {
        set_times(ctx->bo->fetch_objcore, *answer->response.cacheability);
    }
    return result;
}

}  // namespace tinykvm::vmod
