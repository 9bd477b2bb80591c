#include "src/config/access_settings.hpp"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "src/base/path.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

std::string absolute(const std::string& path, const char* what) {
    return path.empty() || path.front() != '/' ? std::string(what) + " must begin with '/'" : std::string();
}

std::string read_path(const json& value, PathRule& rule) {
    if (value.is_string()) {
        rule.virtual_path = value.get<std::string>();
        return absolute(rule.virtual_path, "a path");
    }
    for (const auto& [key, part] : value.items()) {
        if (key == "virtual" || key == "real") {
            if (!part.is_string() || part.get_ref<const std::string&>().find('\0') != std::string::npos) {
                return "\"" + key + "\" of a path must be a string";
            }
            (key == "virtual" ? rule.virtual_path : rule.real_path) = part.get<std::string>();
        } else if (key == "writable" || key == "prefix" || key == "symlink") {
            if (!part.is_boolean()) {
                return "\"" + key + "\" of a path must be true or false";
            }
            (key == "writable" ? rule.writable : key == "prefix" ? rule.prefix : rule.symlink) = part.get<bool>();
        } else {
            return "a path has no \"" + key + "\", only virtual, real, writable, prefix and symlink";
        }
    }
    if (rule.virtual_path.empty()) {
        rule.virtual_path = rule.real_path;
    }
    if (std::string problem = absolute(rule.virtual_path, "\"virtual\" of a path"); !problem.empty()) {
        return problem;
    }
    if (rule.symlink && rule.real_path.empty()) {
        return "a symlink needs \"real\", the guest path it points to";
    }
    return rule.real_path.empty() || rule.symlink ? std::string() : absolute(rule.real_path, "\"real\" of a path");
}

std::string read_host(const json& value, HostRule& rule) {
    bool allows_private = false, may_ignore_name = false;
    std::string host;
    if (value.is_string()) {
        host = value.get<std::string>();
    } else {
        for (const auto& [key, part] : value.items()) {
            if (key == "host" && part.is_string()) {
                host = part.get<std::string>();
            } else if ((key == "private" || key == "dont_verify_host") && part.is_boolean()) {
                (key == "private" ? allows_private : may_ignore_name) = part.get<bool>();
            } else {
                return "a host has \"host\", a string, \"private\" and \"dont_verify_host\", true or false, and "
                       "nothing else";
            }
        }
    }
    const auto parsed = HostRule::parse(host);
    if (!parsed) {
        return "\"" + host +
               "\" is no host; hosts are \"name\", \"name:port\", \"*.domain\", \"*\", IPv4 addresses and "
               "IPv6 addresses in brackets, each with or without a port";
    }
    rule = *parsed;
    rule.allows_private = allows_private;
    rule.may_ignore_name = may_ignore_name;
    return {};
}

}  // namespace

std::string read_allowed_paths(const json& value, ProgramConfig& config) {
    std::vector<PathRule> rules;
    for (const json& entry : value) {
        if (std::string problem = read_path(entry, rules.emplace_back()); !problem.empty()) {
            return problem;
        }
    }
    config.allowed_paths = std::move(rules);
    return {};
}

std::string read_writable_memory(const json& value, ProgramConfig& config) {
    std::vector<std::string> directories;
    for (const json& entry : value) {
        const auto directory = entry.get<std::string>();
        const bool is_absolute = directory.starts_with('/') && directory.find_first_not_of('/') != directory.npos;
        if (!is_absolute || climbs(directory)) return "wants absolute paths of directories, without \"..\"";
        if (is_at_or_below(directory, "/proc") || is_at_or_below(directory, "/sys") ||
            (is_at_or_below(directory, "/dev") && directory != "/dev/shm"))
            return "cannot have what is in /proc, /sys and /dev";
        directories.push_back(directory);
    }
    config.writable_memory = std::move(directories);
    return {};
}

std::string read_allowed_hosts(const json& value, ProgramConfig& config) {
    std::vector<HostRule> rules;
    for (const json& entry : value) {
        if (std::string problem = read_host(entry, rules.emplace_back()); !problem.empty()) {
            return problem;
        }
    }
    config.allowed_hosts = HostRules(std::move(rules));
    return {};
}

}  // namespace tinykvm::host
