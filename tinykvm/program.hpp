// The bytes of an ELF file, and what its headers say, which has been validated.
//
// A program that is loaded from a snapshot does not need its file but for the headers. So the rest is read when it is
// first asked for. Until then the file is open; it may be removed or replaced, and one that is changed in place is of
// no use any more. After that nothing that becomes of the file changes anything.
//
// Thread safety: any thread.
#pragma once

#include <elf.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/file_stamp.hpp"
#include "tinykvm/size_limit.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

// Reads a regular file, into memory of just its size. `check` is called every MiB and may throw to end that. Throws
// LoadError naming the file and what is wrong with it.
std::vector<std::byte> read_program_file(int fd, const std::string& name, const SizeLimit& limit,
                                         const std::function<void()>& check = nullptr);

class Program {
  public:
    // Reads the headers and validates them. Throws LoadError naming the file (or `name`) and what is wrong with it.
    static std::shared_ptr<const Program> open(const std::string& path, const SizeLimit& limit = {most_program_bytes});
    static std::shared_ptr<const Program> open(FileDescriptor file, std::string name, const SizeLimit& limit);
    // Reads all of it.
    static std::shared_ptr<const Program> from_file(const std::string& path,
                                                    const SizeLimit& limit = {most_program_bytes});
    static std::shared_ptr<const Program> from_bytes(std::vector<std::byte> bytes, std::string name);

    struct Segment {  // a PT_LOAD
        std::uint64_t address, memory_size, file_offset, file_size;
        Protection protection;
    };

    const std::string& name() const { return name_; }
    std::size_t size() const { return size_; }
    // Throw LoadError when the file is read only now, and that fails or it has changed since it was opened. `check` is
    // called every MiB that is read, and may throw to end that.
    std::span<const std::byte> bytes() const;
    void read(const std::function<void()>& check = nullptr) const;
    // Of the file that these are the headers and the bytes of; nullopt: there is none, or no telling.
    std::optional<FileStamp> stamp() const { return is_as_opened_ ? stamp_ : std::nullopt; }
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

    // The function symbol that contains `address` (relative to the load bias). Empty when unknown. Reads the file.
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
    void take_header(const Elf64_Phdr& header, const std::string& which, std::uint64_t headers_offset);
    void take_segment(const Elf64_Phdr& header, const std::string& which);
    std::vector<std::byte> piece(std::uint64_t offset, std::uint64_t size) const;
    void read_symbols() const;
    [[noreturn]] void fail(const std::string& why) const;

    std::string name_;
    std::uint64_t size_ = 0;
    FileStamp opened_;  // of the file, settled or not
    std::optional<FileStamp> stamp_;
    mutable std::atomic<bool> is_as_opened_ = true;
    mutable std::once_flag read_;
    mutable FileDescriptor file_;  // null: all of it was read
    mutable std::vector<std::byte> bytes_;
    std::vector<Segment> segments_;
    std::string interpreter_;
    std::uint64_t entry_ = 0, headers_address_ = 0;
    std::uint16_t header_count_ = 0;
    bool position_independent_ = false, executable_stack_ = false;
    mutable std::once_flag symbols_read_;
    mutable std::vector<FunctionSymbol> symbols_;  // by address; read when first needed
};

}  // namespace tinykvm
