// One ordinary program, run natively and in a guest.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tinykvm/program.hpp"
#include "tinykvm/statistics.hpp"

namespace tinykvm::bench {

class TwoWorlds {
  public:
    // A dynamically linked program sees the system's libraries and its own file; each sees what is `readable`.
    explicit TwoWorlds(std::string path, std::vector<std::string> readable = {});

    // What it writes to its standard output. Throw MachineError when it does not end with status 0.
    std::string natively(const std::vector<std::string>& arguments) const;
    // `counts`: what happened in the guest, unless null.
    std::string in_guest(const std::vector<std::string>& arguments, Statistics* counts = nullptr,
                         unsigned cpus = 1) const;

  private:
    std::string path_;
    std::vector<std::string> readable_;
    std::shared_ptr<const Program> program_;
};

}  // namespace tinykvm::bench
