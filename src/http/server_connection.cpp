#include "src/http/server_connection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <utility>

#include "src/base/failure.hpp"

namespace tinykvm::host {

namespace {

// A server may close a connection that is idle for some seconds, and a VM that waits does not run: the next request
// would find it closed.
constexpr auto longest_idle_time = std::chrono::seconds(1);

// No two connections have one number, and no two states of any: a snapshot remembers some of its warm-up, from before
// the VM got another client.
std::atomic<std::uint64_t> numbers{0};

std::uint64_t next_number() { return ++numbers; }

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string chunk_begin(std::size_t size) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16).ptr;
    return std::string(digits.data(), end) + "\r\n";
}

}  // namespace

std::uint64_t ServerConnection::last_number() { return numbers; }

void ServerConnection::continue_numbers_after(std::uint64_t number) {
    std::uint64_t last = numbers;
    while (last < number && !numbers.compare_exchange_weak(last, number)) {
    }
}

void ServerConnection::begin(std::string head, ResponseParser::To what, std::size_t most_early) {
    was_used_ = is_open() && (is_adopted_ || Clock::now() - used_at_ < longest_idle_time);
    if (!was_used_) {
        connect();
    }
    was_dropped_ = is_adopted_ = false;
    answer_.begin(what);
    is_active_ = more_to_give_ = true;
    most_early_ = most_early;
    before_ = std::move(head);
    before_left_ = bytes_of(before_);
    data_left_ = after_left_ = {};
    changes_ = next_number();
}

void ServerConnection::give(std::span<const std::byte> data, bool as_chunk, bool is_last) {
    std::string before(reinterpret_cast<const char*>(before_left_.data()), before_left_.size());
    after_.clear();
    if (as_chunk && !data.empty()) {
        before += chunk_begin(data.size());
        after_ = "\r\n";
    }
    if (as_chunk && is_last) {
        after_ += "0\r\n\r\n";
    }
    before_ = std::move(before);
    before_left_ = bytes_of(before_);
    data_left_ = data;
    after_left_ = bytes_of(after_);
    more_to_give_ = !is_last;
    changes_ = next_number();
}

void ServerConnection::send(std::span<const std::byte> data, bool is_last) {
    data_left_ = data;
    ends_input_ = is_last;
    changes_ = next_number();
}

void ServerConnection::take_body(std::vector<std::byte>& buffer) {
    buffer.clear();
    std::swap(buffer, answer_.body());
    changes_ = next_number();
}

void ServerConnection::finish() {
    if (!is_active_) {
        return;
    }
    const bool is_reusable = answer_.is_done() && answer_.keeps_connection() && !answer_.has_rest() && is_taken() &&
                             !more_to_give_ && !has_ended_;
    drop_request();
    answer_.clear();
    used_at_ = Clock::now();
    if (!is_reusable) {
        close();
    }
}

bool ServerConnection::is_open() const { return connection_ != 0 && is_accepted_ && !has_ended_ && !is_out_of_step_; }

void ServerConnection::open() {
    if (!is_open()) {
        connect();
    }
}

void ServerConnection::adopt(std::uint64_t connection) {
    drop_request();
    connection_ = connection;
    is_accepted_ = is_adopted_ = connection != 0;
    has_ended_ = is_out_of_step_ = false;
    changes_ = next_number();
}

void ServerConnection::drop_request() {
    is_active_ = more_to_give_ = ends_input_ = false;
    count_ = 0;
    before_left_ = data_left_ = after_left_ = {};
}

void ServerConnection::connect() {
    connection_ = changes_ = next_number();
    is_accepted_ = has_ended_ = is_out_of_step_ = false;
}

void ServerConnection::close() {
    connection_ = 0;
    is_accepted_ = false;
    changes_ = next_number();
}

// --- Client

std::optional<std::span<const std::byte>> ServerConnection::next() const {
    for (const auto& part : {before_left_, data_left_, after_left_}) {
        if (!part.empty()) {
            return part;
        }
    }
    return ends_input_ ? std::optional(std::span<const std::byte>()) : std::nullopt;
}

void ServerConnection::take(std::size_t bytes) {
    was_used_ &= bytes == 0;  // the server has come to this request
    for (auto* part : {&before_left_, &data_left_, &after_left_}) {
        const std::size_t size = std::min(bytes, part->size());
        *part = part->subspan(size);
        bytes -= size;
    }
}

// Bytes that no request asked for are taken and dropped.
std::size_t ServerConnection::room() const {
    if (!is_active_ || answer_.is_done() || more_to_give_) {
        return piece_size;
    }
    return piece_size - std::min(piece_size, answer_.body().size());
}

void ServerConnection::write(std::span<const std::byte> data) {
    // On a connection of earlier requests, what comes before the server has taken any of this one belongs to those. It
    // may answer before it has taken all of this one: that the head is too long, or the body.
    if (is_active_ && !answer_.is_done() && !was_used_) {
        const bool was_upgraded = is_upgraded();
        count_ += was_upgraded ? data.size() : 0;
        if (was_upgraded && taker_ != nullptr && answer_.body().empty()) {
            data = data.subspan((*taker_)(data));
        }
        answer_.put(data);
        count_ += is_upgraded() && !was_upgraded ? answer_.body().size() : 0;
        if (more_to_give_ && answer_.body().size() > most_early_) {
            throw Failure(FailureKind::invalid_answer,
                          "the server answers with more than " + std::to_string(most_early_ >> 20) +
                              " MiB before it has taken the body of the request (max_request_memory)");
        }
    } else {
        is_out_of_step_ = true;
    }
}

void ServerConnection::end_output() {
    has_ended_ = true;
    if (!is_active_ || answer_.is_done()) {
        return;
    }
    if (was_used_ && !answer_.has_begun()) {
        was_dropped_ = true;
    } else {
        answer_.end();
    }
}

bool ServerConnection::wants_turn() const {
    const bool has_piece = !more_to_give_ && answer_.body().size() >= piece_size;
    const bool has_news = is_upgraded() && taker_ == nullptr;
    return is_active_ && (answer_.is_done() || was_dropped_ || has_piece || has_news);
}

bool ServerConnection::may_wait() const {
    if (!is_active_) {
        return true;
    }
    return more_to_give_ ? is_taken() : is_upgraded() || (answer_.has_head() && !answer_.body().empty());
}

}  // namespace tinykvm::host
