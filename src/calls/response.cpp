#include "src/calls/response.hpp"

#include <algorithm>
#include <cmath>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/guest_abi.hpp"

namespace tinykvm::host {

namespace {

constexpr std::size_t max_content_type = 4095;

constexpr const char* usual_call = "sys_backend_response";
constexpr const char* streaming_call = "begin_streaming_response";

[[noreturn]] void refuse(const std::string& why, const char* call = usual_call) {
    throw Failure(FailureKind::invalid_answer, std::string(call) + ": " + why);
}

std::string range_text(std::uint64_t address, std::uint64_t size) {
    return hex(address) + " with length " + std::to_string(static_cast<std::int64_t>(size));
}

std::string read_content_type(const GuestMemory& memory, GuestAddr address, std::uint64_t size, const char* call) {
    if (size == 0) {
        return {};
    }
    const auto refuse_length = [&] {
        refuse("content type length " + std::to_string(static_cast<std::int64_t>(size)) + " is not in 0..." +
                   std::to_string(max_content_type),
               call);
    };
    if (size > max_content_type + 1) {  // a zero that ends it may be counted
        refuse_length();
    }
    auto text = memory.read_bytes(address, size);
    if (!text) {
        refuse("content type at " + range_text(address, size) + " is not readable", call);
    }
    if (text->resize(std::min(text->find('\0'), text->size())); text->size() > max_content_type) {
        refuse_length();
    }
    if (!is_field_value(*text)) {
        refuse("content type has a control character: " + printable(*text, 80), call);
    }
    return *std::move(text);
}

// The first field of a name replaces those the message has of it; more of the same name are added.
void set_field(std::vector<HeaderChange>& changes, std::string line) {
    const bool is_first = std::none_of(changes.begin(), changes.end(), [&](const HeaderChange& change) {
        return is_field(change.line, name_of(line));
    });
    changes.push_back({is_first ? HeaderChange::Kind::set : HeaderChange::Kind::append, std::move(line)});
}

void read_headers(const GuestMemory& memory, const abi::ResponseExtra& extra, Response& response,
                  std::vector<std::string>& ignored) {
    if (extra.num_headers > max_fields) {
        refuse(std::to_string(extra.num_headers) + " headers, at most " + std::to_string(max_fields) + " are allowed");
    }
    std::size_t total = 0;
    for (std::size_t i = 0; i < extra.num_headers; i++) {
        const std::string which = "header " + std::to_string(i);
        abi::ResponseHeader header;
        // The array is below 2^47 when its first element is, so that the sum cannot wrap.
        if (extra.headers >= std::uint64_t{1} << 47 || !memory.read(extra.headers + i * sizeof header, header)) {
            refuse("the array of headers at " + hex(extra.headers) + " is not readable");
        }
        if (header.field_len > max_field_bytes) {
            refuse(which + " has length " + std::to_string(static_cast<std::int64_t>(header.field_len)) + ", at most " +
                   std::to_string(max_field_bytes) + " is allowed");
        }
        auto line = memory.read_bytes(header.field, header.field_len);
        if (!line) {
            refuse(which + " at " + range_text(header.field, header.field_len) + " is not readable");
        }
        std::string why;
        const auto parts = parse_field(*line, why);
        if (!parts) {
            refuse(which + " " + why);
        }
        if ((total += line->size()) > max_fields_bytes) {
            refuse("headers of more than " + std::to_string(max_fields_bytes) + " bytes");
        }
        if (is_framing_field(parts->name)) {
            ignored.emplace_back(parts->name);
        } else {
            set_field(response.response_changes, *std::move(line));
        }
    }
}

// Status and content type, the first three arguments.
Response read_beginning(const GuestMemory& memory, const std::array<std::uint64_t, 6>& args, const char* call) {
    Response response;
    response.status = static_cast<std::int16_t>(args[0]);
    if (response.status < 200 || response.status > 599) {
        refuse("status " + std::to_string(response.status) + " is not in 200...599", call);
    }
    response.content_type = read_content_type(memory, args[1], args[2], call);
    return response;
}

}  // namespace

Response read_streaming_response(const GuestMemory& memory, const std::array<std::uint64_t, 6>& args) {
    Response response = read_beginning(memory, args, streaming_call);
    const auto size = static_cast<std::int64_t>(args[3]);
    if (size < -1) {
        refuse("a body of " + std::to_string(size) + " bytes; -1 is for a body of unknown size", streaming_call);
    }
    response.body_size = size == -1 ? Response::unknown_size : static_cast<std::size_t>(size);
    response.stream = Response::Stream{args[4], args[5]};
    return response;
}

double sane_seconds(double seconds) {
    constexpr double most = 10 * 365.25 * 86400;
    return std::isnan(seconds) ? 0 : std::clamp(seconds, 0.0, most);
}

Response read_response(const GuestMemory& memory, const std::array<std::uint64_t, 6>& args,
                       std::vector<std::string>& ignored) {
    const GuestAddr body = args[3], extra_address = args[5];
    const std::uint64_t body_size = args[4];
    Response response = read_beginning(memory, args, usual_call);
    if (body_size != 0) {
        if (!memory.is_readable(body, body_size)) {
            refuse("body at " + range_text(body, body_size) + " is not readable");
        }
        response.body = body;
        response.body_size = body_size;
    }
    if (extra_address != 0) {
        abi::ResponseExtra extra;
        if (!memory.read(extra_address, extra)) {
            refuse("extra at " + hex(extra_address) + " is not readable");
        }
        read_headers(memory, extra, response, ignored);
        if (extra.cached != 0) {
            response.cacheability =
                Cacheability{true, sane_seconds(extra.ttl), sane_seconds(extra.grace), sane_seconds(extra.keep)};
        }
    }
    return response;
}

}  // namespace tinykvm::host
