#include "tinykvm/program.hpp"

#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm {

namespace {

constexpr std::size_t max_segments = 64;
constexpr std::size_t max_interpreter_path = 4096;
constexpr std::size_t max_symbols = std::size_t{1} << 19;  // of all tables together
constexpr std::size_t max_symbol_name = 256;

struct ElfEnd {
    void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfHandle = std::unique_ptr<Elf, ElfEnd>;

ElfHandle open_elf(std::span<const std::byte> bytes) {
    static const unsigned version = elf_version(EV_CURRENT);
    if (version == EV_NONE) return nullptr;
    // libelf does not write to the image unless it is told to convert it in place.
    return ElfHandle(elf_memory(const_cast<char*>(reinterpret_cast<const char*>(bytes.data())), bytes.size()));
}

// Says what these bytes begin when it is not an ELF file that can be run. The checks are in the order in which the
// header has to be read: later fields mean something only for the right class and byte order.
std::string why_no_x86_program(std::span<const std::byte> bytes) {
    if (bytes.size() < EI_NIDENT) return "too short for an ELF file";
    if (std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) return "not an ELF file";
    Elf64_Ehdr header{};
    std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
    const unsigned format = header.e_ident[EI_CLASS], order = header.e_ident[EI_DATA];
    if (format == ELFCLASS32) return "a 32-bit program; only 64-bit x86 programs can run";
    if (format != ELFCLASS64) return "an ELF file of the unknown class " + std::to_string(format);
    if (order == ELFDATA2MSB) return "a big-endian program; only 64-bit x86 programs can run";
    if (order != ELFDATA2LSB) return "an ELF file with the unknown byte order " + std::to_string(order);
    if (bytes.size() < sizeof header) return "too short for an ELF file";
    if (header.e_machine != EM_X86_64)
        return "a program for another kind of machine (ELF machine " + std::to_string(header.e_machine) +
               "); only 64-bit x86 programs can run";
    if (header.e_type == ET_REL) return "an object file that is not linked yet";
    if (header.e_type == ET_CORE) return "a core dump, not a program";
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return "not an executable (ELF type " + std::to_string(header.e_type) + ")";
    if (header.e_phentsize != sizeof(Elf64_Phdr)) return "program headers of an unknown size";
    return {};
}

bool is_in_file(const Elf64_Phdr& ph, std::uint64_t file_size) {
    return ph.p_offset <= file_size && ph.p_filesz <= file_size - ph.p_offset;
}

// Are these bytes of the file among those that the header loads?
bool holds(const Elf64_Phdr& ph, std::uint64_t offset, std::uint64_t size) {
    return offset >= ph.p_offset && offset - ph.p_offset < ph.p_filesz && size <= ph.p_filesz - (offset - ph.p_offset);
}

Protection protection_of(const Elf64_Phdr& ph) {
    return {(ph.p_flags & PF_R) != 0, (ph.p_flags & PF_W) != 0, (ph.p_flags & PF_X) != 0};
}

// What is wrong with a PT_LOAD by itself; empty: nothing.
std::string why_not_loadable(const Elf64_Phdr& ph, std::uint64_t file_size, bool position_independent) {
    if (!is_in_file(ph, file_size)) return "is beyond the end of the file (truncated?)";
    if (ph.p_filesz > ph.p_memsz) return "has more bytes in the file than in memory";
    if (ph.p_memsz == 0) return "";
    if (ph.p_vaddr >= x86::user_end || ph.p_memsz > x86::user_end - ph.p_vaddr) return "is outside the address space";
    if (!position_independent && ph.p_vaddr < x86::user_begin) return "is below 64 KiB";
    if (ph.p_vaddr % page_size != ph.p_offset % page_size) return "is not aligned to pages like its bytes in the file";
    return "";
}

// What a PT_INTERP holds; empty when that is no name. Messages quote it, so there are no control characters in it.
std::string interpreter_path(std::span<const std::byte> bytes) {
    const char* text = reinterpret_cast<const char*>(bytes.data());
    if (bytes.size() < 2 || text[bytes.size() - 1] != '\0') return "";
    const std::string path = text;
    const bool is_text = std::none_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    return is_text ? path : "";
}

// What a program can be: a regular file that is not too large.
struct stat status_of(int fd, const std::string& name, const SizeLimit& limit) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) throw LoadError(name + ": " + std::strerror(errno));
    if (!S_ISREG(status.st_mode)) throw LoadError(name + ": not a regular file");
    if (static_cast<std::uint64_t>(status.st_size) > limit.bytes) throw LoadError(name + ": " + limit.exceeded());
    return status;
}

void read_at(int fd, const std::string& name, std::uint64_t offset, std::span<std::byte> bytes,
             const std::function<void()>& check) {
    constexpr std::size_t piece = std::size_t{1} << 20;
    for (std::size_t done = 0; done < bytes.size();) {
        if (check) check();
        const ssize_t size =
            ::pread(fd, bytes.data() + done, std::min(bytes.size() - done, piece), static_cast<off_t>(offset + done));
        if (size < 0 && errno != EINTR) throw LoadError(name + ": " + std::strerror(errno));
        if (size == 0) throw LoadError(name + ": became shorter while it was read");
        done += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    }
}

}  // namespace

std::vector<std::byte> read_program_file(int fd, const std::string& name, const SizeLimit& limit,
                                         const std::function<void()>& check) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(status_of(fd, name, limit).st_size));
    read_at(fd, name, 0, bytes, check);
    return bytes;
}

std::shared_ptr<const Program> Program::open(const std::string& path, const SizeLimit& limit) {
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) throw LoadError(path + ": " + std::strerror(errno));
    return open(std::move(file), path, limit);
}

std::shared_ptr<const Program> Program::open(FileDescriptor file, std::string name, const SizeLimit& limit) {
    std::shared_ptr<Program> program(new Program);
    program->opened_ = FileStamp::of(status_of(file.get(), name, limit));
    const bool is_settled = program->opened_.is_settled();
    program->name_ = std::move(name);
    program->size_ = static_cast<std::uint64_t>(program->opened_.size);
    program->file_ = std::move(file);
    program->read_headers();
    if (is_settled && FileStamp::of(program->file_.get()) == program->opened_) program->stamp_ = program->opened_;
    return program;
}

std::shared_ptr<const Program> Program::from_file(const std::string& path, const SizeLimit& limit) {
    std::shared_ptr<const Program> program = open(path, limit);
    program->read();
    return program;
}

std::shared_ptr<const Program> Program::from_bytes(std::vector<std::byte> bytes, std::string name) {
    std::shared_ptr<Program> program(new Program);
    program->name_ = std::move(name);
    program->size_ = bytes.size();
    program->bytes_ = std::move(bytes);
    program->read_headers();
    return program;
}

void Program::fail(const std::string& why) const { throw LoadError(name_ + ": " + why); }

std::span<const std::byte> Program::bytes() const {
    read();
    return bytes_;
}

void Program::read(const std::function<void()>& check) const {
    std::call_once(read_, [&] {
        if (!file_) return;
        std::vector<std::byte> bytes(size_);
        read_at(file_.get(), name_, 0, bytes, check);
        const std::optional<FileStamp> now = FileStamp::of(file_.get());
        if (!now || !now->has_contents_of(opened_)) fail("has changed since it was opened");
        is_as_opened_ = *now == opened_;
        bytes_ = std::move(bytes);
        file_ = {};
    });
}

// These bytes of the file, as far as it has them. Only while the program is made.
std::vector<std::byte> Program::piece(std::uint64_t offset, std::uint64_t size) const {
    if (offset >= size_) return {};
    std::vector<std::byte> found(std::min(size, size_ - offset));
    if (file_)
        read_at(file_.get(), name_, offset, found, nullptr);
    else
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), found.size(), found.begin());
    return found;
}

void Program::read_headers() {
    const std::vector<std::byte> start = piece(0, sizeof(Elf64_Ehdr));
    if (const std::string why = why_no_x86_program(start); !why.empty()) fail(why);
    Elf64_Ehdr header{};
    std::memcpy(&header, start.data(), sizeof header);
    if (header.e_phnum == 0) fail("no program headers: nothing to load");
    if (header.e_phnum > max_segments * 4) fail("too many program headers");

    position_independent_ = header.e_type == ET_DYN;
    entry_ = header.e_entry;
    header_count_ = header.e_phnum;
    std::vector<Elf64_Phdr> headers(header.e_phnum);
    const std::vector<std::byte> table = piece(header.e_phoff, headers.size() * sizeof(Elf64_Phdr));
    if (table.size() < headers.size() * sizeof(Elf64_Phdr)) fail("its program headers are beyond the end of the file");
    std::memcpy(headers.data(), table.data(), table.size());
    for (std::size_t i = 0; i < headers.size(); ++i)
        take_header(headers[i], "program header " + std::to_string(i), header.e_phoff);
    if (segments_.empty()) fail("no loadable segments");
    const bool entry_is_code = std::any_of(segments_.begin(), segments_.end(), [&](const Segment& s) {
        return s.protection.execute && entry_ >= s.address && entry_ - s.address < s.memory_size;
    });
    if (!entry_is_code) fail("its entry point is not in executable memory (a shared library?)");
}

void Program::take_header(const Elf64_Phdr& header, const std::string& which, std::uint64_t headers_offset) {
    switch (header.p_type) {
        case PT_LOAD:
            take_segment(header, which);
            if (header.p_memsz != 0 && holds(header, headers_offset, header_count_ * sizeof(Elf64_Phdr)))
                headers_address_ = header.p_vaddr + (headers_offset - header.p_offset);
            break;
        case PT_INTERP:
            if (is_in_file(header, size_) && header.p_filesz <= max_interpreter_path)
                interpreter_ = interpreter_path(piece(header.p_offset, header.p_filesz));
            if (interpreter_.empty()) fail("the name of its interpreter is malformed");
            if (interpreter_[0] != '/') fail("the name of its interpreter is not an absolute path");
            break;
        case PT_GNU_STACK: executable_stack_ = (header.p_flags & PF_X) != 0; break;
        default: break;
    }
}

void Program::take_segment(const Elf64_Phdr& header, const std::string& which) {
    const std::string why = why_not_loadable(header, size_, position_independent_);
    if (!why.empty()) fail(which + " " + why);
    if (header.p_memsz == 0) return;
    if (!segments_.empty() && header.p_vaddr < segments_.back().address + segments_.back().memory_size)
        fail(which + " overlaps the one before or is out of order");
    if (segments_.size() == max_segments) fail("more than 64 segments");
    segments_.push_back({header.p_vaddr, header.p_memsz, header.p_offset, header.p_filesz, protection_of(header)});
}

const char* Program::type() const {
    if (!interpreter_.empty()) return "dynamic";
    return position_independent_ ? "static-pie" : "static";
}

// Reads what a fault report needs, when the first one is made. The tables are input from the program's file: what is
// wrong in them costs names, and nothing else.
void Program::read_symbols() const {
    try {
        read();
    } catch (const LoadError&) {
        return;
    }
    ElfHandle elf = open_elf(bytes_);
    if (!elf) return;
    bool any_table = false;
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.get(), section));) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header)) continue;
        if ((header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) || header.sh_entsize == 0) continue;
        Elf_Data* data = elf_getdata(section, nullptr);
        if (!data) continue;
        const std::size_t count =
            std::min<std::size_t>(data->d_size / sizeof(Elf64_Sym), max_symbols - symbols_.size());
        for (std::size_t i = 0; i < count; ++i) {
            GElf_Sym symbol;
            if (!gelf_getsym(data, static_cast<int>(i), &symbol)) break;
            if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
            const char* name = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
            const char* begin = reinterpret_cast<const char*>(bytes_.data());
            if (!name || name < begin || name >= begin + bytes_.size()) continue;
            const std::size_t rest = std::min<std::size_t>(max_symbol_name, begin + bytes_.size() - name);
            symbols_.push_back({symbol.st_value, symbol.st_size, {name, ::strnlen(name, rest)}});
        }
        // A file has one table of each kind, and .symtab has all that .dynsym has.
        if (header.sh_type == SHT_SYMTAB && !symbols_.empty()) break;
        if (std::exchange(any_table, true)) break;
    }
    std::sort(symbols_.begin(), symbols_.end(),
              [](const FunctionSymbol& a, const FunctionSymbol& b) { return a.address < b.address; });
}

Program::Symbol Program::symbol_at(std::uint64_t address) const {
    std::call_once(symbols_read_, [this] { read_symbols(); });
    auto after = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                  [](std::uint64_t a, const FunctionSymbol& s) { return a < s.address; });
    if (after == symbols_.begin()) return {};
    const FunctionSymbol& symbol = *std::prev(after);
    if (symbol.size != 0 && address - symbol.address >= symbol.size) return {};
    for (const Segment& s : segments_)
        if (s.protection.execute && address >= s.address && address - s.address < s.memory_size)
            return {std::string(symbol.name), address - symbol.address};
    return {};
}

}  // namespace tinykvm
