#include "src/calls/call_plan.hpp"

#include <string_view>

namespace tinykvm::host {

namespace {

bool expects_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

std::optional<CallPlan> plan_call(const Registration& registration, const Request& request,
                                  const RequestLayout& layout) {
    const auto registered = [&](abi::Callback which) { return registration.callback(which) != 0; };
    const abi::Request& laid_out = layout.request();

    if (registered(abi::Callback::request)) {
        return CallPlan{abi::Callback::request, {layout.request_address()}, 1};
    }
    // Never null, so that careless programs may look at zero bytes of it.
    const GuestAddr data = laid_out.content != 0 ? laid_out.content : laid_out.content_type + laid_out.content_type_len;
    const std::array<std::uint64_t, 6> post = {laid_out.url, laid_out.arg,         laid_out.content_type,
                                               data,         laid_out.content_len, layout.body_offset()};
    const bool with_body = laid_out.content_len != 0 || layout.body_offset() != 0;
    if (with_body || expects_body(request.method)) {
        const bool answers = registered(abi::Callback::post);
        if (registered(abi::Callback::stream_post) && (laid_out.content_len != 0 || !answers)) {
            return CallPlan{abi::Callback::stream_post, post, 6};
        }
        if (answers && registered(abi::Callback::stream_post)) {  // which has had the body, so there is none
            return CallPlan{
                abi::Callback::post, {laid_out.url, laid_out.arg, laid_out.content_type, 0, layout.body_offset()}, 5};
        }
        if (answers) {
            return CallPlan{abi::Callback::post, post, 5};
        }
    }
    if (!with_body && registered(abi::Callback::get)) {
        return CallPlan{abi::Callback::get, post, 2};
    }
    return std::nullopt;
}

}  // namespace tinykvm::host
