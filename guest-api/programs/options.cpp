// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include "program.hpp"

namespace gallery {

void refuse(const std::string& key, const std::string& what) {
    throw Error(bad_configuration, "Configuration: \"" + key + "\" " + what + ".");
}

double number(const std::string& key, const json& value, double least, double most) {
    if (!value.is_number() || value.get<double>() < least || value.get<double>() > most) {
        const auto text = [](double limit) { return json(static_cast<std::int64_t>(limit)).dump(); };
        refuse(key, "must be a number from " + text(least) + " to " + text(most));
    }
    return value.get<double>();
}

std::int64_t integer(const std::string& key, const json& value, std::int64_t least, std::int64_t most) {
    // A number that is too large for 64 bits is one that JSON's parser has made a floating point number.
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(most)) {
        refuse(key, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value.get<std::int64_t>();
}

bool truth(const std::string& key, const json& value) {
    if (!value.is_boolean()) refuse(key, "must be true or false");
    return value.get<bool>();
}

std::string text(const std::string& key, const json& value) {
    if (!value.is_string()) refuse(key, "must be a string");
    return value.get<std::string>();
}

void take(const std::string& path, const json& object, const Keys& keys) {
    if (!object.is_object()) refuse(path, "must be an object");
    for (const auto& [name, value] : object.items()) {
        const std::string key = path.empty() ? name : path + "." + name;
        const auto found = keys.find(name);
        if (found == keys.end()) refuse(key, "is not a known key");
        found->second(key, value);
    }
}

json parse_argument(std::string_view argument) {
    if (argument.empty()) return json::object();
    json object = json::parse(argument, nullptr, false);
    if (!object.is_object()) throw Error(bad_configuration, "The configuration is not a JSON object.");
    return object;
}

}  // namespace gallery
