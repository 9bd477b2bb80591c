// SPDX-License-Identifier: BSD-2-Clause
// What json and xml do to a document: the program's argument, which is JSON. The keys are documented in
// docs/validation.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace documents {

enum class Action { validate, minify, pretty };

struct Options {
    Action action = Action::validate;
    std::optional<std::string> pick;                // the part that is wanted, when it is not all
    int indent = 2;                                 // spaces of a level
    int error_status = 503;                         // of a document that is not well-formed
    std::map<std::string, std::string> namespaces;  // of the prefixes in `pick`
};

// `options` with what the JSON object in `argument` says; an empty one says nothing. Throws an Error that names the
// key. Only XML has namespaces.
Options parse_options(std::string_view argument, Options options, bool has_namespaces);

}  // namespace documents
