// The guest header: what of it works without a sandbox, and that host and guest agree on numbers and layouts.
#include "guest-api/kvm_api.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "src/calls/guest_abi.hpp"

EMBED_BINARY(embedded_header, TINYKVM_KVM_API_HEADER);

namespace {

namespace abi = tinykvm::host::abi;

static_assert(sizeof(kvm_request) == sizeof(abi::Request));
static_assert(offsetof(kvm_request, method) == offsetof(abi::Request, method));
static_assert(offsetof(kvm_request, content_type) == offsetof(abi::Request, content_type));
static_assert(offsetof(kvm_request, method_len) == offsetof(abi::Request, method_len));
static_assert(offsetof(kvm_request, content_type_len) == offsetof(abi::Request, content_type_len));
static_assert(offsetof(kvm_request, content) == offsetof(abi::Request, content));
static_assert(offsetof(kvm_request, content_len) == offsetof(abi::Request, content_len));
static_assert(offsetof(kvm_request, headers) == offsetof(abi::Request, headers));
static_assert(offsetof(kvm_request, num_headers) == offsetof(abi::Request, num_headers));
static_assert(offsetof(kvm_request, info_flags) == offsetof(abi::Request, info_flags));
static_assert(offsetof(kvm_request, prng) == offsetof(abi::Request, prng));
static_assert(offsetof(kvm_request_header, field_colon) == offsetof(abi::RequestHeader, field_colon));
static_assert(offsetof(kvm_request_header, field_len) == offsetof(abi::RequestHeader, field_len));
static_assert(sizeof(ResponseHeader) == sizeof(abi::ResponseHeader));
static_assert(sizeof(BackendResponseExtra) == sizeof(abi::ResponseExtra));
static_assert(offsetof(BackendResponseExtra, cached) == offsetof(abi::ResponseExtra, cached));
static_assert(offsetof(BackendResponseExtra, ttl) == offsetof(abi::ResponseExtra, ttl));
static_assert(offsetof(BackendResponseExtra, reserved) == offsetof(abi::ResponseExtra, reserved));
static_assert(sizeof(meminfo) == sizeof(abi::MemoryInfo));
static_assert(sizeof(curl_op) == sizeof(abi::FetchOperation));
static_assert(offsetof(curl_op, post_buflen) == offsetof(abi::FetchOperation, post_buflen));
static_assert(offsetof(curl_op, post_buffer) == offsetof(abi::FetchOperation, post_buffer));
static_assert(offsetof(curl_op, headers) == offsetof(abi::FetchOperation, headers));
static_assert(offsetof(curl_op, headers_length) == offsetof(abi::FetchOperation, headers_length));
static_assert(offsetof(curl_op, content) == offsetof(abi::FetchOperation, content));
static_assert(offsetof(curl_op, content_length) == offsetof(abi::FetchOperation, content_length));
static_assert(offsetof(curl_op, ctlen) == offsetof(abi::FetchOperation, ctlen));
static_assert(offsetof(curl_op, ctype) == offsetof(abi::FetchOperation, ctype));
static_assert(sizeof(curl_fields) == sizeof(abi::FetchFields));
static_assert(offsetof(curl_fields, len) == offsetof(abi::FetchFields, len));
static_assert(CURL_FIELDS_COUNT == abi::fetch_field_count);
static_assert(sizeof(curl_options) == sizeof(abi::FetchOptions));
static_assert(offsetof(curl_options, follow_location) == offsetof(abi::FetchOptions, follow_location));
static_assert(offsetof(curl_options, dummy_fetch) == offsetof(abi::FetchOptions, dummy_fetch));
static_assert(offsetof(curl_options, tcp_fast_open) == offsetof(abi::FetchOptions, tcp_fast_open));
static_assert(offsetof(curl_options, dont_verify_host) == offsetof(abi::FetchOptions, dont_verify_host));

class RequestHeaders : public ::testing::Test {
  protected:
    const char* find(const char* name) {
        slots_.clear();
        for (const std::string& field : fields_) {
            const std::size_t colon = field.find(':');
            slots_.push_back({field.c_str(),
                              static_cast<std::uint32_t>(colon == std::string::npos ? field.size() : colon),
                              static_cast<std::uint32_t>(field.size())});
        }
        request_.headers = slots_.data();
        request_.num_headers = static_cast<std::uint16_t>(slots_.size());
        return kvm_request_header_value(&request_, name, &length_);
    }
    std::string value(const char* name) {
        const char* text = find(name);
        return text != nullptr ? std::string(text, length_) : "(none)";
    }

    std::vector<std::string> fields_;
    std::vector<kvm_request_header> slots_;
    kvm_request request_{};
    std::size_t length_ = 99;
};

TEST_F(RequestHeaders, NameIsFoundInAnyCase) {
    fields_ = {"Host: example.com", "X-Forwarded-For: 10.0.0.1"};
    EXPECT_EQ(value("x-forwarded-FOR"), "10.0.0.1");
}

TEST_F(RequestHeaders, FirstOfSeveralIsFound) {
    fields_ = {"Accept: a", "accept: b"};
    EXPECT_EQ(value("Accept"), "a");
}

TEST_F(RequestHeaders, SpacesAroundTheValueAreLeftOut) {
    fields_ = {"A: \t two words \t", "B:tight", "C:", "D:   "};
    EXPECT_EQ(value("A"), "two words");
    EXPECT_EQ(value("B"), "tight");
    EXPECT_EQ(value("C"), "");
    EXPECT_EQ(value("D"), "");
}

TEST_F(RequestHeaders, PrefixOfANameIsNotTheName) {
    fields_ = {"Accept-Encoding: gzip"};
    EXPECT_EQ(find("Accept"), nullptr);
    EXPECT_EQ(length_, 0u);
    EXPECT_EQ(find("Accept-Encoding-More"), nullptr);
}

TEST_F(RequestHeaders, FieldWithoutColonIsNoHeader) {
    fields_ = {"Broken"};
    EXPECT_EQ(find("Broken"), nullptr);
}

TEST_F(RequestHeaders, CharactersBetweenTheCasesAreDifferent) {
    fields_ = {"X@: 1"};
    EXPECT_EQ(find("X`"), nullptr);
}

TEST_F(RequestHeaders, NoHeadersNoValue) { EXPECT_EQ(find("Host"), nullptr); }

TEST(KvmApi, MethodIsComparedWithCase) {
    kvm_request request{};
    request.method = "POST";
    EXPECT_TRUE(kvm_request_method_is(&request, "POST"));
    EXPECT_FALSE(kvm_request_method_is(&request, "Post"));
    EXPECT_FALSE(kvm_request_method_is(&request, "POS"));
}

TEST(KvmApi, OutsideOfTheSandboxIsLinuxMain) {
    EXPECT_TRUE(IS_LINUX_MAIN());
    EXPECT_FALSE(IS_SANDBOXED_MAIN());
    EXPECT_FALSE(IS_STORAGE());
    EXPECT_FALSE(IS_REQUEST());
    EXPECT_FALSE(IS_DEBUG());
}

TEST(KvmApi, EmbeddedFileHasItsSizeAndAZeroBehindIt) {
    EXPECT_EQ(std::strlen(embedded_header), embedded_header_size);
    EXPECT_EQ(std::string(embedded_header, 2), "/*");
}

}  // namespace
