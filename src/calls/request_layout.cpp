#include "src/calls/request_layout.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/http_field.hpp"
#include "tinykvm/os/random.hpp"

namespace tinykvm::host {

namespace {

constexpr GuestAddr body_alignment = 64;  // SIMD code likes its input aligned

[[noreturn]] void too_large(const std::string& what) { throw Failure(FailureKind::too_large, what); }

template <typename T>
void put_at(std::vector<std::byte>& bytes, std::size_t offset, const T& value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
}

}  // namespace

void RequestLayout::write(GuestAddr to, const void* from, std::size_t size) {
    bool written = false;
    try {
        written = memory_->write(to, from, size);
    } catch (const OutOfMemory& error) {
        too_large(std::string("the request alone takes more: ") + error.what());
    }
    if (!written) {
        throw Failure(FailureKind::host_error, "the request area of the VM is not writable");
    }
}

std::uint64_t RequestLayout::random_word() {
    if (random_words_left_ == 0) {
        fill_random(std::as_writable_bytes(std::span(random_words_)));
        random_words_left_ = random_words_.size();
    }
    return std::exchange(random_words_[--random_words_left_], 0);
}

void RequestLayout::take(std::size_t size) {
    if (size > end_ - cursor_) {
        too_large("the request does not fit in max_request_memory (" + std::to_string(end_ - begin_) + " bytes)");
    }
    cursor_ += size;
}

GuestAddr RequestLayout::head_string(std::string_view text) {
    const GuestAddr at = cursor_;
    take(text.size() + 1);
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    head_.insert(head_.end(), bytes, bytes + text.size());
    head_.push_back(std::byte{0});
    return at;
}

std::uint16_t RequestLayout::short_length(std::string_view text, const char* what) const {
    if (text.size() > UINT16_MAX) {
        too_large(std::string(what) + " of " + std::to_string(text.size()) + " bytes, at most " +
                  std::to_string(UINT16_MAX) + " are possible");
    }
    return static_cast<std::uint16_t>(text.size());
}

void RequestLayout::begin(GuestMemory& memory, const RequestArea& area, const Request& request) {
    memory_ = &memory;
    begin_ = area.begin;
    end_ = area.begin + area.size;
    request_ = {};
    request_.method_len = short_length(request.method, "a method");
    request_.url_len = short_length(request.url, "a URL");
    request_.arg_len = short_length(request.argument, "an argument");
    request_.content_type_len = short_length(request.content_type, "a content type");
    if (request.headers.size() > UINT16_MAX) {
        too_large(std::to_string(request.headers.size()) + " headers");
    }
    request_.num_headers = static_cast<std::uint16_t>(request.headers.size());
    request_.info_flags = request.warmup ? abi::info_warmup : 0;

    const std::size_t fixed = sizeof(abi::Request) + request.headers.size() * sizeof(abi::RequestHeader);
    cursor_ = begin_;
    take(fixed);
    head_.assign(fixed, std::byte{0});
    request_.method = head_string(request.method);
    request_.url = head_string(request.url);
    request_.arg = head_string(request.argument);
    request_.content_type = head_string(request.content_type);

    request_.headers = begin_ + sizeof(abi::Request);
    std::size_t slot = sizeof(abi::Request);
    for (const std::string_view line : request.headers) {
        if (line.size() > UINT32_MAX) {
            too_large("a header of " + std::to_string(line.size()) + " bytes");
        }
        abi::RequestHeader header;
        header.field_len = static_cast<std::uint32_t>(line.size());
        header.field_colon = static_cast<std::uint32_t>(name_of(line).size());
        header.field = head_string(line);
        put_at(head_, slot, header);
        slot += sizeof header;
    }
    cursor_ = std::min(end_, (cursor_ + body_alignment - 1) & ~(body_alignment - 1));
    request_.content = body_begin_ = cursor_;
    body_offset_ = 0;
}

void RequestLayout::next_body_piece() {
    body_offset_ += request_.content_len;
    request_.content = cursor_ = body_begin_;
    request_.content_len = 0;
}

void RequestLayout::skip_body(std::size_t size) {
    body_offset_ += size;
    request_.content += size;
    request_.content_len -= size;
}

void RequestLayout::append_body(std::span<const std::byte> data) {
    if (data.size() >= room()) {  // one byte is left for a zero after it
        too_large("a body of more than " + std::to_string(room() + request_.content_len) +
                  " bytes does not fit in max_request_memory");
    }
    const GuestAddr at = cursor_;
    take(data.size());
    write(at, data.data(), data.size());
    request_.content_len += data.size();
}

void RequestLayout::finish() {
    if (request_.content_len == 0) {
        request_.content = 0;
    } else {
        const GuestAddr end = cursor_;
        take(1);
        write(end, "", 1);  // not part of the interface, but careless programs are saved by it
    }
    for (std::uint64_t& word : request_.prng) {
        word = random_word();
    }
    put_at(head_, 0, request_);
    write(begin_, head_.data(), head_.size());
}

GuestAddr RequestLayout::add_string(std::string_view text) {
    const GuestAddr at = cursor_;
    const std::string terminated(text);
    take(terminated.size() + 1);
    write(at, terminated.c_str(), terminated.size() + 1);
    return at;
}

}  // namespace tinykvm::host
