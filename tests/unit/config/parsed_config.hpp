// What becomes of the JSON of one program, for tests of settings.
#pragma once

#include <string>
#include <string_view>

#include "src/base/config_error.hpp"
#include "src/config/config_layer.hpp"

namespace tinykvm::host::test {

// What is wrong with a configuration, as ConfigError says it; "accepted" when nothing is.
inline std::string complaint(std::string_view json) {
    try {
        (void)ConfigLayer::parse("p", json);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "accepted";
}

// The defaults with what it sets. Throws ConfigError.
inline ProgramConfig parsed(std::string_view json) {
    ProgramConfig config;
    ConfigLayer::parse("p", json).apply(config);
    return config;
}

}  // namespace tinykvm::host::test
