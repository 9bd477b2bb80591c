// The key without which nobody may replace a program over HTTP.
//
// Thread safety: pure function.
#pragma once

#include <string_view>

namespace tinykvm::host {

// Is `given`, which a client sent, the configured key? Never when none is configured. How long that takes depends on
// the lengths alone, so it does not tell how much of a guess is right.
[[nodiscard]] bool is_update_key(std::string_view configured, std::string_view given);

}  // namespace tinykvm::host
