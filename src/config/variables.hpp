// $HOME and $PWD in the texts of a configuration.
//
// Thread safety: any thread, while none changes the environment of the process.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tinykvm::host {

// Replaces $HOME and $PWD in the texts of a value, also within lists and objects there, but not in keys and not in what
// is under "uri". They are the HOME of the environment and the working directory of this process. A longer name, such
// as $HOMEPAGE, is another one; "$$HOME" becomes "$HOME". Says why one cannot be replaced; empty when all are.
std::string replace_variables(nlohmann::json& value);

}  // namespace tinykvm::host
