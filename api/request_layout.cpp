#include "api/request_layout.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "api/failure.hpp"

namespace tinykvm::api {

namespace {

constexpr GuestAddr body_alignment = 64;  // SIMD code likes its input aligned

[[noreturn]] void too_large(const std::string& what) { throw Failure(FailureKind::too_large, what); }

void fresh_entropy(std::uint64_t (&words)[2]) {
    auto* to = reinterpret_cast<unsigned char*>(words);
    for (std::size_t done = 0; done < sizeof words;) {
        const ssize_t got = getrandom(to + done, sizeof words - done, 0);
        if (got < 0 && errno != EINTR) {
            throw Failure(FailureKind::host, std::string("getrandom: ") + std::strerror(errno));
        }
        done += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
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
        throw Failure(FailureKind::host, "the request area of the VM is not writable");
    }
}

void RequestLayout::put(const void* from, std::size_t size) {
    if (size > end_ - cursor_) {
        too_large("the request does not fit in max_request_memory (" + std::to_string(end_ - begin_) +
                  " bytes)");
    }
    write(cursor_, from, size);
    cursor_ += size;
}

GuestAddr RequestLayout::put_string(std::string_view text) {
    const GuestAddr at = cursor_;
    put(text.data(), text.size());
    put("", 1);
    return at;
}

std::uint16_t RequestLayout::short_length(std::string_view text, const char* what) const {
    if (text.size() > UINT16_MAX) {
        too_large(std::string(what) + " of " + std::to_string(text.size()) + " bytes, at most " +
                  std::to_string(UINT16_MAX) + " are possible");
    }
    return static_cast<std::uint16_t>(text.size());
}

void RequestLayout::begin(Fork& fork, const Request& request) {
    const Fork::Area area = fork.request_area();
    memory_ = &fork.memory();
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
    if (fixed > area.size) {
        too_large("the request does not fit in max_request_memory");
    }
    cursor_ = begin_ + fixed;
    request_.method = put_string(request.method);
    request_.url = put_string(request.url);
    request_.arg = put_string(request.argument);
    request_.content_type = put_string(request.content_type);

    request_.headers = begin_ + sizeof(abi::Request);
    GuestAddr slot = request_.headers;
    for (const std::string_view line : request.headers) {
        if (line.size() > UINT32_MAX) {
            too_large("a header of " + std::to_string(line.size()) + " bytes");
        }
        abi::RequestHeader header;
        const std::size_t colon = line.find(':');
        header.field_len = static_cast<std::uint32_t>(line.size());
        header.field_colon = static_cast<std::uint32_t>(colon == std::string_view::npos ? line.size() : colon);
        header.field = put_string(line);
        write(slot, &header, sizeof header);
        slot += sizeof header;
    }
    cursor_ = std::min(end_, (cursor_ + body_alignment - 1) & ~(body_alignment - 1));
    request_.content = cursor_;
}

void RequestLayout::append_body(std::span<const std::byte> data) {
    if (data.size() >= room()) {  // one byte is left for a zero behind it
        too_large("a body of more than " + std::to_string(room() + request_.content_len) +
                  " bytes does not fit in max_request_memory");
    }
    put(data.data(), data.size());
    request_.content_len += data.size();
}

void RequestLayout::finish() {
    if (request_.content_len == 0) {
        request_.content = 0;
    } else {
        put("", 1);  // not part of the interface, but careless programs are saved by it
    }
    fresh_entropy(request_.prng);
    write(begin_, &request_, sizeof request_);
}

GuestAddr RequestLayout::add_string(std::string_view text) { return put_string(text); }

}  // namespace tinykvm::api
