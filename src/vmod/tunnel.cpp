#include "src/vmod/tunnel.hpp"

#include <algorithm>
#include <utility>

namespace tinykvm::vmod {

namespace {

constexpr std::size_t input_size = std::size_t{64} << 10;

std::string milliseconds(std::chrono::microseconds time) { return std::to_string(time.count() / 1000) + " ms"; }

}  // namespace

Tunnel::Tunnel(ClientSocket& client, host::RequestVm& vm, const host::ProgramConfig& limits,
               std::function<void()> after_step)
    : client_(client),
      vm_(vm),
      limits_(limits),
      after_step_(std::move(after_step)),
      gone_([this] { return client_.looks_gone(); }),
      end_(Clock::now() + limits.max_connection_time),
      input_(input_size) {
    exchange_.send = [this](std::span<const std::byte> data) { return pass_on(data); };
    exchange_.has_more = true;  // what came with the 101
}

std::string Tunnel::run() {
    for (;;) {
        send();
        receive();
        if (client_.is_gone()) {
            return "the client has left";
        }
        if (exchange_.has_ended && exchange_.output.empty()) {
            return "the program has closed it";
        }
        const auto now = Clock::now();
        if (now >= end_) {
            return "it has lasted for max_connection_time (" + milliseconds(limits_.max_connection_time) + ")";
        }
        if (now >= last_sign_ + limits_.max_idle_time) {
            return "nothing was sent for max_idle_time (" + milliseconds(limits_.max_idle_time) + ")";
        }
        if (may_go_on()) {
            vm_.exchange(exchange_, gone_);
            after_step_();
        } else {
            wait();
        }
    }
}

void Tunnel::send() {
    if (exchange_.output.empty()) {
        return;
    }
    sent_ += write(std::span(exchange_.output).subspan(sent_));
    if (sent_ == exchange_.output.size()) {
        exchange_.output.clear();
        sent_ = 0;
    }
}

// What the program sends while it runs. To a client that has left it sends to nobody, until that is noticed.
std::size_t Tunnel::pass_on(std::span<const std::byte> data) {
    const std::size_t size = exchange_.output.empty() ? write(data) : 0;
    return client_.is_gone() ? data.size() : size;
}

std::size_t Tunnel::write(std::span<const std::byte> data) {
    const std::size_t size = client_.write(data);
    if (size > 0) {
        last_sign_ = Clock::now();
    }
    return size;
}

void Tunnel::receive() {
    if (!may_receive()) {
        return;
    }
    exchange_.input = std::span<const std::byte>(input_).first(client_.read(input_));
    exchange_.input_ends = client_.has_ended();
    if (!exchange_.input.empty()) {
        last_sign_ = Clock::now();
    }
}

bool Tunnel::may_receive() const {
    return exchange_.is_taken && exchange_.input.empty() && !client_.has_ended() && !exchange_.has_ended;
}

bool Tunnel::may_go_on() const {
    const bool has_input = !exchange_.input.empty() || exchange_.input_ends;
    const bool has_room = exchange_.has_more && exchange_.output.empty();
    const bool is_awake = exchange_.wakes_at && *exchange_.wakes_at <= Clock::now();
    return !exchange_.has_ended && (!exchange_.waits || has_input || has_room || is_awake);
}

void Tunnel::wait() {
    Deadline until = std::min(end_, last_sign_ + limits_.max_idle_time);
    if (exchange_.wakes_at) {
        until = std::min(until, *exchange_.wakes_at);
    }
    client_.wait(may_receive(), !exchange_.output.empty(), until);
}

}  // namespace tinykvm::vmod
