#include "src/programs/page_table_lines.hpp"

#include <algorithm>

#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

// As in /proc/PID/maps: 0x400000-0x402000 r-x, 2 pages of 4 KiB
std::string description_of(const x86::MappedRange& range) {
    const auto letter = [](bool has, char right) { return has ? right : '-'; };
    const std::size_t page = range.is_large ? large_page_size : page_size;
    std::string text = hex(range.begin) + "-" + hex(range.end) + " ";
    text += letter(range.rights.read, 'r');
    text += letter(range.rights.write, 'w');
    text += letter(range.rights.execute, 'x');
    return text + (range.access == x86::Access::user ? ", " : ", of the host, ") +
           std::to_string((range.end - range.begin) / page) + " pages of " + (range.is_large ? "2 MiB" : "4 KiB");
}

}  // namespace

std::vector<std::string> page_table_lines(const std::vector<x86::MappedRange>& ranges, std::size_t most) {
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < std::min(ranges.size(), most); ++i) {
        lines.push_back("page tables: " + description_of(ranges[i]));
    }
    if (ranges.size() > most) {
        lines.push_back("page tables: " + std::to_string(ranges.size() - most) + " more ranges");
    }
    return lines;
}

}  // namespace tinykvm::host
