#include "src/vmod/origin_headers.hpp"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "src/base/http_field.hpp"
#include "src/vmod/cacheability.hpp"

namespace tinykvm::vmod {

namespace {

using Names = std::span<const std::string_view>;

// The client's cookies were not sent, so those of the response are for no client. The other headers are made by
// Varnish.
constexpr std::string_view not_passed_on[] = {"Accept-Ranges", "Alt-Svc", "Content-Range", "Content-Type",
                                              "Set-Cookie",    "Via",     "X-Varnish"};
constexpr std::string_view about_bytes[] = {"Content-Digest", "Content-Encoding", "Content-MD5",
                                            "Digest",         "Location",         "Repr-Digest"};
constexpr std::string_view about_time[] = {"Age", "Cache-Control", "Expires", "Pragma"};

bool is_one_of(Names names, std::string_view line) {
    return std::any_of(names.begin(), names.end(), [&](auto one) { return host::same_name(one, host::name_of(line)); });
}

std::string weak(const std::string& line) {
    std::string why;
    const auto parts = host::parse_field(line, why);
    const bool is_strong = parts && parts->is("ETag") && parts->value.starts_with('"');
    return is_strong ? "ETag: W/" + std::string(parts->value) : line;
}

// Does the response's own Vary have that name?
bool varies_with(const host::Response& response, std::string_view name) {
    const auto says_so = [name](const std::string& line) {
        const auto field = host::HttpField::split(line);
        return field && field->is("Vary") && host::is_in_list(field->value, name);
    };
    return std::any_of(response.headers.begin(), response.headers.end(), says_so) ||
           std::any_of(response.response_changes.begin(), response.response_changes.end(),
                       [&](const host::HeaderChange& change) { return says_so(change.line); });
}

// The names in a Vary of the source that the response does not say itself, as a line; empty when it says them all.
std::string rest_of_vary(const std::string& line, const host::Response& response) {
    std::string rest;
    std::string_view names = line;
    names.remove_prefix(names.find(':') + 1);
    while (!names.empty()) {
        const std::size_t end = std::min(names.find(','), names.size());
        std::string_view name = names.substr(0, end);
        name.remove_prefix(std::min(name.find_first_not_of(" \t"), name.size()));
        name = name.substr(0, name.find_last_not_of(" \t") + 1);
        if (!name.empty() && !varies_with(response, name)) rest.append(rest.empty() ? "Vary: " : ", ").append(name);
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return rest;
}

}  // namespace

bool is_passed_on(std::string_view line) {
    return !host::is_framing_field(host::name_of(line)) && !is_one_of(not_passed_on, line);
}

bool is_for_one_client(const std::vector<std::string>& lines) {
    bool sets_cookie = false;
    for (const std::string& line : lines) {
        const auto field = host::HttpField::split(line);
        if (field && field->is("Cache-Control") && host::is_in_list(field->value, "public")) {
            return false;
        }
        sets_cookie |= field && field->is("Set-Cookie");
    }
    return sets_cookie;
}

void make_private(std::vector<std::string>& lines) {
    // The built-in VCL does not look at Cache-Control where there is a Surrogate-Control.
    std::erase_if(lines, [](const std::string& line) {
        return is_one_of(about_time, line) || host::is_field(line, "Surrogate-Control");
    });
    lines.emplace_back("Cache-Control: private");
}

std::vector<std::string> headers_of_source(const std::vector<std::string>& lines) {
    std::vector<std::string> result;
    for (const std::string& line : lines) {
        if (!is_one_of(about_bytes, line)) {
            result.push_back(weak(line));
        }
    }
    return result;
}

void inherit(host::Response& response, const std::vector<std::string>& source) {
    using Change = host::HeaderChange;
    const bool says_how_long = response.cacheability || speaks_for_itself(response);
    const bool has_no_vary =
        std::any_of(response.response_changes.begin(), response.response_changes.end(), [](const Change& change) {
            return change.kind == Change::Kind::unset && host::same_name(change.line, "Vary");
        });
    std::vector<std::string> added;
    for (const std::string& line : source) {
        const std::string_view name = host::name_of(line);
        const auto is_same = [&](const std::string& own) { return host::is_field(own, name); };
        if (host::same_name(name, "Vary")) {
            // The program's own does not take its place, whether it was set or added: the result depends on both.
            if (std::string rest = rest_of_vary(line, response); !has_no_vary && !rest.empty()) {
                response.response_changes.push_back({Change::Kind::append, std::move(rest)});
            }
        } else if (!(says_how_long && is_one_of(about_time, line)) &&
                   std::none_of(response.headers.begin(), response.headers.end(), is_same)) {
            added.push_back(line);
        }
    }
    std::move(added.begin(), added.end(), std::back_inserter(response.headers));
}

}  // namespace tinykvm::vmod
