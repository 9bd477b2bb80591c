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
    // For a library as a whole; the code that loads it adds its name.
    ConfigErrorContext() = default;
    // For the object of a program or group, whose name begins the message.
    explicit ConfigErrorContext(std::string_view name);

    // Throw ConfigError.
    [[noreturn]] void about_text(const std::string& what) const;
    [[noreturn]] void about_key(std::string_view key, const std::string& what) const;
    // The message also says what is allowed, and the reason when there is one.
    [[noreturn]] void about_value(const Setting& setting, const nlohmann::json& value,
                                  const std::string& reason = {}) const;

  private:
    std::string subject_;  // what messages begin with
};

}  // namespace tinykvm::host
