// The table of everything that can be configured. Parsing, error messages and docs/configuration.md are made
// from it; a key that is not in it does not exist.
//
// Thread safety: constant.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "src/config/config.hpp"

namespace tinykvm::host {

struct Setting {
    enum class Kind {
        boolean,
        integer,
        seconds,
        mebibytes,
        boolean_or_mebibytes,
        text,
        texts,
        paths,
        hosts,
        downloads,
        choice,
        choice_or_microseconds,
        choices,
        object,
        ranges
    };

    std::string_view key;
    Kind kind;
    double least, most;         // of numbers, in the unit of the kind; of texts: bytes
    std::string_view fallback;  // the default, as JSON
    std::string_view allowed;   // values of a choice, texts of a special form or what an object is, in words
    std::string_view meaning;
    // Stores a value that has the right kind and range; says what else is wrong with it, or nothing.
    std::string (*store)(ProgramConfig& config, const nlohmann::json& value);
    bool has_variables = false;  // $HOME and $PWD in its texts are replaced
};

std::span<const Setting> settings();

// Keys the interface has but this version does not. Values that ask for nothing are accepted, so that configurations
// made for it carry over.
struct LaterSetting {
    std::string_view key;
    std::string_view allowed;  // in words
    bool (*asks_for_nothing)(const nlohmann::json& value);
};
std::span<const LaterSetting> later_settings();

// Other names of settings.
struct Alias {
    std::string_view name, key;
};
std::span<const Alias> aliases();

// Keys that may have any value: none would make a difference here.
struct IgnoredSetting {
    std::string_view key;
    std::string_view why;
};
std::span<const IgnoredSetting> ignored_settings();

// "a whole number from 1 to 255", for messages and the page.
std::string allowed_values(const Setting& setting);
// "MiB", "s" or nothing.
std::string_view unit(const Setting& setting);

// The configuration page, Markdown.
std::string configuration_page();

}  // namespace tinykvm::host
