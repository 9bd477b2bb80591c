// How a program with the protocol http is asked: an HTTP server, which gets the request on a connection and answers on
// it. The same for a request of a client in a fork, and for one that warms the program up in its machine.
//
// Thread safety: one thread at a time, that whose turn it is. Borrows everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/http/server_connection.hpp"
#include "src/vms/body_piece.hpp"
#include "src/vms/exchange.hpp"
#include "src/vms/protocol_call.hpp"
#include "tinykvm/callable.hpp"
#include "tinykvm/host_calls.hpp"

namespace tinykvm::host {

// Lets a server go on to where it waits for what its client does next.
void return_to_waiting(Callable& guest, HostCalls& calls, Deadline deadline);

class ServerCall final : public ProtocolCall {
  public:
    // `most_early`: bytes of an answer that the server may give before it has taken all of the request.
    ServerCall(Callable& guest, HostCalls& calls, ServerConnection& connection, const Request& request,
               std::size_t most_early)
        : guest_(guest), calls_(calls), connection_(connection), request_(request), most_early_(most_early) {}
    // The answer's body is gone with it.
    ~ServerCall() { connection_.finish(); }
    ServerCall(const ServerCall&) = delete;
    ServerCall& operator=(const ServerCall&) = delete;

    void begin() override;
    // Bodies go through in pieces.
    std::size_t body_room() const override { return SIZE_MAX; }
    bool append_body(std::span<const std::byte>& data) override { return piece_.append(data); }
    void start() override {}
    std::optional<Response> give_piece(Deadline deadline) override;
    Response expect_answer(Deadline deadline) override;
    std::optional<std::span<const std::byte>> host_body() const override;
    std::optional<std::span<const std::byte>> make_response_piece(Deadline deadline) override;

    // After an answer with the status 101: gives the server what the client has sent, and lets it go on until it waits
    // or the client does not take what it sends. Throws what a run throws.
    void exchange(Exchange& exchange, Deadline deadline);

    bool has_program_ended() const override { return has_program_ended_; }
    // Can expect_answer() be called once more, in another VM, after it has thrown? The server has not taken anything of
    // the request: what was wrong is left of the one before.
    bool may_ask_again() const;

  private:
    void send(bool is_last);
    std::string head(bool is_last) const;
    std::optional<Response> run(Deadline deadline);
    Stop go_on_delivering(const Exchange& exchange, Deadline deadline);
    void check_stop(const Stop& stop);
    ResponseParser::To answer_to() const;
    Response answer();
    void end_with_process(const Stop& stop);
    void refuse(int status, std::string why);
    void set_date(std::vector<std::string>& fields) const;

    Callable& guest_;
    HostCalls& calls_;
    ServerConnection& connection_;
    const Request& request_;
    const std::size_t most_early_;
    const std::time_t begun_ = std::time(nullptr);
    std::optional<Response> refusal_;  // instead of asking the server
    std::string refusal_text_;
    std::optional<std::uint64_t> announced_;  // bytes of the body, as the request says
    std::uint64_t sent_ = 0;                  // of it
    bool has_begun_ = false;                  // the head is sent
    bool in_chunks_ = false;                  // the body is
    bool is_whole_ = false;                   // all of it was there before the server ran
    bool has_program_ended_ = false;
    BodyPiece piece_;              // of the request's body, which the server has not been given
    std::vector<std::byte> body_;  // of the answer: all of it, or the last piece
};

}  // namespace tinykvm::host
