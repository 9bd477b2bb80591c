// Carries the bytes between a client and a program after an answer with the status 101, in both directions and as they
// come, until one of them ends it or its time is over. Neither can have more than a few hundred KiB on its way: who
// does not take what is sent to it is not read from either, as far as the other waits for that.
//
// Thread safety: the thread of the request. Borrows everything.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/config/config.hpp"
#include "src/vmod/client_socket.hpp"
#include "src/vms/exchange.hpp"
#include "src/vms/request_vm.hpp"

namespace tinykvm::vmod {

class Tunnel {
  public:
    // `after_step` is called each time the program has run.
    Tunnel(ClientSocket& client, host::RequestVm& vm, const host::ProgramConfig& limits,
           std::function<void()> after_step);

    // Returns why it has ended. Throws host::Failure when the program has failed.
    std::string run();

  private:
    void send();
    std::size_t pass_on(std::span<const std::byte> data);
    std::size_t write(std::span<const std::byte> data);
    void receive();
    bool may_receive() const;
    bool may_go_on() const;
    void wait();

    ClientSocket& client_;
    host::RequestVm& vm_;
    const host::ProgramConfig& limits_;
    const std::function<void()> after_step_;
    const host::IsClientGone gone_;
    const Deadline end_;
    Clock::time_point last_sign_ = Clock::now();  // of life, in either direction
    host::Exchange exchange_;
    std::size_t sent_ = 0;  // of its output
    std::vector<std::byte> input_;
};

}  // namespace tinykvm::vmod
