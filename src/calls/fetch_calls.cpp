// sys_fetch and sys_request: what programs ask other servers, and Varnish itself.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/guest_abi.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/fetch/host_rules.hpp"
#include "src/fetch/http_client.hpp"
#include "src/fetch/self_requests.hpp"

namespace tinykvm::host {

namespace {

constexpr std::size_t max_url = 8192;
constexpr std::size_t max_interface = 64;
constexpr unsigned max_redirects = 10;

// Thrown when an argument of the guest is wrong. The call returns the negated errno value.
struct BadArgument {
    int error;
};

// Where a part of the response goes: nowhere, to new memory of the program, or to a buffer that it has prepared.
struct Target {
    enum class Kind { nowhere, allocated, prepared };
    Kind kind = Kind::nowhere;
    GuestAddr buffer = 0;
    std::size_t size = 0;
};

constexpr std::size_t least_header_room = 64;  // from here on a length without a buffer asks for headers

// What the program wants, copied and checked.
struct Fetch {
    std::string url;
    std::vector<std::string> headers;
    std::span<const std::byte> body;
    std::vector<std::byte> copied_body;  // what `body` is a view of when guest memory is not in one piece
    std::string interface;
    Target header_block, content;
    bool follows = true, wants_body = true, fast_open = false, ignores_name = false;
    Deadline deadline;
};

void read_fields(const GuestMemory& memory, GuestAddr address, std::vector<std::string>& headers) {
    abi::FetchFields fields;
    if (!memory.read(address, fields)) {
        throw BadArgument{EFAULT};
    }
    for (std::size_t i = 0; i < abi::fetch_field_count; i++) {
        if (fields.ptr[i] == 0 || fields.len[i] == 0) {
            continue;
        }
        auto line = memory.read_bytes(fields.ptr[i], fields.len[i]);
        if (!line) {
            throw BadArgument{EFAULT};
        }
        headers.push_back(*std::move(line));
    }
}

void read_body(const GuestMemory& memory, const abi::FetchOperation& operation, Fetch& fetch) {
    const std::size_t size = operation.post_buflen;
    if (operation.post_buffer == 0 || size == 0) {
        return;
    }
    if (size > memory.limits().bytes || !memory.is_readable(operation.post_buffer, size)) {
        throw BadArgument{EFAULT};
    }
    fetch.body = memory.readable(operation.post_buffer, size);
    if (fetch.body.size() != size) {
        fetch.copied_body.resize(size);
        if (!memory.read(operation.post_buffer, fetch.copied_body.data(), size)) {
            throw BadArgument{EFAULT};
        }
        fetch.body = fetch.copied_body;
    }
    if (operation.ctlen > sizeof operation.ctype) {
        throw BadArgument{EINVAL};
    }
    std::string type(operation.ctype, operation.ctlen);
    type.resize(std::min(type.find('\0'), type.size()));
    if (!type.empty() && std::none_of(fetch.headers.begin(), fetch.headers.end(),
                                      [](const std::string& line) { return is_field(line, "Content-Type"); })) {
        fetch.headers.push_back("Content-Type: " + type);
    }
}

bool has_prepared_content(const abi::FetchOperation& operation) {
    return operation.content != 0 && operation.content_length != 0;
}

Target prepared(const GuestMemory& memory, GuestAddr buffer, std::size_t size) {
    if (!memory.is_writable(buffer, size)) {
        throw BadArgument{EFAULT};
    }
    return {Target::Kind::prepared, buffer, size};
}

void read_targets(const GuestMemory& memory, const abi::FetchOperation& operation, Fetch& fetch) {
    const std::size_t room = operation.headers_length;
    if (operation.headers != 0 && room != 0) {
        fetch.header_block = prepared(memory, operation.headers, room);
    } else if (operation.headers == 0 && (room == 0 || room >= least_header_room)) {
        fetch.header_block.kind = Target::Kind::allocated;
    }
    if (!fetch.wants_body) {
        return;
    }
    if (has_prepared_content(operation)) {
        fetch.content = prepared(memory, operation.content, operation.content_length);
    } else {
        fetch.content.kind = Target::Kind::allocated;
    }
}

void read_options(const GuestMemory& memory, GuestAddr address, Fetch& fetch) {
    abi::FetchOptions options;
    if (!memory.read(address, options)) {
        throw BadArgument{EFAULT};
    }
    if (options.interface != 0) {
        auto name = memory.read_string(options.interface, max_interface);
        if (!name) {
            throw BadArgument{EFAULT};
        }
        fetch.interface = *std::move(name);
    }
    fetch.follows = options.follow_location != 0;
    fetch.wants_body = options.dummy_fetch == 0;
    fetch.fast_open = options.tcp_fast_open != 0;
    fetch.ignores_name = options.dont_verify_host != 0;
}

Fetch read_fetch(const HostCall& call, const GuestMemory& memory, const abi::FetchOperation& operation) {
    const auto [url, url_size, operation_address, fields, options, unused] = call.args;
    (void)operation_address;
    (void)unused;
    if (url_size == 0 || url_size > max_url) {
        throw BadArgument{EINVAL};
    }
    auto text = memory.read_bytes(url, url_size);
    if (!text) {
        throw BadArgument{EFAULT};
    }
    Fetch fetch;
    fetch.url = *std::move(text);
    if (fields != 0) {
        read_fields(memory, fields, fetch.headers);
    }
    read_body(memory, operation, fetch);
    if (options != 0) {
        read_options(memory, options, fetch);
    }
    read_targets(memory, operation, fetch);
    // The program should have time left to say that there was no answer.
    const auto now = Clock::now();
    fetch.deadline = call.deadline > now ? now + (call.deadline - now) / 8 * 7 : now;
    return fetch;
}

// Puts `text`, with a zero after it, into new memory of the program.
GuestAddr place(GuestMemory& memory, std::string_view text) {
    const std::size_t size = page_ceil(text.size() + 1);
    const auto address = memory.find_free(size);
    if (!address || memory.map(*address, size, {.read = true, .write = true}, "[fetched]") != 0) {
        throw BadArgument{ENOMEM};
    }
    try {
        if (text.empty() || memory.write(*address, text.data(), text.size())) {
            return *address;
        }
    } catch (const OutOfMemory&) {
        // Nothing was written.
    }
    (void)memory.unmap(*address, size);
    throw BadArgument{EMSGSIZE};
}

// Puts `text` into a buffer of the program, with a zero after it where there is room for one.
void fill(GuestMemory& memory, const Target& target, std::string_view text, const char* what) {
    if (text.size() > target.size) {
        throw HttpFailure(FailureKind::host_error, EMSGSIZE,
                          std::string(what) + " of " + std::to_string(text.size()) +
                              " bytes do not fit in the program's buffer of " + std::to_string(target.size));
    }
    std::string bytes(text);
    if (bytes.size() < target.size) {
        bytes += '\0';
    }
    try {
        if (!bytes.empty() && !memory.write(target.buffer, bytes.data(), bytes.size())) {
            throw BadArgument{EFAULT};
        }
    } catch (const OutOfMemory&) {
        throw BadArgument{EMSGSIZE};
    }
}

GuestAddr deliver(GuestMemory& memory, const Target& target, std::string_view text, const char* what) {
    if (target.kind == Target::Kind::allocated) {
        return place(memory, text);
    }
    fill(memory, target, text, what);
    return target.buffer;
}

std::string header_block(const HttpResponse& response) {
    std::string block = response.status_line + "\r\n";
    for (const std::string& line : response.headers) {
        block += line + "\r\n";
    }
    return block + "\r\n";
}

void store(GuestMemory& memory, const HttpResponse& response, const Fetch& fetch, abi::FetchOperation& operation) {
    operation.status = static_cast<std::uint32_t>(response.status);
    if (fetch.header_block.kind != Target::Kind::nowhere) {
        const std::string block = header_block(response);
        operation.headers = deliver(memory, fetch.header_block, block, "headers");
        operation.headers_length = static_cast<std::uint32_t>(block.size());
    }
    operation.content_length = 0;
    if (fetch.content.kind != Target::Kind::nowhere) {
        try {
            operation.content = deliver(memory, fetch.content, response.body, "contents");
        } catch (...) {
            if (fetch.header_block.kind == Target::Kind::allocated) {
                (void)memory.unmap(operation.headers, page_ceil(operation.headers_length + std::size_t{1}));
            }
            throw;
        }
        operation.content_length = static_cast<std::uint32_t>(response.body.size());
    }
    const std::size_t shown = std::min(response.content_type.size(), sizeof operation.ctype - 1);
    std::copy_n(response.content_type.begin(), shown, operation.ctype);
    operation.ctype[shown] = '\0';
    operation.ctlen = static_cast<std::uint32_t>(shown);
}

HttpResponse fetch_from_varnish(const GuestCalls::Environment& environment, const SelfRequestOrigin& origin,
                                const HostCall& call, const Fetch& wanted, std::size_t room) {
    if (!environment.services.self_requests) {
        throw HttpFailure(FailureKind::host_error, ENOTCONN, "self-requests cannot be made here");
    }
    SelfRequest request;
    request.method = !wanted.body.empty() ? "POST" : wanted.wants_body ? "GET" : "HEAD";
    request.path = wanted.url;
    request.headers = wanted.headers;
    request.body = wanted.body;
    request.max_redirects = wanted.follows ? max_redirects : 0;
    request.origin = origin;
    request.pool = environment.pool;
    request.deadline = wanted.deadline;
    request.cancelled = [&call] { return call.is_interrupted(); };
    request.max_body = room;
    return environment.services.self_requests->fetch(request);
}

HttpResponse fetch_from_elsewhere(const GuestCalls::Environment& environment, const HostCall& call, const Fetch& wanted,
                                  std::size_t room) {
    static const HostRules none;
    const HostRules& rules = environment.allowed_hosts != nullptr ? *environment.allowed_hosts : none;
    HttpRequest request;
    request.method = !wanted.body.empty() ? "POST" : wanted.wants_body ? "GET" : "HEAD";
    request.url = wanted.url;
    request.headers = wanted.headers;  // a Host among them is sent; it is the URL's host that is checked
    request.body = wanted.body;
    request.max_redirects = wanted.follows ? max_redirects : 0;
    request.fast_open = wanted.fast_open;
    request.interface = wanted.interface;
    request.verify_host = !(wanted.ignores_name && rules.may_ignore_name(parse_http_url(wanted.url)));
    request.deadline = wanted.deadline;
    request.cancelled = [&call] { return call.is_interrupted(); };
    request.max_body = room;
    request.check_url = [&rules](const HttpUrl& url) { rules.check_url(url); };
    request.check_address = [&rules](const HttpUrl& url, const sockaddr& address) {
        rules.check_address(url, address);
    };
    const FetchTime time(environment.services.counters);
    return HttpClient().fetch(
        request);  // a connection of its own: those of other programs were not checked by these rules
}

}  // namespace

HostCallResult GuestCalls::fetch(const HostCall& call, GuestMemory& memory) { return run_fetch(call, memory, false); }

HostCallResult GuestCalls::self_request(const HostCall& call, GuestMemory& memory) {
    return run_fetch(call, memory, true);
}

HostCallResult GuestCalls::run_fetch(const HostCall& call, GuestMemory& memory, bool from_varnish) {
    const GuestAddr address = call.args[2];
    abi::FetchOperation given;
    if (!memory.read(address, given) || !memory.is_writable(address, sizeof given)) {
        return HostCallResult::resume(-EFAULT);
    }
    abi::FetchOperation nothing = given;
    nothing.status = nothing.ctlen = 0;
    if (!has_prepared_content(given)) {
        nothing.content = nothing.content_length = 0;
    }
    abi::FetchOperation operation = nothing;
    int error = 0;
    try {
        const Fetch wanted = read_fetch(call, memory, given);
        const std::size_t used = std::min(memory.changed_bytes(), memory.limits().bytes);
        const std::size_t left = std::min<std::size_t>(memory.limits().bytes - used, UINT32_MAX - page_size);
        const bool fills = wanted.content.kind == Target::Kind::prepared;
        const std::size_t room = fills ? wanted.content.size : left;
        // After its answer it is not certain that anything waits for the request still: a HEAD has everything by then.
        const SelfRequestOrigin origin{origin_.depth, phase_ == Phase::request ? origin_.request : 0};
        const HttpResponse response = from_varnish || wanted.url.starts_with('/')
                                          ? fetch_from_varnish(environment_, origin, call, wanted, room)
                                          : fetch_from_elsewhere(environment_, call, wanted, room);
        store(memory, response, wanted, operation);
    } catch (const BadArgument& argument) {
        error = argument.error;
    } catch (const HttpFailure& failure) {
        note(failure.what());
        error = failure.error();
    } catch (const std::bad_alloc&) {
        error = ENOMEM;
    }
    try {
        if (!memory.write(address, error == 0 ? operation : nothing)) {
            error = EFAULT;
        }
    } catch (const OutOfMemory&) {
        error = EMSGSIZE;
    }
    return HostCallResult::resume(-error);
}

}  // namespace tinykvm::host
