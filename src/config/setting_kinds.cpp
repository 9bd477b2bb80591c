#include "src/config/setting_kinds.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "src/config/address_settings.hpp"
#include "src/config/source_settings.hpp"
#include "src/fetch/resource.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;
using Kind = Setting::Kind;

constexpr std::size_t most_text = 4096;  // bytes of a path, a URI, an argument

bool in_range(const Setting& setting, const json& value) {
    return value.get<double>() >= setting.range.least && value.get<double>() <= setting.range.most;
}

bool is_whole_in_range(const Setting& setting, const json& value) {
    return value.is_number_integer() && in_range(setting, value);
}

bool is_text(const json& value, double least, double most) {
    const auto* const text = value.get_ptr<const std::string*>();
    return text != nullptr && static_cast<double>(text->size()) >= least && static_cast<double>(text->size()) <= most;
}

bool is_text_or_object(const json& value, double most) { return value.is_object() || is_text(value, 0, most); }

bool is_download(const json& value) {
    if (!value.is_object() || !value.contains("uri") || !value.contains("filepath")) {
        return false;
    }
    for (const auto& [key, part] : value.items()) {
        const bool is_known = key == "uri" || key == "filepath" || key == "sha256" || key == "md5";
        if (!is_known || !is_text(part, 0, most_text)) {
            return false;
        }
    }
    return true;
}

template <typename Predicate>
bool is_list_of(const json& value, Predicate predicate) {
    return value.is_array() && std::all_of(value.begin(), value.end(), predicate);
}

std::string store_text(Kind kind, const json& value, std::string& member) {
    member = value.get<std::string>();
    if (kind == Kind::uri) {
        return uri_problem(member);
    }
    return kind == Kind::path && !member.starts_with('/') ? "the path must begin with '/'" : "";
}

// Stores a value in the member that it is called with.
struct Store {
    const Setting& setting;
    const json& value;
    ProgramConfig& config;

    std::string operator()(bool ProgramConfig::*member) const {
        config.*member = value.get<bool>();
        return {};
    }
    std::string operator()(unsigned ProgramConfig::*member) const {
        config.*member = value.get<unsigned>();
        return {};
    }
    std::string operator()(std::size_t ProgramConfig::*member) const {
        config.*member = value.get<std::size_t>() << 20;
        return {};
    }
    std::string operator()(std::chrono::microseconds ProgramConfig::*member) const {
        config.*member = std::chrono::microseconds(std::llround(value.get<double>() * 1e6));
        return {};
    }
    std::string operator()(std::string ProgramConfig::*member) const {
        return store_text(setting.kind, value, config.*member);
    }
    std::string operator()(std::string Checksums::*member) const {
        return store_checksum(config.checksums.*member, static_cast<std::size_t>(setting.range.most), value);
    }
    std::string operator()(std::vector<std::string> ProgramConfig::*member) const {
        config.*member = value.get<std::vector<std::string>>();
        return {};
    }
    std::string operator()(std::vector<GuestRange> ProgramConfig::*member) const {
        return read_address_ranges(value, config.*member);
    }
    std::string operator()(Setting::Reader read) const { return read(value, config); }
};

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
}

std::string text_of_length(const Setting::Range& length) {
    return (length.least == 0 ? "a string of at most " : "a string of 1 to ") + number(length.most) + " bytes";
}

}  // namespace

bool is_allowed(const Setting& setting, const json& value) {
    switch (setting.kind) {
        case Kind::boolean: return value.is_boolean();
        case Kind::count:
        case Kind::mebibytes: return is_whole_in_range(setting, value);
        case Kind::boolean_or_mebibytes: return value.is_boolean() || is_whole_in_range(setting, value);
        case Kind::boolean_or_path: return value.is_boolean() || is_text(value, 0, most_text);
        case Kind::seconds: return value.is_number() && in_range(setting, value);
        case Kind::text: return is_text(value, setting.range.least, setting.range.most);
        case Kind::path:
        case Kind::uri:
        case Kind::checksum: return is_text(value, 1, most_text);
        case Kind::choices:
            return value.is_string() || is_list_of(value, [](const json& one) { return one.is_string(); });
        case Kind::choice_or_count:
        case Kind::choice_or_microseconds: return value.is_string() || is_whole_in_range(setting, value);
        case Kind::ranges: return value.is_structured();
        case Kind::object: return value.is_object();
        case Kind::texts: return is_list_of(value, [](const json& one) { return is_text(one, 0, most_text); });
        case Kind::paths: return is_list_of(value, [](const json& one) { return is_text_or_object(one, most_text); });
        case Kind::hosts:
            return is_list_of(value, [&](const json& one) { return is_text_or_object(one, setting.range.most); });
        case Kind::downloads: return is_list_of(value, is_download);
    }
    return false;
}

std::string store(const Setting& setting, const json& value, ProgramConfig& config) {
    return std::visit(Store{setting, value, config}, setting.member);
}

std::string allowed_values(const Setting& setting) {
    const std::string range = " from " + number(setting.range.least) + " to " + number(setting.range.most);
    switch (setting.kind) {
        case Kind::boolean: return "true or false";
        case Kind::count: return "a whole number" + range;
        case Kind::seconds: return "a number of seconds" + range;
        case Kind::mebibytes: return "a whole number of MiB" + range;
        case Kind::boolean_or_mebibytes: return "true, false or a whole number of MiB" + range;
        case Kind::boolean_or_path:
            return setting.allowed.empty() ? "true, false or a string of at most " + number(most_text) + " bytes"
                                           : std::string(setting.allowed);
        case Kind::text: return text_of_length(setting.range);
        case Kind::path: return text_of_length({1, most_text});
        case Kind::uri: return std::string(allowed_uris);
        case Kind::checksum: return "a string of " + number(setting.range.most) + " hexadecimal digits";
        case Kind::texts: return "a list of strings of at most " + number(most_text) + " bytes";
        case Kind::paths: return "a list of strings and of objects {virtual, real, writable, prefix, symlink}";
        case Kind::hosts: return "a list of strings and of objects {host, private, dont_verify_host}";
        case Kind::ranges: return address_ranges_allowed;
        case Kind::downloads: return "a list of objects {uri, filepath, sha256, md5}, with or without the last two";
        case Kind::object:
        case Kind::choices: return std::string(setting.allowed);
        case Kind::choice_or_count: return std::string(setting.allowed) + " or a whole number" + range;
        case Kind::choice_or_microseconds:
            return std::string(setting.allowed) + " or a whole number of microseconds" + range;
    }
    return {};
}

std::string_view unit(const Setting& setting) {
    switch (setting.kind) {
        case Kind::seconds: return "s";
        case Kind::choice_or_microseconds: return "us";
        case Kind::mebibytes: return "MiB";
        case Kind::boolean:
        case Kind::boolean_or_mebibytes:
        case Kind::boolean_or_path:
        case Kind::count:
        case Kind::text:
        case Kind::path:
        case Kind::uri:
        case Kind::checksum:
        case Kind::texts:
        case Kind::paths:
        case Kind::object:
        case Kind::hosts:
        case Kind::ranges:
        case Kind::downloads:
        case Kind::choice_or_count:
        case Kind::choices: return "";
    }
    return "";
}

}  // namespace tinykvm::host
