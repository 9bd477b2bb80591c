#include "src/calls/cgi_environment.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "src/base/ascii.hpp"
#include "src/base/http_field.hpp"
#include "src/base/url_text.hpp"

namespace tinykvm::host {

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// The value of a variable of the setting `environment`.
std::optional<std::string_view> configured(const ProgramConfig& config, std::string_view name) {
    for (const std::string& entry : config.environment) {
        const std::size_t equals = entry.find('=');
        if (std::string_view(entry).substr(0, equals) == name) {
            return std::string_view(entry).substr(equals + 1);
        }
    }
    return std::nullopt;
}

// The script of an interpreter, or the program itself.
std::string script_of(const ProgramConfig& config) {
    const auto found = std::find_if(config.main_arguments.begin(), config.main_arguments.end(),
                                    [](const std::string& argument) { return argument.starts_with('/'); });
    return found == config.main_arguments.end() ? config.filename : *found;
}

void add_path(Variables& variables, std::string_view path, const ProgramConfig& config) {
    const std::string_view script = configured(config, "SCRIPT_NAME").value_or("");
    variables.emplace_back("SCRIPT_NAME", "");
    std::string decoded = decode_escapes(path);
    const bool is_below = decoded.starts_with(script) &&
                          (decoded.size() == script.size() || script.ends_with('/') || decoded[script.size()] == '/');
    variables.emplace_back("PATH_INFO", is_below ? decoded.substr(script.size()) : decoded);
}

// Of "name:port", "[::1]:port" or one without a port.
void add_server(Variables& variables, std::string_view host) {
    const std::size_t bracket = host.find(']');
    const std::size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
    const std::string_view name = host.substr(0, colon);
    const std::string_view port = colon == std::string_view::npos ? std::string_view() : host.substr(colon + 1);
    const bool is_number =
        !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos;
    variables.emplace_back("SERVER_NAME", name.empty() ? "localhost" : name);
    variables.emplace_back("SERVER_PORT", is_number ? port : "80");
}

// Varnish puts the address of its client at the end of X-Forwarded-For. What is not one is not said.
void add_client(Variables& variables, std::string_view forwarded) {
    const std::size_t comma = forwarded.rfind(',');
    std::string_view last = comma == std::string_view::npos ? forwarded : forwarded.substr(comma + 1);
    last.remove_prefix(std::min(last.find_first_not_of(" \t"), last.size()));
    const std::string address(last);
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1 ||
        inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) {
        variables.emplace_back("REMOTE_ADDR", address);
        variables.emplace_back("REMOTE_HOST", address);
    }
}

// Is the field one that programs get? Not what describes the connection, or has a variable of its own; not credentials
// (RFC 3875, 4.1.18); and not "Proxy", whose variable HTTP_PROXY many programs take for a setting ("httpoxy"). Names
// with an underscore could pass for others.
bool is_handed_on(std::string_view name, std::span<const std::string_view> lines) {
    static constexpr std::array<std::string_view, 4> hidden = {"Content-Type", "Authorization", "Proxy-Authorization",
                                                               "Proxy"};
    if (is_framing_field(name) || !is_token(name) ||
        std::any_of(hidden.begin(), hidden.end(), [&](auto one) { return same_name(one, name); }) ||
        std::any_of(name.begin(), name.end(), [](char c) {
            const char lower = to_lower(c);
            return c != '-' && (lower < 'a' || lower > 'z') && (c < '0' || c > '9');
        })) {
        return false;
    }
    return std::none_of(lines.begin(), lines.end(), [&](std::string_view line) {
        return is_field(line, "Connection") && is_in_list(line.substr(sizeof "Connection"), name);
    });
}

std::string variable_of(std::string_view name) {
    std::string variable = "HTTP_";
    for (const char c : name) {
        const char lower = to_lower(c);
        variable += c == '-' ? '_' : lower >= 'a' && lower <= 'z' ? static_cast<char>(lower - 'a' + 'A') : c;
    }
    return variable;
}

// Several fields of one name become one (RFC 3875, 4.1.18).
void add_fields(Variables& variables, std::span<const std::string_view> lines) {
    const std::size_t first = variables.size();
    for (const std::string_view line : lines) {
        const auto field = HttpField::split(line);
        if (!field || !is_handed_on(field->name, lines)) {
            continue;
        }
        std::string variable = variable_of(field->name);
        const auto same = std::find_if(variables.begin() + static_cast<std::ptrdiff_t>(first), variables.end(),
                                       [&](const auto& one) { return one.first == variable; });
        if (same == variables.end()) {
            variables.emplace_back(std::move(variable), field->value);
        } else {
            same->second += (variable == "HTTP_COOKIE" ? "; " : ", ") + std::string(field->value);
        }
    }
}

}  // namespace

std::vector<std::string> cgi_environment(const Request& request, const ProgramConfig& config,
                                         std::optional<std::size_t> body_size) {
    const std::size_t mark = request.url.find('?');
    Variables variables = {
        {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"SERVER_SOFTWARE", "tinykvm"},
        {"REQUEST_METHOD", std::string(request.method)},
        {"REQUEST_URI", std::string(request.url)},
        {"QUERY_STRING", std::string(mark == std::string_view::npos ? "" : request.url.substr(mark + 1))},
        {"SCRIPT_FILENAME", script_of(config)},
        {"REDIRECT_STATUS", "200"},  // php-cgi refuses requests without it
    };
    add_path(variables, request.url.substr(0, mark), config);
    add_server(variables, field_value(request.headers, "Host").value_or(""));
    add_client(variables, field_value(request.headers, "X-Forwarded-For").value_or(""));
    if (body_size.value_or(0) != 0) {
        variables.emplace_back("CONTENT_LENGTH", std::to_string(*body_size));
    }
    if (!request.content_type.empty()) {
        variables.emplace_back("CONTENT_TYPE", request.content_type);
    }
    add_fields(variables, request.headers);
    std::vector<std::string> entries;
    for (const auto& [name, value] : variables) {
        if (!configured(config, name)) {
            entries.push_back(name + "=" + value);
        }
    }
    return entries;
}

}  // namespace tinykvm::host
