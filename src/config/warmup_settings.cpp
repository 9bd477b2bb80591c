#include "src/config/warmup_settings.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

constexpr std::size_t most_url = 4096;  // bytes

std::string read_warmup_headers(const json& value, Warmup& warmup) {
    std::string what =
        "\"headers\" of warmup must be a list of at most " + std::to_string(max_fields) + " strings \"Name: value\"";
    if (!value.is_array() || value.size() > max_fields) {
        return what;
    }
    for (const json& header : value) {
        std::string why;
        if (!header.is_string() || !parse_field(header.get_ref<const std::string&>(), why)) {
            return what + (why.empty() ? "" : "; one " + why);
        }
        warmup.headers.push_back(header.get<std::string>());
    }
    return {};
}

std::string read_warmup_text(const std::string& key, const json& value, Warmup& warmup) {
    const auto* text = value.get_ptr<const std::string*>();
    if (key == "method") {
        if (text == nullptr || !is_field_name(*text)) {
            return "\"method\" of warmup must be the name of a method";
        }
        warmup.method = *text;
        return {};
    }
    if (text == nullptr || !text->starts_with('/') || text->size() > most_url || !is_field_value(*text) ||
        text->find(' ') != std::string::npos) {
        return "\"url\" of warmup must be a string of at most 4096 bytes that begins with '/', without spaces";
    }
    warmup.url = *text;
    return {};
}

void add_user_agent(Warmup& warmup) {
    const bool has_one = std::any_of(warmup.headers.begin(), warmup.headers.end(),
                                     [](const std::string& header) { return is_field(header, "User-Agent"); });
    if (!has_one) {
        warmup.headers.insert(warmup.headers.begin(), "User-Agent: tinykvm");
    }
}

}  // namespace

std::string read_warmup(const json& value, ProgramConfig& config) {
    constexpr std::uint64_t most_requests = 65535;
    Warmup warmup;
    warmup.num_requests = 20;
    for (const auto& [key, part] : value.items()) {
        std::string problem;
        if (key == "num_requests") {
            if (!part.is_number_unsigned() || part.get<std::uint64_t>() > most_requests) {
                return "\"num_requests\" of warmup must be a whole number from 0 to 65535";
            }
            warmup.num_requests = part.get<unsigned>();
        } else if (key == "exact") {
            if (!part.is_boolean()) {
                return "\"exact\" of warmup must be true or false";
            }
            warmup.exact = part.get<bool>();
        } else if (key == "url" || key == "method") {
            problem = read_warmup_text(key, part, warmup);
        } else if (key == "headers") {
            problem = read_warmup_headers(part, warmup);
        } else {
            return "warmup has no \"" + printable(key, 80) + "\", only num_requests, exact, url, method and headers";
        }
        if (!problem.empty()) {
            return problem;
        }
    }
    add_user_agent(warmup);
    config.warmup = warmup.num_requests == 0 ? Warmup() : std::move(warmup);
    return {};
}

}  // namespace tinykvm::host
