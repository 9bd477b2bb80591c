// What page tables hold, as lines for a log ("verbose_pagetables").
//
// Thread safety: a pure function.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tinykvm/memory/page_tables.hpp"

namespace tinykvm::host {

// A line for each range, `most` of them, and one that says how many there are beyond these.
std::vector<std::string> page_table_lines(const std::vector<x86::MappedRange>& ranges, std::size_t most);

}  // namespace tinykvm::host
