// JSON as it is written by people: with comments, with whole numbers that have a point, and with mistakes that have to
// be found before they are a value.
//
// Thread safety: a pure function.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "src/config/config_error_context.hpp"

namespace tinykvm::host {

// Told a key that an object has twice, and the key of the outermost object that it is in (empty: it is one of those).
using DuplicateKey = std::function<void(const std::string& key, const std::string& outermost)>;

// Throws ConfigError, in the given context, when the text is not JSON or too deep, and what `duplicate` throws.
nlohmann::json parse_json(std::string_view text, const ConfigErrorContext& context, const DuplicateKey& duplicate);

}  // namespace tinykvm::host
