// Sees things to their end that no request should have to wait for: a boot that was called off, VMs that are still in
// use when their program is replaced. Its thread exists only while there are such things.
//
// Thread safety: any thread, except the destructor.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tinykvm/types.hpp"

namespace tinykvm::host {

class Reaper {
  public:
    explicit Reaper(std::string name);  // of its thread
    // Does not wait: what has not ended yet is still seen to its end.
    ~Reaper() = default;
    Reaper(const Reaper&) = delete;
    Reaper& operator=(const Reaper&) = delete;

    // `has_ended` is called now and then until it returns true, and is then destroyed. It must not block nor throw.
    void watch(std::function<bool()> has_ended);
    // Waits until everything has come to its end. False when that took too long.
    bool wait(Deadline until);

  private:
    struct Watched;
    const std::string name_;
    const std::shared_ptr<Watched> watched_;  // shared with its thread
};

}  // namespace tinykvm::host
