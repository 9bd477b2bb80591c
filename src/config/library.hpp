// A library: a document of programs and groups, {"name": {settings...}, ...}, read from where a URI says.
//
// Thread safety: any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "src/config/config_layer.hpp"

namespace tinykvm::host {

// A VCL is loaded meanwhile: well below what varnishd waits for that (cli_timeout, 60 s unless changed).
inline constexpr auto max_library_time = std::chrono::seconds(20);
inline constexpr std::size_t max_library_bytes = std::size_t{1} << 20;

// Reads, and checks all but what the definitions say about each other. Throws ConfigError, which does not name the
// library, or Failure, which does.
std::map<std::string, ConfigLayer, std::less<>> read_library(const std::string& uri);

}  // namespace tinykvm::host
