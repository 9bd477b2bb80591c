// The snapshot of a program in a file (`cold_start_file`): saved after a boot, loaded instead of the next one.
//
// Thread safety: functions without state; any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "src/config/config.hpp"
#include "src/vms/booted_program.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {

// Why a program with this configuration has no file; empty: it has one, or none is wanted.
std::string why_no_cold_start(const ProgramConfig& config);

// The program from its file. Null: it has to be booted; if there is a file nevertheless, `log` is told why it is of no
// use. `options`: those it boots with.
std::shared_ptr<const BootedProgram> load_cold_start(const std::string& name, const ProgramConfig& config,
                                                     const std::shared_ptr<const Program>& binary,
                                                     const Options& options, const GuestServices& services,
                                                     const std::function<void(std::string_view)>& log);

// Saves a program that has booted. `log` is told how that ended.
void save_cold_start(const BootedProgram& program, const std::function<void(std::string_view)>& log);

}  // namespace tinykvm::host
