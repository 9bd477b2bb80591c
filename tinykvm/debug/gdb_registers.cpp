#include "tinykvm/debug/gdb_registers.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace tinykvm::debug {

namespace {

constexpr std::array<std::uint64_t Registers::*, 17> general = {
    &Registers::rax, &Registers::rbx, &Registers::rcx, &Registers::rdx, &Registers::rsi, &Registers::rdi,
    &Registers::rbp, &Registers::rsp, &Registers::r8,  &Registers::r9,  &Registers::r10, &Registers::r11,
    &Registers::r12, &Registers::r13, &Registers::r14, &Registers::r15, &Registers::rip};
constexpr std::uint32_t user_code = 0x33, user_data = 0x2B;  // as Linux has them

// The numbers of the first register of each kind in the description.
constexpr std::size_t flags = 17, code_segment = 18, stack_segment = 19, x87 = 24, x87_control = 32, sse = 40,
                      sse_control = 56, original_rax = 57, fs_base = 58, gs_base = 59, avx = 60, end = 76;

// Where they are in an XSAVE image.
constexpr std::size_t x87_offset = 32, sse_offset = 160, sse_control_offset = 24, present_offset = 512,
                      avx_offset = 576, slot = 16;
constexpr std::uint64_t has_x87_and_sse = 3, has_avx_halves = 4;

std::uint64_t present(const std::vector<std::byte>& image) {
    std::uint64_t bits = 0;
    if (image.size() >= present_offset + sizeof bits) std::memcpy(&bits, image.data() + present_offset, sizeof bits);
    return bits;
}

// The place of a register in the image; beyond its end when it has none.
std::size_t place(std::size_t number) {
    if (number >= x87 && number < x87_control) return x87_offset + (number - x87) * slot;
    if (number >= sse && number < sse_control) return sse_offset + (number - sse) * slot;
    if (number == sse_control) return sse_control_offset;
    if (number >= avx && number < end) return avx_offset + (number - avx) * slot;
    return SIZE_MAX;
}

std::uint32_t control_of_x87(const std::vector<std::byte>& image, std::size_t index) {
    constexpr std::size_t head = 32;
    if (image.size() < head) return 0;
    std::array<std::uint16_t, head / 2> words;
    std::memcpy(words.data(), image.data(), head);
    switch (index) {
        case 0: return words[0];
        case 1: return words[1];
        case 2: {
            // The image has one bit for each register that is not empty, GDB two: 0 valid, 3 empty.
            std::uint32_t tags = 0;
            for (unsigned i = 0; i < 8; ++i) tags |= (words[2] >> i & 1 ? 0u : 3u) << 2 * i;
            return tags;
        }
        case 3: return words[6];                                               // selector of the last instruction
        case 4: return words[4] | static_cast<std::uint32_t>(words[5]) << 16;  // its address
        case 5: return words[10];                                              // the same of its operand
        case 6: return words[8] | static_cast<std::uint32_t>(words[9]) << 16;
        default: return words[3] & 0x7FFu;
    }
}

std::uint64_t small_register(const ThreadRegisters& registers, std::size_t number) {
    if (number < general.size()) return registers.general.*general[number];
    if (number == flags) return registers.general.rflags;
    if (number == code_segment) return user_code;
    if (number == stack_segment) return user_data;
    if (number >= x87_control && number < sse) return control_of_x87(registers.vectors, number - x87_control);
    if (number == original_rax) return ~std::uint64_t{0};  // it is in no system call
    if (number == fs_base) return registers.fs_base;
    if (number == gs_base) return registers.gs_base;
    return 0;
}

std::string row(const std::string& name, std::size_t bits, const char* type, const char* group = nullptr) {
    return "<reg name=\"" + name + "\" bitsize=\"" + std::to_string(bits) + "\" type=\"" + type + "\"" +
           (group ? std::string(" group=\"") + group + "\"" : "") + "/>";
}

std::string core_rows() {
    std::string text;
    for (const char* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi"}) text += row(name, 64, "int64");
    text += row("rbp", 64, "data_ptr") + row("rsp", 64, "data_ptr");
    for (int i = 8; i < 16; ++i) text += row("r" + std::to_string(i), 64, "int64");
    text += row("rip", 64, "code_ptr") + row("eflags", 32, "i386_eflags");
    for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) text += row(name, 32, "int32");
    for (int i = 0; i < 8; ++i) text += row("st" + std::to_string(i), 80, "i387_ext");
    for (const char* name : {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"})
        text += row(name, 32, "int", "float");
    return text;
}

constexpr const char* flag_bits =
    "<flags id=\"i386_eflags\" size=\"4\"><field name=\"\" start=\"22\" end=\"31\"/><field name=\"CF\" start=\"0\" "
    "end=\"0\"/><field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/><field name=\"ZF\" "
    "start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/><field "
    "name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" "
    "end=\"11\"/></flags>";
constexpr const char* vector_types =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>"
    "<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"ZE\" start=\"2\" "
    "end=\"2\"/><field name=\"PE\" start=\"5\" end=\"5\"/></flags>";

}  // namespace

std::string target_description(bool has_avx) {
    const auto feature = [](const std::string& name, const std::string& what) {
        return "<feature name=\"org.gnu.gdb.i386." + name + "\">" + what + "</feature>";
    };
    std::string vectors = vector_types, halves;
    for (int i = 0; i < 16; ++i) {
        vectors += row("xmm" + std::to_string(i), 128, "vec128");
        halves += row("ymm" + std::to_string(i) + "h", 128, "uint128");
    }
    vectors += row("mxcsr", 32, "i386_mxcsr", "vector");
    return "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
           "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>" +
           feature("core", flag_bits + core_rows()) + feature("sse", vectors) +
           feature("linux", row("orig_rax", 64, "int", "system")) +
           feature("segments", row("fs_base", 64, "int") + row("gs_base", 64, "int")) +
           (has_avx ? feature("avx", halves) : "") + "</target>";
}

std::size_t gdb_register_count(bool has_avx) { return has_avx ? end : avx; }

std::size_t gdb_register_size(std::size_t number) {
    if (number < general.size() || (number >= original_rax && number < avx)) return 8;
    if (number >= x87 && number < x87_control) return 10;
    return (number >= sse && number < sse_control) || number >= avx ? 16 : 4;
}

std::vector<std::byte> gdb_register(const ThreadRegisters& registers, std::size_t number) {
    std::vector<std::byte> bytes(gdb_register_size(number));
    const std::size_t at = place(number);
    if (at == SIZE_MAX) {
        const std::uint64_t value = small_register(registers, number);
        std::memcpy(bytes.data(), &value, bytes.size());
        return bytes;
    }
    // A component that is not present is as after a reset, which is zero for all but a few that the image has always.
    const bool is_present = number < avx || present(registers.vectors) & has_avx_halves;
    if (is_present && registers.vectors.size() >= at + bytes.size())
        std::memcpy(bytes.data(), registers.vectors.data() + at, bytes.size());
    return bytes;
}

bool set_gdb_register(ThreadRegisters& registers, std::size_t number, std::span<const std::byte> bytes) {
    const std::size_t size = gdb_register_size(number), at = place(number);
    if (bytes.size() < size) return false;
    if (number < general.size()) {
        std::memcpy(&(registers.general.*general[number]), bytes.data(), size);
    } else if (number == flags) {
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data(), sizeof value);
        registers.general.rflags = value;
    } else if (at != SIZE_MAX && registers.vectors.size() >= at + size) {
        const std::uint64_t before = present(registers.vectors),
                            wanted = number >= avx ? has_avx_halves : has_x87_and_sse;
        if (number >= avx && !(before & has_avx_halves))
            std::memset(registers.vectors.data() + avx_offset, 0, (end - avx) * slot);
        const std::uint64_t bits = before | wanted;
        std::memcpy(registers.vectors.data() + at, bytes.data(), size);
        std::memcpy(registers.vectors.data() + present_offset, &bits, sizeof bits);
    }
    return true;
}

}  // namespace tinykvm::debug
