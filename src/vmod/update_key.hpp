// Who may replace a program.
#pragma once

#include <string_view>

namespace tinykvm::host {

// Is `given` the configured key? Never when none is configured. How long that takes
// depends on lengths alone, so it does not tell how much of a guess is right.
bool is_update_key(std::string_view configured, std::string_view given);

}  // namespace tinykvm::host
