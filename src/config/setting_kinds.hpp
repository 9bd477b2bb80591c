// The kinds of settings: which values each allows, how that is said, and how a value becomes a member of ProgramConfig.
//
// Thread safety: pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "src/config/settings.hpp"

namespace tinykvm::host {

// Is the value of the setting's kind, and within its range?
bool is_allowed(const Setting& setting, const nlohmann::json& value);

// Stores a value that is allowed. Returns what else is wrong with it; empty when nothing is.
std::string store(const Setting& setting, const nlohmann::json& value, ProgramConfig& config);

// "a whole number from 1 to 255", for messages and the page.
std::string allowed_values(const Setting& setting);

// "MiB", "s", "us" or nothing.
std::string_view unit(const Setting& setting);

// Can values of the kind be stored in the member?
constexpr bool member_fits_kind(const Setting& setting) {
    const Setting::Member& member = setting.member;
    switch (setting.kind) {
        case Setting::Kind::boolean:
            return std::holds_alternative<bool ProgramConfig::*>(member) ||
                   std::holds_alternative<Setting::Reader>(member);
        case Setting::Kind::count: return std::holds_alternative<unsigned ProgramConfig::*>(member);
        case Setting::Kind::mebibytes: return std::holds_alternative<std::size_t ProgramConfig::*>(member);
        case Setting::Kind::seconds: return std::holds_alternative<std::chrono::microseconds ProgramConfig::*>(member);
        case Setting::Kind::text:
            return std::holds_alternative<std::string ProgramConfig::*>(member) ||
                   std::holds_alternative<Setting::Reader>(member);
        case Setting::Kind::path:
        case Setting::Kind::uri: return std::holds_alternative<std::string ProgramConfig::*>(member);
        case Setting::Kind::checksum: return std::holds_alternative<std::string Checksums::*>(member);
        case Setting::Kind::texts:
            return std::holds_alternative<std::vector<std::string> ProgramConfig::*>(member) ||
                   std::holds_alternative<Setting::Reader>(member);
        case Setting::Kind::ranges: return std::holds_alternative<std::vector<GuestRange> ProgramConfig::*>(member);
        case Setting::Kind::boolean_or_mebibytes:
        case Setting::Kind::boolean_or_path:
        case Setting::Kind::paths:
        case Setting::Kind::hosts:
        case Setting::Kind::downloads:
        case Setting::Kind::choice_or_microseconds:
        case Setting::Kind::choice_or_count:
        case Setting::Kind::choices:
        case Setting::Kind::object: return std::holds_alternative<Setting::Reader>(member);
    }
    return false;
}

}  // namespace tinykvm::host
