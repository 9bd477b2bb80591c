#include "src/config/config_layer.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/base/config_error.hpp"
#include "src/base/guest_text.hpp"
#include "src/config/config_error_context.hpp"
#include "src/config/json_text.hpp"
#include "src/config/setting_kinds.hpp"
#include "src/config/settings.hpp"
#include "src/config/unsupported_settings.hpp"
#include "src/config/variables.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

// How many letters must change to make one word the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++) {
        row[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t changed = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
            diagonal = row[j];
            row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

std::string did_you_mean(std::string_view key) {
    if (key.size() > 64) {
        return {};
    }
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(2, key.size() / 3) + 1;
    const auto consider = [&](std::string_view known) {
        const bool begins_so = key.size() >= 3 && known.starts_with(key);
        if (const std::size_t d = begins_so ? 1 : distance(key, known); d < best_distance) {
            best = known;
            best_distance = d;
        }
    };
    for (const Setting& setting : settings()) {
        consider(setting.key);
    }
    for (const Alias& alias : aliases()) {
        consider(alias.name);
    }
    return best.empty() ? std::string() : "; did you mean \"" + std::string(best) + "\"?";
}

// The setting a key of `object` is a name of, or the key itself.
std::string_view resolve_alias(const std::string& key, const json& object, const ConfigErrorContext& context) {
    for (const Alias& alias : aliases()) {
        if (alias.name != key) {
            continue;
        }
        if (object.contains(alias.key)) {
            context.about_key(key, "is another name of \"" + std::string(alias.key) + "\", which is there, too");
        }
        return alias.key;
    }
    return key;
}

// A key that is not among the settings: returns when its value asks for nothing that is not there, and throws
// ConfigError otherwise.
void check_unavailable(std::string_view key, const json& value, const ConfigErrorContext& context) {
    for (const IgnoredSetting& ignored : ignored_settings()) {
        if (ignored.key == key) {
            return;
        }
    }
    for (const UnsupportedSetting& unsupported : unsupported_settings()) {
        if (unsupported.key != key) {
            continue;
        }
        if (!unsupported.is_harmless(value)) {
            context.about_key(key, "is not available in this version; allowed is " + std::string(unsupported.allowed));
        }
        return;
    }
    context.about_key(key, "is unknown" + did_you_mean(key));
}

bool has_zero(const json& value) {
    return value.is_string() && value.get_ref<const std::string&>().find('\0') != std::string::npos;
}

bool has_zero_in(const json& value) {
    return has_zero(value) || (value.is_array() && std::any_of(value.begin(), value.end(), has_zero));
}

}  // namespace

ConfigLayer ConfigLayer::parse(std::string_view name, std::string_view text) {
    const ConfigErrorContext context(name);
    ConfigLayer layer = from(name, parse_json(text, context, [&](const std::string& key, const std::string&) {
                                 context.about_key(key, "is there twice");
                             }));
    if (!layer.mistake_.empty()) {
        throw ConfigError(layer.mistake_);
    }
    return layer;
}

ConfigLayer ConfigLayer::from(std::string_view name, const json& object) {
    ConfigLayer layer;
    const auto attempt = [&layer](const auto& step) {
        try {
            step();
        } catch (const ConfigError& error) {
            if (layer.mistake_.empty()) {
                layer.mistake_ = error.what();
            }
        }
    };
    if (!object.is_object()) {
        attempt([&] { ConfigErrorContext(name).about_text("it must be a JSON object, {...}"); });
        layer.defines_program_ = true;  // nothing says that it is a group
        return layer;
    }
    for (const auto& [key, value] : object.items()) {
        layer.defines_program_ |= key == "filename" || key == "uri";
        attempt([&, &key = key, &value = value] {
            layer.take(name, resolve_alias(key, object, ConfigErrorContext(name)), value);
        });
    }
    return layer;
}

void ConfigLayer::take(std::string_view name, std::string_view key, json value) {
    const ConfigErrorContext context(name);
    const auto all = settings();
    const auto setting = std::find_if(all.begin(), all.end(), [&](const Setting& one) { return one.key == key; });
    if (setting == all.end()) {
        check_unavailable(key, value, context);
        return;
    }
    if (const std::string problem = setting->has_variables ? replace_variables(value) : ""; !problem.empty()) {
        context.about_value(*setting, value, problem);
    }
    if (!is_allowed(*setting, value)) {
        context.about_value(*setting, value);
    }
    if (has_zero_in(value)) {
        context.about_value(*setting, value, "it contains a zero byte");
    }
    ProgramConfig scratch;
    if (const std::string problem = store(*setting, value, scratch); !problem.empty()) {
        context.about_value(*setting, value, problem);
    }
    if (key == "group") {
        group_ = scratch.group;
    }
    assignments_.emplace_back([&setting = *setting, value = std::move(value)](ProgramConfig& config) {
        (void)store(setting, value, config);
    });
}

std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view text) {
    const ConfigErrorContext context;
    std::map<std::string, std::string> mistakes;  // that can only be noticed while the text is read
    const json library = parse_json(text, context, [&](const std::string& key, const std::string& program) {
        if (program.empty()) {
            context.about_text("\"" + printable(key, 80) + "\" is there twice");
        }
        try {
            ConfigErrorContext(program).about_key(key, "is there twice");
        } catch (const ConfigError& error) {
            mistakes.emplace(program, error.what());
        }
    });
    if (!library.is_object()) {
        context.about_text("it must be a JSON object of programs and groups, {\"name\": {...}, ...}");
    }
    std::map<std::string, ConfigLayer, std::less<>> layers;
    for (const auto& [name, object] : library.items()) {
        layers.emplace(name, ConfigLayer::from(name, object));
    }
    for (auto& [name, mistake] : mistakes) {
        layers[name].mistake_ = std::move(mistake);
    }
    return layers;
}

void ConfigLayer::apply(ProgramConfig& config) const {
    for (const auto& assignment : assignments_) {
        assignment(config);
    }
}

void ConfigLayer::add(ConfigLayer newer) {
    std::move(newer.assignments_.begin(), newer.assignments_.end(), std::back_inserter(assignments_));
    defines_program_ |= newer.defines_program_;
    if (!newer.group_.empty()) {
        group_ = std::move(newer.group_);
    }
    if (mistake_.empty()) {
        mistake_ = std::move(newer.mistake_);
    }
}

}  // namespace tinykvm::host
