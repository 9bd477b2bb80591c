#include "src/config/address_settings.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "src/base/guest_text.hpp"
#include "src/config/config.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

constexpr std::uint64_t lowest = 0x10000, end_of_all = 0x7FFFFFFFF000, mebibyte = std::uint64_t{1} << 20;
constexpr std::size_t most_ranges = 64;
// Least address space beside requests and shared memory: program, stack and page tables.
constexpr std::size_t least_address_space = std::size_t{64} << 20;

std::optional<std::uint64_t> hexadecimal(const json& value) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr || !(text->starts_with("0x") || text->starts_with("0X"))) {
        return std::nullopt;
    }
    std::uint64_t number = 0;
    const char* const end = text->data() + text->size();
    const auto [stop, error] = std::from_chars(text->data() + 2, end, number, 16);
    return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

std::string read_range(const json& value, GuestRange& range) {
    if (!value.is_array() || value.size() != 2) {
        return "a range has two parts";
    }
    const auto begin = hexadecimal(value[0]);
    if (!begin) {
        return "a range begins with a string like \"0xC000000000\"";
    }
    range.begin = *begin;
    if (value[1].is_number_unsigned()) {
        const auto size = value[1].get<std::uint64_t>();
        range.end = size <= end_of_all / mebibyte ? range.begin + size * mebibyte : end_of_all + 1;
    } else if (const auto end = hexadecimal(value[1])) {
        range.end = *end;
    } else {
        return "a range ends with a number of MiB or a string like \"0xC040000000\"";
    }
    if (range.begin % page_size != 0 || range.end % page_size != 0) {
        return "a range is made of pages of 4096 bytes";
    }
    if (range.begin < lowest || range.end > end_of_all || range.begin >= range.end) {
        return "a range is not empty and lies between " + hex(lowest) + " and " + hex(end_of_all);
    }
    return {};
}

std::string complaint(std::string_view key, const std::string& value, const std::string& why) {
    return "key \"" + std::string(key) + "\": value " + value + ": " + why;
}

std::string mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20); }

std::string overlap(const std::string& key, const std::vector<GuestRange>& kept,
                    const std::vector<GuestRange>& blackout_area) {
    for (const GuestRange& closed : blackout_area) {
        for (const GuestRange& open : kept) {
            if (closed.overlaps(open.begin, open.end)) {
                return complaint("blackout_area", to_string(closed),
                                 "it must not overlap " + key + ", of which " + to_string(open) + " is a part");
            }
        }
    }
    return {};
}

}  // namespace

std::string read_address_ranges(const json& value, std::vector<GuestRange>& ranges) {
    ranges.clear();
    if (value.is_array()) {
        return value.empty() ? std::string() : read_range(value, ranges.emplace_back());
    }
    if (value.size() > most_ranges) {
        return std::to_string(value.size()) + " ranges";
    }
    for (const auto& [name, range] : value.items()) {
        if (std::string problem = read_range(range, ranges.emplace_back()); !problem.empty()) {
            return "\"" + printable(name, 80) + "\": " + problem;
        }
    }
    return {};
}

std::string to_string(const GuestRange& range) { return hex(range.begin) + "-" + hex(range.end); }

std::string combination_problem(const ProgramConfig& config) {
    if (config.cgi && config.protocol != ProgramConfig::Protocol::stdio) {
        return "key \"cgi\": it is for programs with \"protocol\": \"stdio\"";
    }
    if (config.cgi && (!config.input.empty() || !config.output.empty())) {
        return "key \"cgi\": a CGI program has the request on its standard input and answers on its standard output; "
               "\"input\" and \"output\" are for other commands";
    }
    if (config.storage && config.protocol != ProgramConfig::Protocol::callbacks) {
        return "key \"storage\": it is for programs with \"protocol\": \"callbacks\", because others cannot call it";
    }
    if (!config.state_file.empty() && !config.storage) {
        return "key \"state_file\": it is the file of a storage, and the program has none (\"storage\")";
    }
    const std::size_t needed = config.max_request_memory + config.shared_memory + least_address_space;
    if (config.effective_address_space() < needed) {
        return complaint("address_space", mebibytes(config.address_space),
                         "with max_request_memory " + mebibytes(config.max_request_memory) + " and shared_memory " +
                             mebibytes(config.shared_memory) + " at least " + mebibytes(needed) + " is needed");
    }
    const std::string problem = overlap("remapping", config.remapping, config.blackout_area);
    return problem.empty() ? overlap("executable_remapping", config.executable_remapping, config.blackout_area)
                           : problem;
}

}  // namespace tinykvm::host
