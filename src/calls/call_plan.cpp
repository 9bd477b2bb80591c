#include "src/calls/call_plan.hpp"

#include <algorithm>

namespace tinykvm::host {

namespace {

bool expects_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

}  // namespace

std::optional<CallPlan> plan_call(const Registration& registration, std::string_view method,
                                  const LaidOutRequest& request) {
    const auto registered = [&](abi::Callback which) { return registration.callback(which) != 0; };
    const abi::Request& fields = request.fields;

    if (registered(abi::Callback::request)) {
        return CallPlan{abi::Callback::request, {request.address}, 1};
    }
    // Never null, so that careless programs may look at zero bytes of it.
    const GuestAddr data = fields.content != 0 ? fields.content : fields.content_type + fields.content_type_len;
    const std::array<std::uint64_t, 6> arguments = {fields.url, fields.arg,         fields.content_type,
                                                    data,       fields.content_len, request.body_offset};
    // A plan with the first `count` arguments; those that the callback does not take are 0.
    const auto plan = [&](abi::Callback callback, std::size_t count) {
        CallPlan result{callback, arguments, count};
        std::fill(result.arguments.begin() + static_cast<std::ptrdiff_t>(count), result.arguments.end(), 0);
        return result;
    };
    const bool with_body = fields.content_len != 0 || request.body_offset != 0;
    if (with_body || expects_body(method)) {
        const bool answers = registered(abi::Callback::post);
        const bool streams = registered(abi::Callback::stream_post);
        if (streams && (fields.content_len != 0 || !answers)) {
            return plan(abi::Callback::stream_post, 6);
        }
        if (answers && streams) {  // the stream callback has had the body, so there is none here, but its length
            return CallPlan{
                abi::Callback::post, {fields.url, fields.arg, fields.content_type, 0, request.body_offset}, 5};
        }
        if (answers) {
            return plan(abi::Callback::post, 5);
        }
    }
    if (!with_body && registered(abi::Callback::get)) {
        return plan(abi::Callback::get, 2);
    }
    return std::nullopt;
}

}  // namespace tinykvm::host
