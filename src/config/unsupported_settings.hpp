// Keys that are not settings of this version, and what becomes of them: configurations that were made for another one
// carry over as far as they ask for nothing that is not there.
//
// Owner: none, the tables are constant. Thread safety: any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

namespace tinykvm::host {

// Another name of a setting.
struct Alias {
    std::string_view name, key;
};
std::span<const Alias> aliases();

// A key of which only values are accepted that ask for nothing: what it is about does not exist in this version.
struct UnsupportedSetting {
    std::string_view key;
    std::string_view allowed;  // in words
    bool (*is_harmless)(const nlohmann::json& value);
};
std::span<const UnsupportedSetting> unsupported_settings();

// A key that may have any value, because none makes a difference here.
struct IgnoredSetting {
    std::string_view key;
    std::string_view why;
};
std::span<const IgnoredSetting> ignored_settings();

}  // namespace tinykvm::host
