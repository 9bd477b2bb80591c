// How a program with the protocol stdio is asked: a Unix filter, which gets the body of the request as its standard
// input and whose standard output is the answer once it has ended with a status that means one.
//
// Thread safety: one thread at a time, that whose turn it is. Borrows everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/vms/body_piece.hpp"
#include "src/vms/program_fork.hpp"
#include "src/vms/protocol_call.hpp"
#include "tinykvm/callable.hpp"

namespace tinykvm::host {

class FilterCall final : public ProtocolCall {
  public:
    FilterCall(Callable& guest, ProgramFork& fork, const Request& request)
        : guest_(guest), fork_(fork), request_(request) {}
    // The answer's body is gone with it.
    ~FilterCall() { fork_.streams().clear(); }
    FilterCall(const FilterCall&) = delete;
    FilterCall& operator=(const FilterCall&) = delete;

    void begin() override;
    // Bodies go through in pieces.
    std::size_t body_room() const override;
    bool append_body(std::span<const std::byte>& data) override;
    void start() override {}
    std::optional<Response> give_piece(Deadline deadline) override;
    Response expect_answer(Deadline deadline) override;
    std::optional<std::span<const std::byte>> host_body() const override;

  private:
    void write_argument(const BootedProgram::ArgumentPlace& place);
    void write_environment(std::size_t body_size);
    void write(GuestAddr to, const void* from, std::size_t size);
    void refuse(int status, const std::string& why);
    std::optional<Response> give_input(Deadline deadline);
    std::optional<Response> run(Deadline deadline);
    // A CGI program is told how long the body is before it reads any of it, so one of unknown length is kept until it
    // has ended.
    bool keeps_whole_body() const { return fork_.program().config.cgi && !announced_; }
    bool writes_input_file() const { return !fork_.program().config.input.empty(); }
    void append_to_input_file();
    void take_output_file(bool required);
    Response answer_of(int exit_status);
    Response cgi_answer(int status);

    Callable& guest_;
    ProgramFork& fork_;
    const Request& request_;
    std::optional<Response> refusal_;         // instead of asking the program
    BodyPiece piece_;                         // of the body, which the guest has not been given
    std::optional<std::uint64_t> announced_;  // bytes of the body, as the request says
    bool has_body_ended_ = false, has_environment_ = false;
    std::size_t head_size_ = 0;  // bytes of the output that are not the body of the answer
};

}  // namespace tinykvm::host
