#include "src/config/config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "src/base/guest_text.hpp"
#include "src/config/settings.hpp"
#include "src/config/variables.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;
using Kind = Setting::Kind;

// Everything said about one object begins with whose it is. What is said about a library as a whole does not: whoever
// loads it knows its name.
class Complaint {
  public:
    Complaint() = default;
    explicit Complaint(std::string_view name) : whose_("configuration of \"" + printable(name, 80) + "\": ") {}

    [[noreturn]] void about_text(const std::string& what) const { throw ConfigError(whose_ + what); }
    [[noreturn]] void about_key(std::string_view key, const std::string& what) const {
        about_text("key \"" + printable(key, 80) + "\": " + what);
    }
    [[noreturn]] void about_value(const Setting& setting, const json& value, const std::string& what = {}) const {
        about_key(setting.key, "value " + printable(value.dump(-1, ' ', false, json::error_handler_t::replace), 100) +
                                   (what.empty() ? "" : ": " + what) + "; allowed is " + allowed_values(setting));
    }

  private:
    std::string whose_;
};

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
std::string_view resolve_alias(const std::string& key, const json& object, const Complaint& complaint) {
    for (const Alias& alias : aliases()) {
        if (alias.name != key) {
            continue;
        }
        if (object.contains(alias.key)) {
            complaint.about_key(key, "is another name of \"" + std::string(alias.key) + "\", which is there, too");
        }
        return alias.key;
    }
    return key;
}

// A key that is not among the settings: returns when its value asks for nothing that is not there.
void check_unavailable(std::string_view key, const json& value, const Complaint& complaint) {
    for (const IgnoredSetting& ignored : ignored_settings()) {
        if (ignored.key == key) {
            return;
        }
    }
    for (const LaterSetting& later : later_settings()) {
        if (later.key != key) {
            continue;
        }
        if (!later.asks_for_nothing(value)) {
            complaint.about_key(key, "is not available in this version; allowed is " + std::string(later.allowed));
        }
        return;
    }
    complaint.about_key(key, "is unknown" + did_you_mean(key));
}

bool fits_text(const Setting& setting, const json& value) {
    return value.is_string() && value.get_ref<const std::string&>().size() <= setting.most;
}

bool fits_download(const Setting& setting, const json& value) {
    if (!value.is_object() || !value.contains("uri") || !value.contains("filepath")) {
        return false;
    }
    for (const auto& [key, part] : value.items()) {
        const bool is_known = key == "uri" || key == "filepath" || key == "sha256" || key == "md5";
        if (!is_known || !fits_text(setting, part)) {
            return false;
        }
    }
    return true;
}

bool has_zero(const json& value) {
    return value.is_string() && value.get_ref<const std::string&>().find('\0') != std::string::npos;
}

bool in_range(const Setting& setting, const json& value) {
    return value.get<double>() >= setting.least && value.get<double>() <= setting.most;
}

void check(const Setting& setting, const json& value, const Complaint& complaint) {
    bool fits = false;
    switch (setting.kind) {
        case Kind::boolean: fits = value.is_boolean(); break;
        case Kind::integer:
        case Kind::mebibytes: fits = value.is_number_integer() && in_range(setting, value); break;
        case Kind::boolean_or_mebibytes:
            fits = value.is_boolean() || (value.is_number_integer() && in_range(setting, value));
            break;
        case Kind::seconds: fits = value.is_number() && in_range(setting, value); break;
        case Kind::text:
            fits = fits_text(setting, value) &&
                   static_cast<double>(value.get_ref<const std::string&>().size()) >= setting.least;
            break;
        case Kind::choice: fits = value.is_string(); break;
        case Kind::choices:
            fits = value.is_string() ||
                   (value.is_array() &&
                    std::all_of(value.begin(), value.end(), [](const json& one) { return one.is_string(); }));
            break;
        case Kind::choice_or_microseconds:
            fits = value.is_string() || (value.is_number_integer() && in_range(setting, value));
            break;
        case Kind::ranges: fits = value.is_object() || value.is_array(); break;
        case Kind::object: fits = value.is_object(); break;
        case Kind::texts:
            fits = value.is_array() &&
                   std::all_of(value.begin(), value.end(), [&](const json& one) { return fits_text(setting, one); });
            break;
        case Kind::hosts:
        case Kind::paths:
            fits = value.is_array() && std::all_of(value.begin(), value.end(), [&](const json& one) {
                       return fits_text(setting, one) || one.is_object();
                   });
            break;
        case Kind::downloads:
            fits = value.is_array() && std::all_of(value.begin(), value.end(),
                                                   [&](const json& one) { return fits_download(setting, one); });
            break;
    }
    if (!fits) {
        complaint.about_value(setting, value);
    }
    if (has_zero(value) ||
        (value.is_array() && std::any_of(value.begin(), value.end(), [](const json& one) { return has_zero(one); }))) {
        complaint.about_value(setting, value, "it contains a zero byte");
    }
}

// No setting needs more; copying and printing a value are recursive, on a server's stack.
constexpr int max_depth = 32;

// 64.0 is a whole number, wherever one is wanted; what is larger than these has no exact value.
void make_whole(json& value) {
    constexpr double most_exact = std::uint64_t{1} << 53;
    if (!value.is_number_float()) {
        return;
    }
    const double number = value.get<double>();
    if (std::trunc(number) != number || std::abs(number) > most_exact) {
        return;
    }
    if (number < 0) {
        value = static_cast<std::int64_t>(number);
    } else {
        value = static_cast<std::uint64_t>(number);
    }
}

// Looks at a text while it is parsed. Keeps the keys of every object that is open, because json itself lets the last of
// several win.
class TextCheck {
  public:
    // Told the key, and the outermost key above it (empty: there is none).
    using Report = std::function<void(const std::string& key, const std::string& outermost)>;
    TextCheck(const Complaint& complaint, Report report) : complaint_(complaint), report_(std::move(report)) {}

    bool operator()(int depth, json::parse_event_t event, json& parsed) {
        const bool is_object = event == json::parse_event_t::object_start;
        if (depth >= max_depth && (is_object || event == json::parse_event_t::array_start)) {
            complaint_.about_text("objects and lists are more than " + std::to_string(max_depth) + " deep");
        }
        if (event == json::parse_event_t::value) {
            make_whole(parsed);
        } else if (is_object) {
            open_.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
            open_.pop_back();
        } else if (event == json::parse_event_t::key) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (open_.size() == 1) {
                outermost_ = key;
            }
            if (!open_.empty() && !open_.back().insert(key).second) {
                report_(key, open_.size() == 1 ? std::string() : outermost_);
            }
        }
        return true;
    }

  private:
    const Complaint& complaint_;
    const Report report_;
    std::vector<std::set<std::string>> open_;
    std::string outermost_;
};

json parse_json(std::string_view text, const Complaint& complaint, const TextCheck::Report& duplicate) {
    try {
        return json::parse(text, TextCheck(complaint, duplicate), true, true);
    } catch (const json::exception& error) {
        // Behind "[json.exception.parse_error.101] " the library says where and what.
        std::string_view what = error.what();
        if (const std::size_t end = what.find("] "); end != std::string_view::npos) {
            what.remove_prefix(end + 2);
        }
        complaint.about_text("it is not JSON: " + printable(what, 300));
    }
}

}  // namespace

ConfigLayer ConfigLayer::parse(std::string_view name, std::string_view text) {
    const Complaint complaint(name);
    ConfigLayer layer = from(name, parse_json(text, complaint, [&](const std::string& key, const std::string&) {
                                 complaint.about_key(key, "is there twice");
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
        attempt([&] { Complaint(name).about_text("it must be a JSON object, {...}"); });
        layer.defines_program_ = true;  // nothing says that it is a group
        return layer;
    }
    for (const auto& [key, value] : object.items()) {
        layer.defines_program_ |= key == "filename" || key == "uri";
        attempt(
            [&, &key = key, &value = value] { layer.take(name, resolve_alias(key, object, Complaint(name)), value); });
    }
    return layer;
}

// Throws ConfigError.
void ConfigLayer::take(std::string_view name, std::string_view key, json value) {
    const Complaint complaint(name);
    const auto all = settings();
    const auto setting = std::find_if(all.begin(), all.end(), [&](const Setting& one) { return one.key == key; });
    if (setting == all.end()) {
        check_unavailable(key, value, complaint);
        return;
    }
    if (const std::string problem = setting->has_variables ? replace_variables(value) : ""; !problem.empty()) {
        complaint.about_value(*setting, value, problem);
    }
    check(*setting, value, complaint);
    ProgramConfig scratch;
    if (const std::string problem = setting->store(scratch, value); !problem.empty()) {
        complaint.about_value(*setting, value, problem);
    }
    if (key == "group") {
        group_ = scratch.group;
    }
    assignments_.emplace_back(
        [store = setting->store, value = std::move(value)](ProgramConfig& config) { store(config, value); });
}

std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view text) {
    const Complaint complaint;
    std::map<std::string, std::string> mistakes;  // that only show while the text is read
    const json library = parse_json(text, complaint, [&](const std::string& key, const std::string& program) {
        if (program.empty()) {
            complaint.about_text("\"" + printable(key, 80) + "\" is there twice");
        }
        try {
            Complaint(program).about_key(key, "is there twice");
        } catch (const ConfigError& error) {
            mistakes.emplace(program, error.what());
        }
    });
    if (!library.is_object()) {
        complaint.about_text("it must be a JSON object of programs and groups, {\"name\": {...}, ...}");
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
