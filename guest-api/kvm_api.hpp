/* SPDX-License-Identifier: BSD-2-Clause
 *
 * kvm_api.h for C++17 and later: the same calls with strings, objects that free what they own, and handlers that may be
 * lambdas; with C++20 spans, too. Header only. All of that is in namespace kvm; Backend, Http, Curl and Storage, at the
 * end, are the names that sources of the TinyKVM ecosystem know it by.
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

#if __cplusplus < 201703L
#error "kvm_api.hpp needs C++17 or later: compile with -std=c++20 (tinykvm_add_guest() of CMake does)"
#else

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus > 201703L
#include <span>
#endif

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
        return begin == value.npos ? std::string_view()
                                   : value.substr(begin, value.find_last_not_of(" \t") + 1 - begin);
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
#if __cplusplus > 201703L
    std::span<const std::uint8_t> body() const { return {raw_->content, raw_->content_len}; }
#endif
    std::string_view text() const { return {reinterpret_cast<const char*>(raw_->content), raw_->content_len}; }

    /* The value of the first field of that name, in any case. */
    std::optional<std::string_view> header(const char* name) const {
        std::size_t length = 0;
        const char* value = kvm_request_header_value(raw_, name, &length);
        return value == nullptr ? std::nullopt : std::optional(std::string_view(value, length));
    }
    std::vector<Field> headers() const {
        std::vector<Field> fields;
        for (unsigned i = 0; i < raw_->num_headers; i++) {
            fields.emplace_back(raw_->headers[i]);
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

namespace detail {

/* Sends what a response consists of, each line of `lines` one header. A status or a number of headers that cannot be
 * told to the host is one that it refuses. */
inline void respond(int status, std::string_view content_type, const void* data, std::size_t length,
                    const std::vector<std::string>& lines, BackendResponseExtra extra) {
    std::vector<ResponseHeader> headers;
    headers.reserve(lines.size());
    for (const std::string& line : lines) {
        headers.push_back({line.data(), line.size()});
    }
    extra.headers = headers.data();
    extra.num_headers = static_cast<std::uint16_t>(std::min<std::size_t>(headers.size(), UINT16_MAX));
    const auto narrow = static_cast<std::int16_t>(status);
    backend_response_extra(narrow == status ? narrow : std::int16_t{0}, content_type.data(), content_type.size(), data,
                           length, &extra);
}

}  // namespace detail

/* An answer. Handlers return one; or send() it, which does not come back unless the program waits paused. */
class Response {
  public:
    using Seconds = std::chrono::duration<float>;

    explicit Response(int status = 200, std::string content_type = {}, std::string body = {})
        : status_(status), content_type_(std::move(content_type)), body_(std::move(body)) {}

    Response& body(std::string body) {
        body_ = std::move(body);
        borrowed_.reset();
        return *this;
    }
    /* Bytes that live until the response has been sent: of the request, or static ones. They are not copied. */
    Response& borrow(const void* data, std::size_t length) {
        borrowed_ = std::string_view(static_cast<const char*>(data), length);
        return *this;
    }
#if __cplusplus > 201703L
    Response& borrow(std::span<const std::uint8_t> body) { return borrow(body.data(), body.size()); }
#endif
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
        const std::string_view body = borrowed_.value_or(body_);
        detail::respond(status_, content_type_, body.data(), body.size(), headers_, extra_);
    }

  private:
    int status_;
    std::string content_type_, body_;
    std::optional<std::string_view> borrowed_;
    std::vector<std::string> headers_;
    BackendResponseExtra extra_{};
};

/* ---- Handlers: in main() ------------------------------------------------------------------------------ */

namespace detail {

/* The last response is kept until the next one: sending it does not return, so there is no place to free it. */
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
        value.resize(static_cast<std::size_t>(
            check(http_find_value(where_, name, value.data(), value.size()), "sys_http_find")));
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
    std::string replace(std::string_view text, std::string_view replacement) const {
        return subst(text, replacement, 0);
    }
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
            const long size =
                sys_regex_subst(handle_, subject.c_str(), with.c_str(), result.data(), result.size(), flags);
            if (size != -ENOSPC || result.size() > std::size_t{1} << 20) {
                result.resize(static_cast<std::size_t>(check(size, "sys_regex_subst")) - 1);
                return result;
            }
            result.resize(result.size() * 4);
        }
    }

    int handle_;
};

/* ---- Fetching ----------------------------------------------------------------------------------------- */

/* Header fields "Name: value" of a request: 12 at most. */
using Fields = std::vector<std::string>;

namespace detail {

using FetchCall = long (*)(const char*, std::size_t, curl_op*, curl_fields*, curl_options*);

/* The call with `lines` as fields; -EINVAL when there are too many, or they are too long. */
inline long fetch(FetchCall call, std::string_view url, curl_op& op, const Fields& lines, curl_options* options) {
    curl_fields fields{};
    if (lines.size() > CURL_FIELDS_COUNT) {
        return -EINVAL;
    }
    for (std::size_t i = 0; i < lines.size(); i++) {
        if (lines[i].size() > UINT16_MAX) {
            return -EINVAL;
        }
        fields.ptr[i] = lines[i].data();
        fields.len[i] = static_cast<std::uint16_t>(lines[i].size());
    }
    return call(url.data(), url.size(), &op, &fields, options);
}

}  // namespace detail

/* What fetching gave: a response of any status. Views into it are valid as long as it lives. */
class Fetched {
  public:
    explicit Fetched(const curl_op& op) : op_(op) {}
    ~Fetched() { fetch_free(&op_); }
    Fetched(Fetched&& other) noexcept : op_(std::exchange(other.op_, curl_op{})) {}
    Fetched& operator=(Fetched&& other) noexcept {
        std::swap(op_, other.op_);
        return *this;
    }

    int status() const { return static_cast<int>(op_.status); }
    std::string_view content_type() const { return {op_.ctype, op_.ctlen}; }
    std::string_view text() const { return {static_cast<const char*>(op_.content), op_.content_length}; }
#if __cplusplus > 201703L
    std::span<const std::uint8_t> body() const {
        return {static_cast<const std::uint8_t*>(op_.content), op_.content_length};
    }
#endif
    /* The status line and the header fields, a line each. */
    std::string_view head() const { return {op_.headers, op_.headers_length}; }

  private:
    curl_op op_;
};

/* Fetches a URL, of Varnish itself when it begins with '/', and follows redirects. Throws std::system_error when there
 * is no response. */
inline Fetched fetch(std::string_view url, const Fields& fields = {}) {
    curl_op op;
    kvm_prepare_get(&op);
    check(detail::fetch(&sys_fetch, url, op, fields, nullptr), "sys_fetch");
    return Fetched(op);
}
/* The same as a POST; without data it is a GET. */
inline Fetched post(std::string_view url, std::string_view content_type, std::string_view data,
                    const Fields& fields = {}) {
    curl_op op;
    check(kvm_prepare_post(&op, content_type.data(), content_type.size(), data.data(), data.size()), "sys_fetch");
    check(detail::fetch(&sys_fetch, url, op, fields, nullptr), "sys_fetch");
    return Fetched(op);
}

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

/* ---- The names of the TinyKVM ecosystem ---------------------------------------------------------------
 *
 * For sources that were written for its kvm_api.hpp. The names are global; a program that has others of these names
 * says KVM_API_NAMESPACE_ONLY before it includes this header. `where` is BEREQ or BERESP. */
#ifndef KVM_API_NAMESPACE_ONLY

/* Answers the request, as backend_response() does: in a callback it does not come back. `headers` are lines
 * "Name: value"; with one of the times, in seconds, above zero Varnish may store the response for so long. */
struct Backend {
    static void response(int status, std::string_view content_type, const void* data, std::size_t length,
                         const std::vector<std::string>& headers = {}, float ttl = 0, float grace = 0, float keep = 0) {
        BackendResponseExtra extra{};
        extra.cached = ttl > 0 || grace > 0 || keep > 0;
        extra.ttl = ttl;
        extra.grace = grace;
        extra.keep = keep;
        kvm::detail::respond(status, content_type, data, length, headers, extra);
    }
    static void response(int status, std::string_view content_type, std::string_view body,
                         const std::vector<std::string>& headers = {}, float ttl = 0, float grace = 0, float keep = 0) {
        response(status, content_type, body.data(), body.size(), headers, ttl, grace, keep);
    }
};

/* Header fields in Varnish: a line is "Name: value". Errors are negative, as those of sys_http_append(). */
struct Http {
    static long append(int where, std::string_view line) { return sys_http_append(where, line.data(), line.size()); }
    static long set(int where, std::string_view line) { return sys_http_set(where, line.data(), line.size()); }
    /* The line of the first field called `name`; empty when there is none. */
    static std::string get(int where, std::string_view name) {
        const long length = sys_http_find(where, name.data(), name.size(), nullptr, 0);
        std::string line(length > 0 ? static_cast<std::size_t>(length) : 0, '\0');
        if (!line.empty()) {
            sys_http_find(where, name.data(), name.size(), line.data(), line.size());
        }
        return line;
    }
};

/* Fetches, and says so in the result when there is no response: its status is 0 then. What came stays in the memory of
 * the request, or of the program, until that ends; kvm::fetch() gives it back. */
struct Curl {
    struct Result {
        std::uint16_t status = 0;
        std::string_view content_type, content;
        bool failed() const noexcept { return status == 0; }
    };
    using FieldList = kvm::Fields;

    static Result fetch(std::string_view url, const FieldList& fields = {}, curl_options* options = nullptr) {
        curl_op op;
        kvm_prepare_get(&op);
        return result(&sys_fetch, url, op, fields, options);
    }
    /* Only status and content type. Redirects are not followed. */
    static Result head(std::string_view url, const FieldList& fields = {}) {
        curl_options options{};
        options.dummy_fetch = 1;
        return fetch(url, fields, &options);
    }
    static Result post(std::string_view url, std::string_view content_type, std::string_view data,
                       const FieldList& fields = {}) {
        curl_op op;
        if (kvm_prepare_post(&op, content_type.data(), content_type.size(), data.data(), data.size()) != 0) {
            return {};
        }
        return result(&sys_fetch, url, op, fields, nullptr);
    }
    /* Of Varnish itself: `path` begins with '/'. */
    static Result self(std::string_view path, const FieldList& fields = {}, curl_options* options = nullptr) {
        curl_op op;
        kvm_prepare_get(&op);
        return result(&sys_request, path, op, fields, options);
    }

  private:
    static Result result(kvm::detail::FetchCall call, std::string_view url, curl_op& op, const FieldList& fields,
                         curl_options* options) {
        op.headers_length = 1; /* without a buffer: there is no use for the headers here */
        if (kvm::detail::fetch(call, url, op, fields, options) != 0) {
            return {};
        }
        char* type = static_cast<char*>(::operator new(sizeof(op.ctype)));
        std::memcpy(type, op.ctype, sizeof(op.ctype));
        return {static_cast<std::uint16_t>(op.status),
                {type, op.ctlen},
                {static_cast<const char*>(op.content), op.content_length}};
    }
};

/* A program's storage: get() throws std::system_error when a call fails. */
struct Storage {
    /* Calls `f` in storage with copies of one argument, or several, and gives what it returns: `Size` bytes at most. */
    template <std::size_t Size = std::size_t{16} << 20>
    static std::string get(std::string_view argument, storage_func f) {
        const virtbuffer buffer{argument.data(), argument.size()};
        return call<Size>(f, &buffer, 1);
    }
    template <std::size_t Size = std::size_t{16} << 20>
    static std::string get(const std::vector<std::string>& arguments, storage_func f) {
        std::vector<virtbuffer> buffers;
        buffers.reserve(arguments.size());
        for (const std::string& argument : arguments) {
            buffers.push_back({argument.data(), argument.size()});
        }
        return call<Size>(f, buffers.data(), buffers.size());
    }
    /* A list in braces is one of arguments, where C++20 would also take it for the two ends of a string. */
    template <std::size_t Size = std::size_t{16} << 20>
    static std::string get(std::initializer_list<std::string> arguments, storage_func f) {
        return get<Size>(std::vector<std::string>(arguments), f);
    }
    /* The same with arguments that are strings, and what is returned in `output`, an array of `Size`. */
    template <std::size_t Size, typename... Arguments>
    static std::string_view get(storage_func f, char* output, const Arguments&... arguments) {
        const std::array<std::string_view, sizeof...(Arguments)> texts{std::string_view(arguments)...};
        std::array<virtbuffer, sizeof...(Arguments)> buffers{};
        std::transform(texts.begin(), texts.end(), buffers.begin(), [](std::string_view text) {
            return virtbuffer{text.data(), text.size()};
        });
        return {output, call(f, buffers.data(), buffers.size(), output, Size)};
    }
    /* Calls `f` in storage later, with a copy of the data. */
    static long task(storage_task_func f, std::string_view data) { return storage_task(f, data.data(), data.size()); }
    static long task(storage_task_func f, const void* data = nullptr, std::size_t length = 0) {
        return storage_task(f, data, length);
    }

  private:
    static std::size_t call(storage_func f, const virtbuffer* buffers, std::size_t count, char* output,
                            std::size_t size) {
        const long length = kvm::check(storage_callv(f, count, buffers, output, size), "storage_callv");
        return std::min(static_cast<std::size_t>(length), size);
    }
    template <std::size_t Size>
    static std::string call(storage_func f, const virtbuffer* buffers, std::size_t count) {
        const std::unique_ptr<char[]> output(new char[Size]); /* not written to, so it costs what is returned */
        return std::string(output.get(), call(f, buffers, count, output.get(), Size));
    }
};

#endif /* KVM_API_NAMESPACE_ONLY */

#endif /* C++17 */
#endif
