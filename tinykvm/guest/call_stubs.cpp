#include "tinykvm/guest/call_stubs.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "tinykvm/x86/descriptor_tables.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr std::uint8_t move_to_eax = 0xB8, jump = 0xE9, short_jump = 0xEB;
constexpr std::size_t syscall_size = 2, jump_size = 5, stub_size = 32;
constexpr std::array<std::uint8_t, 2> syscall_code = {0x0F, 0x05};
// What compilers put between functions and before loops: NOPs with room for a jump and for one over it. The longer one
// has room for a short NOP before, too, to which prefixes may belong that the long one had.
constexpr std::array<std::uint8_t, 7> nop_7 = {0x0F, 0x1F, 0x80, 0, 0, 0, 0};
constexpr std::array<std::uint8_t, 8> nop_8 = {0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0};
constexpr std::uint8_t short_nop = 0x90;
constexpr std::size_t reach_of_short_jump = 120;
// What a jump of 32 bits reaches, with a margin for the size of code.
constexpr std::uint64_t reach = (std::uint64_t{1} << 31) - (std::uint64_t{1} << 20);

template <typename T>
void append(std::vector<std::uint8_t>& code, T value) {
    std::uint8_t bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    code.insert(code.end(), std::begin(bytes), std::end(bytes));
}

std::uint32_t distance(GuestAddr to, GuestAddr from) { return static_cast<std::uint32_t>(to - from); }

bool is_prefix(std::uint8_t byte) { return byte == 0x66 || byte == 0x2E; }

// Where there is room for a jump over a jump, after `before` bytes of a NOP.
struct Room {
    std::size_t at, before;
};
// Nullopt: there is none.
std::optional<Room> find_room(const std::vector<std::uint8_t>& code) {
    const auto longer = std::search(code.begin(), code.end(), nop_8.begin(), nop_8.end());
    if (longer != code.end()) return Room{static_cast<std::size_t>(longer - code.begin()), 1};
    for (auto at = code.begin() + 1;; ++at) {
        at = std::search(at, code.end(), nop_7.begin(), nop_7.end());
        if (at == code.end()) return std::nullopt;
        if (!is_prefix(at[-1])) return Room{static_cast<std::size_t>(at - code.begin()), 0};
    }
}

}  // namespace

void CallStubs::lead_around(GuestAddr after) {
    const GuestAddr call = after - syscall_size;
    const Region* region = memory_.regions().find(call);
    if (!region || !region->protection.execute || region->protection.write) return;
    const GuestAddr begin = std::max(region->begin, call - reach_of_short_jump);
    const GuestAddr end = std::min(region->end, after + reach_of_short_jump);
    std::vector<std::uint8_t> code(end - begin);
    const std::size_t at = call - begin;
    if (at < jump_size || !memory_.read(begin, code.data(), code.size()) ||
        !std::equal(syscall_code.begin(), syscall_code.end(), code.begin() + static_cast<std::ptrdiff_t>(at)))
        return;
    if (code[at - jump_size] == move_to_eax) {
        std::uint32_t number = 0;
        std::memcpy(&number, &code[at - jump_size + 1], sizeof number);
        if (number < 1024)
            if (const auto stub = make_stub(call, after, number)) return jump_from(call - jump_size, *stub);
    }
    if (const auto room = find_room(code)) lead_through(begin + room->at, room->before, after);
}

// Through a NOP that has room for `short_nops`, a jump over a jump, and that.
void CallStubs::lead_through(GuestAddr nop, std::size_t short_nops, GuestAddr after) {
    const auto stub = make_stub(after, after, std::nullopt);
    if (!stub) return;
    std::vector<std::uint8_t> code(short_nops, short_nop);
    append(code, short_jump);
    append(code, static_cast<std::uint8_t>(jump_size));
    const GuestAddr place = nop + code.size();
    write(nop, code);
    jump_from(place, *stub);
    const std::uint8_t there[] = {short_jump, static_cast<std::uint8_t>(place - after)};
    write(after - syscall_size, there);
}

void CallStubs::write(GuestAddr place, std::span<const std::uint8_t> code) {
    (void)memory_.fill(place, std::as_bytes(code));
}

// Code that goes on as after SYSCALL at `after`: the address of the next instruction in RCX, flags in R11.
std::optional<GuestAddr> CallStubs::make_stub(GuestAddr near, GuestAddr after, std::optional<std::uint32_t> number) {
    Page* page = page_near(near);
    if (!page) return std::nullopt;
    const GuestAddr stub = page->begin + page->used;
    std::vector<std::uint8_t> code = {0x48, 0x8D, 0x0D};  // lea after(%rip), %rcx
    append(code, distance(after, stub + 7));
    code.insert(code.end(), {0x41, 0xBB});  // mov $flags, %r11d
    append(code, static_cast<std::uint32_t>(x86::initial_flags));
    if (number) {
        code.push_back(move_to_eax);
        append(code, *number);
    }
    code.insert(code.end(), {0xFF, 0x25, 0, 0, 0, 0});  // jmp *address after this instruction
    append(code, x86::stub_syscall_entry());
    if (!memory_.fill(stub, std::as_bytes(std::span(code)))) return std::nullopt;
    page->used += stub_size;
    return stub;
}

CallStubs::Page* CallStubs::page_near(GuestAddr address) {
    for (Page& page : pages_) {
        const GuestAddr away = page.begin > address ? page.begin - address : address - page.begin;
        if (away < reach && page.used + stub_size <= page_size) return &page;
    }
    // Below the code, where neither its heap nor what it maps next will want to be.
    const GuestAddr low = std::max(x86::user_begin, address > reach ? page_ceil(address - reach) : 0);
    const auto place = memory_.find_gap(page_size, low, page_floor(address));
    if (!place || memory_.map(*place, page_size, {.read = true, .execute = true}, "[calls]") != 0) return nullptr;
    return &pages_.emplace_back(Page{*place, 0});
}

void CallStubs::jump_from(GuestAddr place, GuestAddr to) {
    std::vector<std::uint8_t> code = {jump};
    append(code, distance(to, place + jump_size));
    write(place, code);
}

}  // namespace tinykvm
