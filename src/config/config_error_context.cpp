#include "src/config/config_error_context.hpp"

#include <nlohmann/json.hpp>

#include "src/base/config_error.hpp"
#include "src/base/guest_text.hpp"
#include "src/config/setting_kinds.hpp"

namespace tinykvm::host {

using nlohmann::json;

ConfigErrorContext::ConfigErrorContext(std::string_view name)
    : subject_("configuration of \"" + printable(name, 80) + "\": ") {}

void ConfigErrorContext::about_text(const std::string& what) const { throw ConfigError(subject_ + what); }

void ConfigErrorContext::about_key(std::string_view key, const std::string& what) const {
    about_text("key \"" + printable(key, 80) + "\": " + what);
}

void ConfigErrorContext::about_value(const Setting& setting, const json& value, const std::string& reason) const {
    about_key(setting.key, "value " + printable(value.dump(-1, ' ', false, json::error_handler_t::replace), 100) +
                               (reason.empty() ? "" : ": " + reason) + "; allowed is " + allowed_values(setting));
}

}  // namespace tinykvm::host
