// SPDX-License-Identifier: BSD-2-Clause
// Reads the options of a program from a JSON object. Each function takes a key's value or throws an Error that names
// the key.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace gallery {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& key, const std::string& what);

double number(const std::string& key, const json& value, double least, double most);
std::int64_t integer(const std::string& key, const json& value, std::int64_t least, std::int64_t most);
bool truth(const std::string& key, const json& value);
std::string text(const std::string& key, const json& value);

// Which of the names the value is.
template <std::size_t Count>
std::size_t one_of(const std::string& key, const json& value, const std::array<const char*, Count>& names) {
    std::string list;
    for (std::size_t i = 0; i < Count; i++) {
        if (value.is_string() && value.get_ref<const std::string&>() == names[i]) return i;
        list += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    refuse(key, "must be one of " + list);
}

// What takes the value of each key of an object.
using Keys = std::map<std::string, std::function<void(const std::string& key, const json& value)>>;

// Gives the values in `object`, which is what `path` names (empty for all of the argument), to the functions of their
// keys.
void take(const std::string& path, const json& object, const Keys& keys);

// The object that a program's or request's argument is; an empty argument is an empty object.
json parse_argument(std::string_view argument);

}  // namespace gallery
