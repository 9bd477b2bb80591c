// The paths a program was refused, for its log. Each is logged once, and their number is limited.
//
// Each program has one. Its snapshot and all forks share it, as a program asks for the same files in every request.
// It is written for the operator, and nothing a guest can see depends on it.
//
// Thread safety: any number of threads.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "tinykvm/os/mutex.hpp"

namespace tinykvm::linux_abi {

class RefusedPaths {
  public:
    static constexpr std::size_t most = 64;

    enum class Told {
        before,    // it was logged before, or there were too many
        first,     // it is to be logged now
        too_many,  // it is to be logged, once, that further ones are not
    };
    Told note(const std::string& path);

  private:
    Mutex mutex_;
    std::set<std::string> paths_ TINYKVM_GUARDED_BY(mutex_);
    bool full_ TINYKVM_GUARDED_BY(mutex_) = false;
};

}  // namespace tinykvm::linux_abi
