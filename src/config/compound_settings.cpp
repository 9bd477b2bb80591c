#include "src/config/compound_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <vector>

#include "src/base/path.hpp"

namespace tinykvm::host {

using nlohmann::json;

std::string read_environment(const json& value, ProgramConfig& config) {
    static constexpr std::array<std::string_view, 5> ours = {"KVM_NAME", "KVM_GROUP", "KVM_TYPE", "KVM_STATE",
                                                             "KVM_DEBUG"};
    auto entries = value.get<std::vector<std::string>>();
    for (const std::string& entry : entries) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0) {
            return "\"" + entry + "\" is not of the form NAME=VALUE";
        }
        for (const std::string_view name : ours) {
            if (entry.substr(0, equals) == name) {
                return std::string(name) + " is always set by tinykvm itself";
            }
        }
    }
    config.environment = std::move(entries);
    return {};
}

std::string read_protocol(const json& value, ProgramConfig& config) {
    using Protocol = ProgramConfig::Protocol;
    if (value != "callbacks" && value != "stdio" && value != "http") {
        return "the value is none of them";
    }
    config.protocol = value == "stdio" ? Protocol::stdio : value == "http" ? Protocol::http : Protocol::callbacks;
    return {};
}

std::string read_listen(const json& value, ProgramConfig& config) {
    if (value.is_number()) {
        config.listen = std::to_string(value.get<int>());
        return {};
    }
    config.listen = value.get<std::string>();
    const bool is_name = config.listen.empty() || config.listen[0] == '/' || config.listen[0] == '@';
    return is_name && config.listen.size() < 108 ? "" : "it is neither";
}

std::string read_content_type(const json& value, ProgramConfig& config) {
    config.content_type = value.get<std::string>();
    const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
    return std::all_of(config.content_type.begin(), config.content_type.end(), is_printable)
               ? ""
               : "it has other characters than the printable ones of ASCII";
}

namespace {

std::string read_file_name(const json& value, std::string& name) {
    name = value.get<std::string>();
    const bool is_file = name.starts_with('/') && !name.ends_with('/') && !climbs(name);
    return name.empty() || is_file ? "" : "it is not the absolute path of a file";
}

}  // namespace

std::string read_input(const json& value, ProgramConfig& config) { return read_file_name(value, config.input); }
std::string read_output(const json& value, ProgramConfig& config) { return read_file_name(value, config.output); }

std::string read_exit_statuses(const json& value, ProgramConfig& config) {
    config.exit_statuses.clear();
    for (const auto& [key, status] : value.items()) {
        int number = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
        if (error != std::errc() || end != key.data() + key.size() || number < 0 || number > 255 ||
            key != std::to_string(number)) {
            return "\"" + key + "\" is no exit status";
        }
        if (!status.is_number_integer() || status < 200 || status > 599) {
            return "the status for \"" + key + "\" is not from 200 to 599";
        }
        config.exit_statuses.push_back({number, status.get<int>()});
    }
    return {};
}

std::string read_on_error(const json& value, ProgramConfig& config) {
    using OnError = ProgramConfig::OnError;
    if (value.is_string() && value != "error" && value != "original") {
        return "the value is neither";
    }
    std::vector<OnError> order;
    const json list = value == "error"      ? json::array({"handler"})
                      : value == "original" ? json::array({"handler", "original"})
                                            : value;
    for (const json& one : list) {
        const OnError attempt = one == "original" ? OnError::original : OnError::handler;
        if ((one != "original" && one != "handler") || std::find(order.begin(), order.end(), attempt) != order.end()) {
            return "it has another value, or one twice";
        }
        order.push_back(attempt);
    }
    config.on_error = order;
    return order.empty() ? "it is empty" : "";
}

std::string read_poll(const json& value, ProgramConfig& config) {
    if (value.is_number()) {
        config.poll = {.automatic = false, .time = std::chrono::microseconds(value.get<int>())};
        return {};
    }
    config.poll = {.automatic = value == "auto", .time = std::chrono::microseconds(0)};
    return value == "auto" || value == "off" ? "" : "the value is none of them";
}

std::string read_storage(const json& value, ProgramConfig& config) {
    config.storage_file = value.is_string() ? value.get<std::string>() : "";
    config.storage = value == true || !config.storage_file.empty();
    return {};
}

std::string read_cold_start_file(const json& value, ProgramConfig& config) {
    config.cold_start_file = value.is_string() ? value.get<std::string>() : "";
    if (value == true) {
        return "which file?";
    }
    return config.cold_start_file.empty() || config.cold_start_file[0] == '/' ? "" : "the path must begin with '/'";
}

std::string read_request_hugepages(const json& value, ProgramConfig& config) {
    config.request_hugepages = value == true;
    if (value != true) {
        config.request_hugepage_arena_size = value.is_number() ? value.get<std::size_t>() << 20 : 0;
    }
    return {};
}

// There is nothing to store: memory of requests is always copied in pages of 4 KiB.
std::string read_split_hugepages(const json& value, ProgramConfig&) {
    return value.get<bool>() ? "" : "this version copies pages of 4 KiB only";
}

}  // namespace tinykvm::host
