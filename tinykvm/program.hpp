// The bytes of an ELF file, which have been validated, and what its headers say.
//
// Thread safety: immutable. The file is read once; changing or removing it later changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/size_limit.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

// Reads a regular file, into memory of just its size. `check` is called every MiB and may throw to end that. Throws
// LoadError naming the file and what is wrong with it.
std::vector<std::byte> read_program_file(int fd, const std::string& name, const SizeLimit& limit,
                                         const std::function<void()>& check = nullptr);

class Program {
  public:
    // Reads and validates. Throws LoadError naming the file (or `name`) and what is wrong with it.
    static std::shared_ptr<const Program> from_file(const std::string& path,
                                                    const SizeLimit& limit = {most_program_bytes});
    static std::shared_ptr<const Program> from_descriptor(int fd, const std::string& name,
                                                          const SizeLimit& limit = {most_program_bytes});
    static std::shared_ptr<const Program> from_bytes(std::vector<std::byte> bytes, std::string name);

    struct Segment {  // a PT_LOAD
        std::uint64_t address, memory_size, file_offset, file_size;
        Protection protection;
    };

    const std::string& name() const { return name_; }
    std::span<const std::byte> bytes() const { return bytes_; }
    std::span<const Segment> segments() const { return segments_; }
    bool position_independent() const { return position_independent_; }
    std::uint64_t entry() const { return entry_; }
    // Path of the dynamic loader (PT_INTERP); empty for a static program.
    const std::string& interpreter() const { return interpreter_; }
    // The program headers, as found in the file (for AT_PHDR) and where they are in memory (0: not loaded).
    std::uint64_t headers_address() const { return headers_address_; }
    std::uint16_t header_count() const { return header_count_; }
    bool executable_stack() const { return executable_stack_; }
    // "static", "static-pie" or "dynamic".
    const char* type() const;

    // The function symbol that contains `address` (relative to the load bias). Empty when unknown.
    struct Symbol {
        std::string name;
        std::uint64_t offset = 0;
    };
    Symbol symbol_at(std::uint64_t address) const;

  private:
    Program() = default;
    struct FunctionSymbol {
        std::uint64_t address, size;
        std::string_view name;  // in bytes_
    };
    void read_headers();
    void read_symbols() const;

    std::string name_;
    std::vector<std::byte> bytes_;
    std::vector<Segment> segments_;
    std::string interpreter_;
    std::uint64_t entry_ = 0, headers_address_ = 0;
    std::uint16_t header_count_ = 0;
    bool position_independent_ = false, executable_stack_ = false;
    mutable std::once_flag symbols_read_;
    mutable std::vector<FunctionSymbol> symbols_;  // by address; read when first needed
};

}  // namespace tinykvm
