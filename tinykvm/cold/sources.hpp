// Which sources this library was built from.
#pragma once

namespace tinykvm::cold {

// Differs when any source of tinykvm/ or src/ does. Made by sources.cmake.
extern const char* const source_digest;

}  // namespace tinykvm::cold
