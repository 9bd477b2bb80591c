#include "src/http/response_parser.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <limits>
#include <tuple>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/base/idle_buffer.hpp"

namespace tinykvm::host {

namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint32_t largest_head = 64 << 10;  // bytes

// A body as Beast fills it: bytes are added to a buffer, whose owner takes them out meanwhile. Nothing is reserved for
// the length that the server says.
struct GrowingBody {
    using value_type = std::vector<std::byte>*;

    class reader {
      public:
        template <bool is_request, typename Fields>
        reader(http::header<is_request, Fields>&, value_type& body) : body_(*body) {}
        void init(const boost::optional<std::uint64_t>&, error_code& error) { error = {}; }
        template <typename Buffers>
        std::size_t put(const Buffers& buffers, error_code& error) {
            error = {};
            std::size_t size = 0;
            for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers);
                 ++at) {
                const boost::asio::const_buffer piece(*at);
                const auto* data = static_cast<const std::byte*>(piece.data());
                body_.insert(body_.end(), data, data + piece.size());
                size += piece.size();
            }
            return size;
        }
        void finish(error_code& error) { error = {}; }

      private:
        std::vector<std::byte>& body_;
    };
};

[[noreturn]] void refuse(const std::string& why) {
    throw Failure(FailureKind::invalid_answer, "the server's answer is not one of HTTP/1.1: " + why);
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

class ResponseParser::Beast {
  public:
    Beast(bool is_head, std::vector<std::byte>& body) : parser(std::piecewise_construct, std::make_tuple(&body)) {
        parser.header_limit(largest_head);
        parser.body_limit(std::numeric_limits<std::uint64_t>::max());
        parser.skip(is_head);
    }

    http::response_parser<GrowingBody> parser;
};

ResponseParser::ResponseParser() = default;
ResponseParser::~ResponseParser() = default;

void ResponseParser::begin(To what) {
    clear();
    what_ = what;
    beast_ = std::make_unique<Beast>(what_ == To::head, body_);
}

void ResponseParser::clear() {
    beast_.reset();
    if (body_.capacity() > largest_idle_buffer) {
        body_ = {};
    }
    body_.clear();
    pending_.clear();
    has_begun_ = has_head_ = is_done_ = has_rest_ = keeps_connection_ = is_upgraded_ = false;
    status_ = 0;
    content_type_.clear();
    fields_.clear();
    body_size_.reset();
}

std::vector<std::string> ResponseParser::take_fields() { return std::exchange(fields_, {}); }

void ResponseParser::put(std::span<const std::byte> data) {
    has_begun_ |= !data.empty();
    if (is_upgraded_) {
        body_.insert(body_.end(), data.begin(), data.end());
        return;
    }
    const bool joins = !pending_.empty();
    if (joins) {
        pending_.append(reinterpret_cast<const char*>(data.data()), data.size());
        data = std::as_bytes(std::span(pending_));
    }
    while (!data.empty() && !is_done_) {
        error_code error;
        const std::size_t taken = beast_->parser.put(boost::asio::const_buffer(data.data(), data.size()), error);
        data = data.subspan(taken);
        if (error && error != http::error::need_more) {
            refuse(error.message());
        }
        if (beast_->parser.is_header_done() && !has_head_) {
            note_head();
            beast_->parser.eager(true);  // not before: what follows the body is added to the fields of the head
        }
        if (is_upgraded_) {
            body_.assign(data.begin(), data.end());
            pending_.clear();
            return;
        }
        if (status_ == 0 && beast_->parser.is_done()) {  // it was an interim answer
            beast_ = std::make_unique<Beast>(what_ == To::head, body_);
            continue;
        }
        is_done_ = beast_->parser.is_done();
        if (error == http::error::need_more) {
            break;
        }
    }
    has_rest_ |= is_done_ && !data.empty();
    std::string rest;
    if (!is_done_) {
        if (data.size() > largest_head) {
            refuse("a line of it has no end");
        }
        rest.assign(reinterpret_cast<const char*>(data.data()), data.size());
    }
    pending_ = std::move(rest);
}

void ResponseParser::note_head() {
    const auto& message = beast_->parser.get();
    const int status = static_cast<int>(message.result_int());
    is_upgraded_ = status == 101;
    if (is_upgraded_ && what_ != To::upgrade) {
        refuse("it changes the protocol, which it was not asked for");
    }
    if (status < 100 || status > 599) {  // Varnish takes none below 100, as a failed assertion
        refuse("status " + std::to_string(status));
    }
    if (status < 200 && !is_upgraded_) {
        return;
    }
    status_ = status;
    has_head_ = true;
    keeps_connection_ = beast_->parser.keep_alive() && !is_upgraded_;
    if (const auto length = beast_->parser.content_length()) {
        body_size_ = *length;
    } else if (status == 204 || status == 304) {
        body_size_ = 0;
    }
    const auto named_by_connection = [&](std::string_view name) {
        const auto fields = message.equal_range(http::field::connection);
        return std::any_of(fields.first, fields.second, [&](const auto& field) {
            return http::token_list(field.value()).exists({name.data(), name.size()});
        });
    };
    std::size_t bytes = 0;
    for (const auto& field : message) {
        const std::string_view name = view(field.name_string());
        const bool names_protocol = is_upgraded_ && same_name(name, "Upgrade");
        if ((is_framing_field(name) || named_by_connection(name)) && !names_protocol) {
            continue;
        }
        std::string line = std::string(name) + ": " + std::string(view(field.value()));
        std::string why;
        if (!parse_field(line, why)) {
            refuse("the header field " + printable(line, 80) + ": " + why);
        }
        if (same_name(name, "Content-Type") && content_type_.empty()) {
            content_type_ = view(field.value());
            continue;
        }
        bytes += line.size();
        fields_.push_back(std::move(line));
    }
    if (fields_.size() > max_fields || bytes > max_fields_bytes) {
        refuse("it has " + std::to_string(fields_.size()) + " header fields of " + std::to_string(bytes) +
               " bytes, at most " + std::to_string(max_fields) + " of " + std::to_string(max_fields_bytes) +
               " are allowed");
    }
}

void ResponseParser::end() {
    if (is_done_) {
        return;
    }
    if (!has_begun_) {
        throw Failure(FailureKind::no_answer, "the server closed the connection without an answer");
    }
    if (is_upgraded_) {
        is_done_ = true;
        return;
    }
    error_code error;
    if (pending_.empty()) {
        beast_->parser.put_eof(error);
    }
    if (!pending_.empty() || error || !beast_->parser.is_done()) {
        throw Failure(FailureKind::invalid_answer, "the server closed the connection in the middle of its answer");
    }
    is_done_ = true;
    keeps_connection_ = false;
}

}  // namespace tinykvm::host
