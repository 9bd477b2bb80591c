// The table of everything that can be configured. Parsing, error messages and docs/configuration.md are made from it: a
// key that is not in it does not exist, and a new setting is one row.
//
// Owner: none, the table is constant. Thread safety: any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/config/config.hpp"

namespace tinykvm::host {

struct Setting {
    // What a value looks like in JSON. setting_kinds.cpp says what each allows.
    enum class Kind {
        boolean,
        count,
        seconds,
        mebibytes,
        boolean_or_mebibytes,
        boolean_or_path,
        text,
        path,
        uri,
        checksum,
        texts,
        paths,
        hosts,
        downloads,
        choice_or_microseconds,
        choice_or_count,
        choices,
        object,
        ranges
    };
    // Bounds of a number, in the unit of the kind, or of the length of a text, in bytes.
    struct Range {
        double least = 0, most = 0;
    };
    // Stores a value that is of the right kind; returns what else is wrong with it; empty when nothing is.
    using Reader = std::string (*)(const nlohmann::json& value, ProgramConfig& config);
    // Where the value goes. A setting that is more than one plain value has a reader instead.
    using Member =
        std::variant<bool ProgramConfig::*, unsigned ProgramConfig::*, std::size_t ProgramConfig::*,
                     std::chrono::microseconds ProgramConfig::*, std::string ProgramConfig::*, std::string Checksums::*,
                     std::vector<std::string> ProgramConfig::*, std::vector<GuestRange> ProgramConfig::*, Reader>;

    std::string_view key;
    Kind kind = Kind::object;
    Member member = Reader{};
    Range range = {};
    std::string_view fallback = {};  // the default, as JSON; empty: there is none
    std::string_view allowed = {};   // in words, for kinds that do not say it themselves
    bool has_variables = false;      // $HOME and $PWD in its texts are replaced
    std::string_view meaning = {};   // Markdown
};

// All settings, in the order of the page.
std::span<const Setting> settings();

// The configuration page, Markdown.
std::string configuration_page();

}  // namespace tinykvm::host
