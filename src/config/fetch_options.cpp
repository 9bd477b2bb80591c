#include "src/config/fetch_options.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "src/base/config_error.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

constexpr double least_timeout = 0.001, most_timeout = 86400;

[[noreturn]] void refuse(const std::string& what) { throw ConfigError("its config: " + what); }

// Each entry of a list of strings, after `problem` has found nothing wrong with it.
template <typename Problem>
std::vector<std::string> read_list(const std::string& key, const json& value, Problem problem) {
    if (!value.is_array() || value.size() > max_fields) {
        refuse("key \"" + key + "\": allowed is a list of at most " + std::to_string(max_fields) + " strings");
    }
    std::vector<std::string> entries;
    for (const json& entry : value) {
        if (!entry.is_string()) {
            refuse("key \"" + key + "\": allowed are strings");
        }
        if (const std::string why = problem(entry.get_ref<const std::string&>()); !why.empty()) {
            refuse("key \"" + key + "\": an entry " + why);
        }
        entries.push_back(entry.get<std::string>());
    }
    return entries;
}

std::string field_problem(const std::string& line) {
    std::string why;
    const auto parts = parse_field(line, why);
    if (parts && is_framing_field(parts->name)) {
        why = "is not VCL's to set: " + printable(line, 80);
    }
    return why;
}

std::string name_problem(const std::string& name) {
    return is_field_name(name) && !is_framing_field(name) ? std::string()
                                                          : "is no name of a header to send: " + printable(name, 80);
}

std::chrono::microseconds read_timeout(const json& value) {
    if (!value.is_number() || !(value.get<double>() >= least_timeout && value.get<double>() <= most_timeout)) {
        refuse("key \"timeout\": allowed is a number of seconds from 0.001 to 86400");
    }
    return std::chrono::microseconds(std::llround(value.get<double>() * 1e6));
}

}  // namespace

FetchOptions parse_fetch_options(std::string_view text) {
    FetchOptions options;
    if (text.empty()) {
        return options;
    }
    const json object = json::parse(text, nullptr, false, true);
    if (!object.is_object()) {
        refuse("it is not a JSON object: " + printable(text, 80));
    }
    for (const auto& [key, value] : object.items()) {
        if (key == "headers") {
            options.headers = read_list(key, value, field_problem);
        } else if (key == "forward_headers") {
            options.forward_headers = read_list(key, value, name_problem);
        } else if (key == "timeout") {
            options.timeout = read_timeout(value);
        } else {
            refuse("key \"" + printable(key, 80) + "\" is unknown; there are headers, forward_headers and timeout");
        }
    }
    return options;
}

}  // namespace tinykvm::host
