#include "src/config/variables.hpp"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

namespace tinykvm::host {

namespace {

using nlohmann::json;

bool continues_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Which variable's name `text` begins with; empty: none.
std::string_view name_at(std::string_view text) {
    for (const std::string_view name : {"HOME", "PWD"}) {
        if (text.starts_with(name) && (text.size() == name.size() || !continues_name(text[name.size()]))) {
            return name;
        }
    }
    return {};
}

// Appends the value of the variable to `text`. Says why there is none; empty when there is one.
std::string append_value(std::string& text, std::string_view name) {
    if (name == "PWD") {
        std::error_code error;
        text += std::filesystem::current_path(error).string();
        return error ? "$PWD: the working directory is not known: " + error.message() : std::string();
    }
    const char* const home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') {
        return "$HOME: HOME is not in the environment of this process";
    }
    text += home;
    return {};
}

std::string replace_in_text(std::string& text) {
    std::string result;
    std::string_view left = text;
    for (std::size_t dollar; (dollar = left.find('$')) != std::string_view::npos;) {
        const bool is_doubled = left.substr(dollar).starts_with("$$");
        const std::string_view name = name_at(left.substr(dollar + (is_doubled ? 2 : 1)));
        result += left.substr(0, dollar);
        left.remove_prefix(dollar + 1 + (is_doubled && !name.empty() ? 1 : 0));
        if (name.empty() || is_doubled) {
            result += '$';
            continue;
        }
        if (std::string problem = append_value(result, name); !problem.empty()) {
            return problem;
        }
        left.remove_prefix(name.size());
    }
    result += left;
    text = std::move(result);
    return {};
}

}  // namespace

std::string replace_variables(json& value) {
    if (auto* const text = value.get_ptr<std::string*>()) {
        return replace_in_text(*text);
    }
    if (!value.is_structured()) {
        return {};
    }
    for (const auto& [key, part] : value.items()) {
        if (value.is_object() && key == "uri") {
            continue;
        }
        if (std::string problem = replace_variables(part); !problem.empty()) {
            return problem;
        }
    }
    return {};
}

}  // namespace tinykvm::host
