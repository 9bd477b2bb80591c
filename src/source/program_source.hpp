// Obtains a program that can be loaded from where its configuration says: it is fetched, kept, checked and unpacked.
//
// Thread safety: any thread. Takes as long as the network does: not for threads that serve requests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/config/config.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {

// The program, after everything in `download` is there. With a cold_start_file the program may be one that is not read
// yet (Program::read). `log` gets what happened, `cancelled` (may be null) is asked at least every 100 ms while
// something is fetched. Fetching takes at most max_boot_time, reading and unpacking as much again. Throws Failure or
// LoadError with the reason; what runs always has the expected checksums.
std::shared_ptr<const Program> obtain_program(const std::string& name, const ProgramConfig& config,
                                              const std::function<void(std::string_view)>& log,
                                              const std::function<bool()>& cancelled);

}  // namespace tinykvm::host
