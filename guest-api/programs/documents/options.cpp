// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include <array>

#include "../options.hpp"

namespace documents {
namespace {

using gallery::integer;
using gallery::text;

void take_pick(Options& options, const std::string& key, const gallery::json& value) {
    if (value.is_null()) return options.pick.reset();
    options.pick = text(key, value);
}

void take_namespaces(Options& options, const std::string& key, const gallery::json& value) {
    if (!value.is_object()) gallery::refuse(key, "must be an object");
    options.namespaces.clear();
    for (const auto& [prefix, name] : value.items()) options.namespaces[prefix] = text(key + "." + prefix, name);
}

gallery::Keys keys_of(Options& options) {
    return {
        {"action",
         [&](const auto& key, const auto& value) {
             options.action =
                 static_cast<Action>(gallery::one_of(key, value, std::array{"validate", "minify", "pretty"}));
         }},
        {"pick", [&](const auto& key, const auto& value) { take_pick(options, key, value); }},
        {"indent", [&](const auto& key, const auto& value) { options.indent = integer(key, value, 0, 8); }},
        {"error_status",
         [&](const auto& key, const auto& value) { options.error_status = integer(key, value, 400, 599); }},
    };
}

}  // namespace

Options parse_options(std::string_view argument, Options options, bool has_namespaces) {
    gallery::Keys keys = keys_of(options);
    if (has_namespaces) {
        keys["namespaces"] = [&](const auto& key, const auto& value) { take_namespaces(options, key, value); };
    }
    gallery::take("", gallery::parse_argument(argument), keys);
    return options;
}

}  // namespace documents
