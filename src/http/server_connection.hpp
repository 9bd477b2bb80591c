// The connection to an HTTP server in a guest: what a request sends goes in, and the answer comes out, taken apart. It
// stays from request to request when the server keeps it and the VM is not reset.
//
// Thread safety: one thread at a time, that which runs the guest or has its turn. One object per VM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/http/response_parser.hpp"
#include "tinykvm/client.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

class ServerConnection final : public Client {
  public:
    // Bytes of an answer's body after which the guest pauses until they are taken.
    static constexpr std::size_t piece_size = std::size_t{256} << 10;

    // --- A request
    // Begins one, on the connection that there is if possible. `head` is sent first. An answer that comes before the
    // request is given is kept, if its body has at most `most_early` bytes.
    void begin(std::string head, ResponseParser::To what, std::size_t most_early);
    // Sends more, after all before was taken: `data`, which is borrowed until then, as a chunk (RFC 9112, 7.1) or as it
    // is. `is_last`: nothing follows.
    void give(std::span<const std::byte> data, bool as_chunk, bool is_last);
    // What was given last is a copy elsewhere now, which is borrowed instead.
    void move_data(std::span<const std::byte> data) { data_left_ = data.last(data_left_.size()); }
    // Has the server taken all that was given?
    bool is_taken() const { return before_left_.empty() && data_left_.empty() && after_left_.empty(); }
    // Has the server taken nothing of the request?
    bool is_untouched() const { return before_left_.size() == before_.size(); }
    // Was the end of the request given?
    bool is_given() const { return !more_to_give_; }
    // The answer, or what there is of it.
    ResponseParser& answer() { return answer_; }
    // What has come of its body since this was called before, in exchange for an empty buffer.
    void take_body(std::vector<std::byte>& buffer);
    // The server closed a connection that earlier requests had used, before it said anything: the request may be sent
    // again on a new one.
    bool was_dropped() const { return was_dropped_; }
    // The request is over. Its answer is gone, and what the server still sends is not for the next one.
    void finish();
    // Connects without a request yet, if there is no connection that earlier ones have left open.
    void open();
    // The number of the connection that the next request could be sent on; 0: there is none.
    std::uint64_t kept() const { return is_open() ? connection_ : 0; }
    // The VM is another one now, whose server has accepted the connection of that number and waits for its next
    // request; 0: it has none.
    void adopt(std::uint64_t connection);
    // Numbers of connections, and of their changes, are given out in this process: the last one so far. And from now on
    // only such above `number`, which another process has given out for what is now here.
    static std::uint64_t last_number();
    static void continue_numbers_after(std::uint64_t number);

    // --- After a 101, when the body of the answer is what the server sends from then on
    // Sends what the client does, after all before was taken: `data`, which is borrowed until then. `is_last`: the
    // server sees the end of the connection after it.
    void send(std::span<const std::byte> data, bool is_last);
    // Takes as many of these bytes as it can now, from the front, and says how many that were.
    using Taker = std::function<std::size_t(std::span<const std::byte>)>;
    // The taker, which is borrowed, gets what the server sends at once, unless something is left from before; without
    // one (null) the run stops when the server has sent something.
    void deliver_to(const Taker* taker) { taker_ = taker; }
    // How many bytes the server has sent since this was called before.
    std::size_t take_count() { return std::exchange(count_, 0); }

    // --- Client
    std::optional<std::span<const std::byte>> next() const override;
    void take(std::size_t bytes) override;
    std::uint64_t connection() const override { return connection_; }
    bool is_accepted() const override { return is_accepted_; }
    void accept() override { is_accepted_ = true; }
    std::size_t room() const override;
    void write(std::span<const std::byte> data) override;
    void end_output() override;
    std::uint64_t changes() const override { return changes_; }
    bool wants_turn() const override;
    bool may_wait() const override;
    bool may_sleep() const override { return is_upgraded(); }

  private:
    // Can a request be sent on it?
    bool is_open() const;
    // Is it one of bytes now, in both directions?
    bool is_upgraded() const { return is_active_ && answer_.is_upgraded(); }
    void connect();
    void close();
    void drop_request();

    std::uint64_t connection_ = 0, changes_ = 0;
    bool is_accepted_ = false;
    bool has_ended_ = false;   // the server sends no more
    bool is_adopted_ = false;  // it stands as it stood when the VM was frozen
    bool was_used_ = false;    // by what was before this request, of which the server has taken nothing
    bool was_dropped_ = false;
    bool is_out_of_step_ = false;  // the server sent something that no request asked for; that is dropped
    bool is_active_ = false;       // between begin() and finish()
    bool more_to_give_ = false;    // of the request
    bool ends_input_ = false;      // nothing comes after what was given last
    // What the server has not taken of what was given last: data with a frame around it.
    std::size_t most_early_ = 0;
    std::string before_, after_;
    std::span<const std::byte> before_left_, data_left_, after_left_;
    ResponseParser answer_;
    const Taker* taker_ = nullptr;
    std::size_t count_ = 0;
    Clock::time_point used_at_{};
};

}  // namespace tinykvm::host
