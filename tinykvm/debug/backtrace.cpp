#include "tinykvm/debug/backtrace.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "tinykvm/printable.hpp"

namespace tinykvm::debug {

namespace {

constexpr int max_frames = 24;
constexpr std::size_t max_stack_words = 2048;

bool is_code(const GuestMemory& memory, GuestAddr address) {
    const Region* region = memory.regions().find(address);
    return region && region->protection.execute;
}

// Is the instruction before `address` a CALL? (E8 rel32, or FF /2 with one of its operand lengths.)
bool follows_call(const GuestMemory& memory, GuestAddr address) {
    unsigned char before[7];
    if (address < sizeof before || !is_code(memory, address) ||
        !memory.read(address - sizeof before, before, sizeof before))
        return false;
    if (before[2] == 0xE8) return true;
    for (std::size_t length = 2; length <= 7; ++length) {
        const unsigned char* at = before + sizeof before - length;
        if (at[0] == 0xFF && (at[1] >> 3 & 7) == 2) return true;
    }
    return false;
}

void append_frame(std::string& text, int number, GuestAddr address, bool certain, const GuestMemory& memory,
                  const std::vector<elf::LoadedProgram>& programs) {
    char line[96];
    std::snprintf(line, sizeof line, "#%-2d 0x%lx", number, static_cast<unsigned long>(address));
    text += line;
    // A return address may be after the end of the function that called.
    const GuestAddr inside = number == 0 ? address : address - 1;
    for (const elf::LoadedProgram& loaded : programs) {
        if (inside < loaded.begin || inside >= loaded.end) continue;
        Program::Symbol symbol = loaded.program->symbol_at(inside - loaded.bias);
        if (symbol.name.empty()) break;
        std::snprintf(line, sizeof line, "+0x%lx", static_cast<unsigned long>(symbol.offset + (number ? 1 : 0)));
        // The program chose the names of its files and functions, so they are made printable.
        text += " " + printable(symbol.name) + line;
        break;
    }
    if (const Region* region = memory.regions().find(address); region && !region->name.empty())
        text += " (" + printable(region->name) + ")";
    text += certain ? "\n" : " ?\n";
}

}  // namespace

std::string backtrace(const GuestMemory& memory, const Registers& registers,
                      const std::vector<elf::LoadedProgram>& programs) {
    std::string text;
    int frames = 0;
    append_frame(text, frames++, registers.rip, true, memory, programs);

    // A chain of frame pointers is believed as long as it climbs and each return address follows a call.
    GuestAddr frame = registers.rbp, scan_from = registers.rsp;
    while (frames < max_frames && frame % 8 == 0 && frame >= scan_from) {
        std::uint64_t link[2];
        if (!memory.read(frame, link) || !follows_call(memory, link[1])) break;
        append_frame(text, frames++, link[1], true, memory, programs);
        scan_from = frame + sizeof link;
        if (link[0] <= frame) break;
        frame = link[0];
    }
    for (std::size_t i = 0; i < max_stack_words && frames < max_frames; ++i) {
        std::uint64_t word;
        if (!memory.read(scan_from + i * 8, word)) break;
        if (follows_call(memory, word)) append_frame(text, frames++, word, false, memory, programs);
    }
    return text;
}

}  // namespace tinykvm::debug
