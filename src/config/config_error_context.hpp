// What a mistake in a configuration is about, for the message that says it: the program or group, the key, the value.
//
// Thread safety: constant after construction.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "src/config/settings.hpp"

namespace tinykvm::host {

class ConfigErrorContext {
  public:
    // A library as a whole: whatever loads it says its name.
    ConfigErrorContext() = default;
    // The object of a program or group, whose name begins the message.
    explicit ConfigErrorContext(std::string_view name);

    // Throw ConfigError.
    [[noreturn]] void about_text(const std::string& what) const;
    [[noreturn]] void about_key(std::string_view key, const std::string& what) const;
    // With what is allowed, and with a reason unless that says it all.
    [[noreturn]] void about_value(const Setting& setting, const nlohmann::json& value,
                                  const std::string& reason = {}) const;

  private:
    std::string subject_;  // what messages begin with
};

}  // namespace tinykvm::host
