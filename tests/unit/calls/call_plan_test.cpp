// Which callback answers which request: a table of values, without a guest.
#include "src/calls/call_plan.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace tinykvm::host {
namespace {

using abi::Callback;

Registration registration_of(std::initializer_list<Callback> callbacks) {
    Registration registration;
    for (const Callback callback : callbacks) {
        registration.callbacks[static_cast<std::size_t>(callback)] = 0x400000;
    }
    return registration;
}

LaidOutRequest request_with(std::uint64_t body, std::size_t body_offset = 0) {
    LaidOutRequest request;
    request.address = 0x1000;
    request.body_offset = body_offset;
    request.fields.url = 0x2000;
    request.fields.arg = 0x2100;
    request.fields.content_type = 0x2200;
    request.fields.content_type_len = 8;
    request.fields.content = body != 0 ? 0x3000 : 0;
    request.fields.content_len = body;
    return request;
}

TEST(CallPlan, RequestCallbackTakesEveryRequest) {
    const Registration all =
        registration_of({Callback::get, Callback::post, Callback::stream_post, Callback::request, Callback::on_error});
    const CallPlan expected{Callback::request, {0x1000}, 1};
    EXPECT_EQ(plan_call(all, "GET", request_with(0)), expected);
    EXPECT_EQ(plan_call(all, "POST", request_with(5)), expected);
    EXPECT_EQ(expected.list().size(), 1U);
}

TEST(CallPlan, GetHasUrlAndArgument) {
    const CallPlan expected{Callback::get, {0x2000, 0x2100}, 2};
    EXPECT_EQ(plan_call(registration_of({Callback::get}), "GET", request_with(0)), expected);
    EXPECT_EQ(plan_call(registration_of({Callback::get, Callback::post}), "HEAD", request_with(0)), expected);
    EXPECT_EQ(plan_call(registration_of({Callback::get}), "POST", request_with(0)), expected);
    EXPECT_EQ(plan_call(registration_of({Callback::get}), "GET", request_with(5)), std::nullopt);
}

TEST(CallPlan, PostHasTheBody) {
    const Registration post = registration_of({Callback::get, Callback::post});
    EXPECT_EQ(plan_call(post, "POST", request_with(5)),
              (CallPlan{Callback::post, {0x2000, 0x2100, 0x2200, 0x3000, 5}, 5}));
    EXPECT_EQ(plan_call(post, "GET", request_with(5))->callback, Callback::post);
    EXPECT_EQ(plan_call(registration_of({Callback::post}), "GET", request_with(0)), std::nullopt);
}

TEST(CallPlan, EmptyBodyIsAtAnAddressThatCanBeRead) {
    for (const char* method : {"POST", "PUT", "PATCH"}) {
        EXPECT_EQ(plan_call(registration_of({Callback::post}), method, request_with(0)),
                  (CallPlan{Callback::post, {0x2000, 0x2100, 0x2200, 0x2208, 0}, 5}))
            << method;
    }
}

TEST(CallPlan, StreamCallbackHasEachPieceAndItsOffset) {
    const Registration stream = registration_of({Callback::stream_post});
    EXPECT_EQ(plan_call(stream, "POST", request_with(5, 7)),
              (CallPlan{Callback::stream_post, {0x2000, 0x2100, 0x2200, 0x3000, 5, 7}, 6}));
    EXPECT_EQ(plan_call(stream, "POST", request_with(0, 12)),
              (CallPlan{Callback::stream_post, {0x2000, 0x2100, 0x2200, 0x2208, 0, 12}, 6}));
    EXPECT_EQ(plan_call(stream, "GET", request_with(0)), std::nullopt);
}

TEST(CallPlan, PostAnswersAfterTheStreamCallbackHadTheBody) {
    const Registration both = registration_of({Callback::post, Callback::stream_post});
    EXPECT_EQ(plan_call(both, "POST", request_with(5, 7))->callback, Callback::stream_post);
    EXPECT_EQ(plan_call(both, "POST", request_with(0, 12)),
              (CallPlan{Callback::post, {0x2000, 0x2100, 0x2200, 0, 12}, 5}));
}

TEST(CallPlan, ThereIsNoneWithoutACallback) {
    EXPECT_EQ(plan_call(Registration(), "GET", request_with(0)), std::nullopt);
    EXPECT_EQ(plan_call(registration_of({Callback::on_error}), "POST", request_with(5)), std::nullopt);
}

}  // namespace
}  // namespace tinykvm::host
