// Two storages of a program that is replaced: the old one stands still while the new one takes over its state, and
// until the new program serves.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "src/vms/booted_program.hpp"
#include "src/vms/pool.hpp"
#include "src/vms/storage_vm.hpp"

namespace tinykvm::host {

class HandOver {
  public:
    using IsCancelled = std::function<bool()>;

    // Is there anything that the new storage of `to` takes over from that of `from`? Both have booted.
    static bool is_needed(const BootedProgram& from, const BootedProgram& to);

    // Keeps requests from `pool` (null: there is none), waits for those that run, at most max_request_time and half of
    // max_queue_time, holds the storage, and has the state handed over. Throws Failure (not_ready); all is as it was
    // then.
    HandOver(const BootedProgram& from, const BootedProgram& to, std::shared_ptr<Pool> pool,
             const IsCancelled& is_cancelled);
    // Lets all of them go on.
    ~HandOver();
    HandOver(const HandOver&) = delete;
    HandOver& operator=(const HandOver&) = delete;

    // How much that was.
    std::uint64_t bytes() const { return bytes_; }

  private:
    class HeldPool;
    class HeldStorage;

    const std::unique_ptr<HeldPool> held_pool_;
    const std::unique_ptr<HeldStorage> held_storage_;
    std::uint64_t bytes_ = 0;
};

}  // namespace tinykvm::host
