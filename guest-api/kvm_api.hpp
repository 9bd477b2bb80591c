/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kvm_api.h for C++20: the same calls with strings, spans, objects that free what they own, and handlers that may be
 * lambdas. Header only; everything is in namespace kvm.
 *
 *     int main() {
 *         const kvm::Regex digits("[0-9]+");
 *         kvm::on_request([&](const kvm::Request& request) {
 *             return kvm::Response(200, "text/plain", digits.replace_all(request.url(), "#"));
 *         });
 *         kvm::serve();
 *     }
 *
 * What a handler throws ends the program, and so the request: the error handler gets it then.
 */
#ifndef TINYKVM_KVM_API_HPP
#define TINYKVM_KVM_API_HPP

#if __cplusplus <= 201703L
#error "kvm_api.hpp needs C++20: compile with -std=c++20 (tinykvm_add_guest() of CMake does)"
#else

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "kvm_api.h"

namespace kvm {

/* In the sandbox, or an ordinary Linux process? */
inline bool is_sandboxed() { return IS_SANDBOXED_MAIN(); }

/* Writes one line to the log of the request, or of the program while it boots. */
inline void log(std::string_view line) { sys_log(line.data(), line.size()); }

/* What a call returns, unless it is an error: then throws std::system_error with the call's name. */
inline long check(long result, const char* call) {
    if (result < 0) {
        throw std::system_error(static_cast<int>(-result), std::generic_category(), call);
    }
    return result;
}

/* ---- Requests ----------------------------------------------------------------------------------------- */

/* A header field of a request. */
class Field {
  public:
    explicit Field(const kvm_request_header& raw) : raw_(&raw) {}
    std::string_view line() const { return {raw_->field, raw_->field_len}; }
    std::string_view name() const { return {raw_->field, raw_->field_colon}; }
    std::string_view value() const {
        std::string_view value = line();
        value.remove_prefix(raw_->field_colon < raw_->field_len ? raw_->field_colon + 1 : raw_->field_len);
        const std::size_t begin = value.find_first_not_of(" \t");
        return begin == value.npos ? std::string_view() : value.substr(begin, value.find_last_not_of(" \t") + 1 - begin);
    }

  private:
    const kvm_request_header* raw_;
};

/* A request. Views into it are valid until it is answered. */
class Request {
  public:
    explicit Request(const kvm_request& raw) : raw_(&raw) {}

    std::string_view method() const { return {raw_->method, raw_->method_len}; }
    std::string_view url() const { return {raw_->url, raw_->url_len}; }
    std::string_view argument() const { return {raw_->arg, raw_->arg_len}; }
    std::string_view content_type() const { return {raw_->content_type, raw_->content_type_len}; }
    std::span<const std::uint8_t> body() const { return {raw_->content, raw_->content_len}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(raw_->content), raw_->content_len}; }

    /* The value of the first field of that name, in any case. */
    std::optional<std::string_view> header(const char* name) const {
        std::size_t length = 0;
        const char* value = kvm_request_header_value(raw_, name, &length);
        return value == nullptr ? std::nullopt : std::optional(std::string_view(value, length));
    }
    std::vector<Field> headers() const {
        std::vector<Field> fields;
        for (const kvm_request_header& one : std::span(raw_->headers, raw_->num_headers)) {
            fields.emplace_back(one);
        }
        return fields;
    }
    /* 128 random bits, new for every request. */
    std::array<std::uint64_t, 2> random() const { return {raw_->prng[0], raw_->prng[1]}; }
    bool is_warmup() const { return IS_WARMUP_REQUEST(raw_); }
    const kvm_request& raw() const { return *raw_; }

  private:
    const kvm_request* raw_;
};

/* ---- Responses ---------------------------------------------------------------------------------------- */

/* An answer. Handlers return one; or send() it, which does not come back unless the program waits paused. */
class Response {
  public:
    using Seconds = std::chrono::duration<float>;

    explicit Response(int status = 200, std::string content_type = {}, std::string body = {})
        : status_(status == static_cast<std::int16_t>(status) ? static_cast<std::int16_t>(status) : std::int16_t{0}),
          content_type_(std::move(content_type)), body_(std::move(body)) {}

    Response& body(std::string body) {
        body_ = std::move(body);
        borrowed_.reset();
        return *this;
    }
    /* Bytes that live until the response has been sent: of the request, or static ones. They are not copied. */
    Response& borrow(std::span<const std::uint8_t> body) {
        borrowed_ = body;
        return *this;
    }
    Response& header(std::string_view name, std::string_view value) {
        headers_.push_back(std::string(name).append(": ").append(value));
        return *this;
    }
    /* Varnish may store it for so long. */
    Response& cache(Seconds ttl, Seconds grace = {}, Seconds keep = {}) {
        extra_.cached = true;
        extra_.ttl = ttl.count();
        extra_.grace = grace.count();
        extra_.keep = keep.count();
        return *this;
    }
    void send() const {
        std::vector<ResponseHeader> headers;
        for (const std::string& line : headers_) {
            headers.push_back({line.data(), line.size()});
        }
        BackendResponseExtra extra = extra_;
        extra.headers = headers.data();
        extra.num_headers = static_cast<std::uint16_t>(headers.size());
        const void* data = borrowed_ ? static_cast<const void*>(borrowed_->data()) : body_.data();
        backend_response_extra(status_, content_type_.data(), content_type_.size(), data,
                               borrowed_ ? borrowed_->size() : body_.size(), &extra);
    }

  private:
    std::int16_t status_;
    std::string content_type_, body_;
    std::optional<std::span<const std::uint8_t>> borrowed_;
    std::vector<std::string> headers_;
    BackendResponseExtra extra_{};
};

/* ---- Handlers: in main() ------------------------------------------------------------------------------ */

namespace detail {

/* The last response stays until the next one: sending it does not come back, so nobody else would free it. */
inline void send_and_keep(Response response) {
    static std::optional<Response> kept;
    kept.emplace(std::move(response));
    kept->send();
}

template <typename Handler, typename... Arguments>
void answer(Handler& handler, const Arguments&... arguments) {
    if constexpr (std::is_void_v<decltype(handler(arguments...))>) {
        handler(arguments...);
    } else {
        send_and_keep(handler(arguments...));
    }
}

}  // namespace detail

/* `handler(const Request&)` answers every request, by returning a Response or sending one. It may be a lambda with
 * captures: it lives as long as the program does. */
template <typename Handler>
void on_request(Handler handler) {
    static std::optional<Handler> kept;
    kept.emplace(std::move(handler));
    set_backend_request([](const kvm_request* raw) { detail::answer(*kept, Request(*raw)); });
}

/* `handler(const Request&, std::string_view what)` gets a second chance when a request failed. */
template <typename Handler>
void on_error(Handler handler) {
    static std::optional<Handler> kept;
    kept.emplace(std::move(handler));
    set_on_error_request([](const char*, const char*, const char* what, const kvm_request* raw) {
        detail::answer(*kept, Request(*raw), std::string_view(what));
    });
}

/* The end of main(). What is on its stack stays there. */
[[noreturn]] inline void serve() { wait_for_requests(); }

/* ---- Messages in Varnish ------------------------------------------------------------------------------ */

/* The header of bereq or beresp, as VCL sees it. Each call leaves the sandbox once. */
class Message {
  public:
    explicit constexpr Message(int where) : where_(where) {}

    std::optional<std::string> find(const char* name) const {
        std::string value(static_cast<std::size_t>(check(http_find_strlen(where_, name), "sys_http_find")), '\0');
        if (value.empty()) {
            return std::nullopt;
        }
        value.resize(static_cast<std::size_t>(check(http_find_value(where_, name, value.data(), value.size()), "sys_http_find")));
        return value;
    }
    void append(std::string_view name, std::string_view value) const {
        const std::string line = std::string(name).append(": ").append(value);
        check(sys_http_append(where_, line.data(), line.size()), "sys_http_append");
    }
    void set(std::string_view name, std::string_view value) const {
        const std::string line = std::string(name).append(": ").append(value);
        check(sys_http_set(where_, line.data(), line.size()), "sys_http_set");
    }
    void unset(std::string_view name) const { check(sys_http_set(where_, name.data(), name.size()), "sys_http_set"); }
    int where() const { return where_; }

  private:
    int where_;
};

inline constexpr Message bereq(BEREQ), beresp(BERESP);

/* ---- Regular expressions ------------------------------------------------------------------------------ */

/* Compiled by the host, freed with the object. Calls throw std::system_error, as when matching takes too long. */
class Regex {
  public:
    explicit Regex(std::string_view pattern)
        : handle_(static_cast<int>(check(sys_regex_compile(pattern.data(), pattern.size()), "sys_regex_compile"))) {}
    ~Regex() {
        if (handle_ >= 0) {
            sys_regex_free(handle_);
        }
    }
    Regex(Regex&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}
    Regex& operator=(Regex&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }

    /* Where the first match begins. */
    std::optional<std::size_t> find(std::string_view text) const {
        const long at = sys_regex_match(handle_, text.data(), text.size());
        return at == -1 ? std::nullopt : std::optional(static_cast<std::size_t>(check(at, "sys_regex_match")));
    }
    bool matches(std::string_view text) const { return find(text).has_value(); }
    /* `text` with the first match, or all, replaced; \0 to \9 in `replacement` are the match and its groups. */
    std::string replace(std::string_view text, std::string_view replacement) const { return subst(text, replacement, 0); }
    std::string replace_all(std::string_view text, std::string_view replacement) const {
        return subst(text, replacement, KVM_REGEX_ALL);
    }
    /* Adds the fields of `from` that match to `to`; returns how many. */
    long copy(const Message& from, const Message& to) const {
        return check(sys_regex_copyto(handle_, from.where(), to.where()), "sys_regex_copyto");
    }

  private:
    std::string subst(std::string_view text, std::string_view replacement, int flags) const {
        const std::string subject(text), with(replacement);
        std::string result(subject.size() + with.size() + 256, '\0');
        for (;;) {
            const long size = sys_regex_subst(handle_, subject.c_str(), with.c_str(), result.data(), result.size(), flags);
            if (size != -ENOSPC || result.size() > std::size_t{1} << 20) {
                result.resize(static_cast<std::size_t>(check(size, "sys_regex_subst")) - 1);
                return result;
            }
            result.resize(result.size() * 4);
        }
    }

    int handle_;
};

/* ---- Memory ------------------------------------------------------------------------------------------- */

/* A T in the memory all VMs of the program share, made from `arguments` in main(); null when there is no room.
 * Concurrent access is up to T: std::atomic members, no pointers to other memory. */
template <typename T, typename... Arguments>
T* make_shared(Arguments&&... arguments) {
    void* place = SHM_ALLOC_TYPE(T);
    return place == nullptr ? nullptr : ::new (place) T(std::forward<Arguments>(arguments)...);
}

inline meminfo memory() {
    meminfo info{};
    check(get_meminfo(&info), "get_meminfo");
    return info;
}

}  // namespace kvm

#endif /* C++20 */
#endif
