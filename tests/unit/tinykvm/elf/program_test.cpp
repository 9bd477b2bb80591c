// Reading ELF files: what is right loads, everything else is a LoadError that says what is wrong.
#include "tinykvm/program.hpp"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "tests/unit/folder.hpp"
#include "tinykvm/elf/loader.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"

namespace tinykvm {
namespace {

namespace fs = std::filesystem;

// The smallest program: one segment of code at 4 MiB that holds the headers too, one of data.
struct Image {
    Elf64_Ehdr header{};
    Elf64_Phdr code{}, data{};
    std::vector<std::byte> tail = std::vector<std::byte>(8192);

    Image() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_EXEC;
        header.e_machine = EM_X86_64;
        header.e_version = EV_CURRENT;
        header.e_entry = 0x400100;
        header.e_phoff = sizeof header;
        header.e_ehsize = sizeof header;
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 2;
        header.e_shentsize = sizeof(Elf64_Shdr);
        code = {PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000};
        data = {PT_LOAD, PF_R | PF_W, 0x1000, 0x402000, 0x402000, 0x800, 0x3000, 0x1000};
    }
    std::vector<std::byte> bytes() const {
        std::vector<std::byte> all(tail);
        std::memcpy(all.data(), &header, sizeof header);
        std::memcpy(all.data() + sizeof header, &code, sizeof code);
        std::memcpy(all.data() + sizeof header + sizeof code, &data, sizeof data);
        return all;
    }
};

std::string error_of(std::vector<std::byte> bytes) {
    try {
        Program::from_bytes(std::move(bytes), "victim");
        return "";
    } catch (const LoadError& error) {
        return error.what();
    }
}

TEST(Program, ReadsAProperFile) {
    auto program = Program::from_bytes(Image().bytes(), "proper");
    EXPECT_EQ(program->segments().size(), 2u);
    EXPECT_STREQ(program->type(), "static");
    EXPECT_EQ(program->entry(), 0x400100u);
    EXPECT_EQ(program->headers_address(), 0x400040u);
    EXPECT_EQ(program->header_count(), 2);
}

TEST(Program, EachDefectIsNamed) {
    struct Case {
        const char* what;
        std::function<void(Image&)> damage;
        const char* says;
    } const cases[] = {
        {"magic", [](Image& i) { i.header.e_ident[0] = 'X'; }, "not an ELF file"},
        // A header of another class or byte order is not read.
        {"class",
         [](Image& i) {
             i.header.e_ident[EI_CLASS] = ELFCLASS32;
             i.header.e_machine = EM_386;
         },
         ": a 32-bit program;"},
        {"class 3", [](Image& i) { i.header.e_ident[EI_CLASS] = 3; }, ": an ELF file of the unknown class 3"},
        {"byte order",
         [](Image& i) {
             i.header.e_ident[EI_DATA] = ELFDATA2MSB;
             i.header.e_machine = EM_S390 << 8;
             i.header.e_type = ET_EXEC << 8;
         },
         ": a big-endian program;"},
        {"byte order 0", [](Image& i) { i.header.e_ident[EI_DATA] = 0; },
         ": an ELF file with the unknown byte order 0"},
        {"machine", [](Image& i) { i.header.e_machine = EM_AARCH64; }, ": a program for another kind of machine (ELF "},
        {"type", [](Image& i) { i.header.e_type = ET_CORE; }, ": a core dump"},
        {"relocatable", [](Image& i) { i.header.e_type = ET_REL; }, ": an object file that is not linked yet"},
        {"type 77", [](Image& i) { i.header.e_type = 77; }, ": not an executable (ELF type 77)"},
        {"phentsize", [](Image& i) { i.header.e_phentsize = 1; }, "program headers of an unknown size"},
        {"phnum 0", [](Image& i) { i.header.e_phnum = 0; }, "program headers"},
        {"phnum huge", [](Image& i) { i.header.e_phnum = 65000; }, "too many program headers"},
        {"phoff far", [](Image& i) { i.header.e_phoff = 1 << 20; }, "headers are beyond the end of the file"},
        {"phoff wraps", [](Image& i) { i.header.e_phoff = ~0ull - 63; }, "headers are beyond the end of the file"},
        {"phoff last", [](Image& i) { i.header.e_phoff = 8192 - 8; }, "headers are beyond the end of the file"},
        {"truncated", [](Image& i) { i.tail.resize(4096); }, "truncated"},
        {"offset wraps", [](Image& i) { i.data.p_offset = ~0ull - 0xFFF; }, "beyond the end of the file"},
        {"filesz", [](Image& i) { i.data.p_filesz = ~0ull; }, "beyond the end of the file"},
        {"memsz < filesz", [](Image& i) { i.data.p_memsz = 1; }, "more bytes in the file than in memory"},
        {"memsz wraps", [](Image& i) { i.data.p_memsz = ~0ull - 0x402000; }, "outside the address space"},
        {"vaddr kernel", [](Image& i) { i.data.p_vaddr = 0xFFFF800000001000; }, "outside the address space"},
        {"vaddr null", [](Image& i) { i.code.p_vaddr = 0; }, "below 64 KiB"},
        {"misaligned", [](Image& i) { i.data.p_vaddr += 8; }, "not aligned"},
        {"overlap", [](Image& i) { i.data.p_vaddr = 0x400000; }, "overlaps"},
        {"entry", [](Image& i) { i.header.e_entry = 0x402000; }, "entry point"},
        {"entry far", [](Image& i) { i.header.e_entry = ~0ull; }, "entry point"},
        {"no segment", [](Image& i) { i.code.p_type = i.data.p_type = PT_NOTE; }, "no loadable segments"},
        {"interpreter without end",
         [](Image& i) {
             i.data.p_type = PT_INTERP;
             std::memset(i.tail.data() + 0x1000, 'x', 0x800);
         },
         "interpreter"},
        {"interpreter relative",
         [](Image& i) {
             i.data.p_type = PT_INTERP;
             std::memcpy(i.tail.data() + 0x1000, "lib/ld.so", 10);
         },
         "interpreter"},
        {"interpreter unfit for a log",
         [](Image& i) {
             i.data.p_type = PT_INTERP;
             std::memset(i.tail.data() + 0x1000, 0, 0x800);
             std::memcpy(i.tail.data() + 0x1000, "/lib\nld.so", 11);
         },
         "interpreter is malformed"},
    };
    for (const Case& c : cases) {
        Image image;
        c.damage(image);
        const std::string error = error_of(image.bytes());
        EXPECT_NE(error.find(c.says), std::string::npos) << c.what << ": " << error;
        EXPECT_NE(error.find("victim"), std::string::npos) << c.what << ": " << error;
    }
}

// Headers of other classes are of other lengths, so the beginning decides what is said.
TEST(Program, ShortFilesAreNamedByWhatTheyBeginWith) {
    const std::vector<std::byte> whole = Image().bytes();
    const auto said = [&](std::size_t size, unsigned char format) {
        std::vector<std::byte> bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        if (size > EI_CLASS) bytes[EI_CLASS] = static_cast<std::byte>(format);
        return error_of(bytes);
    };
    EXPECT_EQ(said(0, 0), "victim: too short for an ELF file");
    EXPECT_EQ(said(15, ELFCLASS64), "victim: too short for an ELF file");
    EXPECT_EQ(said(52, ELFCLASS32), "victim: a 32-bit program; only 64-bit x86 programs can run");
    EXPECT_EQ(said(63, ELFCLASS64), "victim: too short for an ELF file");
}

TEST(Program, EveryTruncationOfARealProgramIsRefusedOrHarmless) {
    auto whole = Program::from_file(TINYKVM_BUILD_DIR "/programs/hello");
    const auto bytes = whole->bytes();
    std::mt19937 random(3);
    for (int i = 0; i < 300; ++i) {
        const std::size_t size = i < 200 ? static_cast<std::size_t>(i) * 8 : random() % bytes.size();
        (void)error_of({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    }
}

// Headers and tables of a real program with random bytes in them: load, lay out and look up symbols, under the
// sanitizers of the sanitize build.
TEST(Program, RandomDamageIsRefusedOrHarmless) {
    auto whole = Program::from_file(TINYKVM_BUILD_DIR "/programs/hello");
    std::mt19937_64 random(11);
    int loaded = 0;
    for (int round = 0; round < 400; ++round) {
        std::vector<std::byte> bytes(whole->bytes().begin(), whole->bytes().end());
        const std::size_t region = round % 2 ? 1024 : bytes.size();
        for (int n = 0; n < 1 + round % 5; ++n) {
            // Headers at the front, section headers and symbol tables at the back.
            std::size_t at = random() % std::min(region, bytes.size());
            if (round % 4 == 2) at = bytes.size() - 1 - random() % 8192;
            const std::uint64_t values[] = {0, 0xFF, 0x7F, 0x80, random()};
            bytes[at] = static_cast<std::byte>(values[random() % 5]);
        }
        try {
            auto program = Program::from_bytes(std::move(bytes), "damaged");
            for (std::uint64_t address : {program->entry(), std::uint64_t{0}, ~std::uint64_t{0}, random()})
                EXPECT_LE(program->symbol_at(address).name.size(), 256u);
            kvm::Vm vm;
            GuestMemory memory(vm, {std::size_t{16} << 20, "max_memory", std::size_t{256} << 20});
            elf::load(memory, program, elf::program_base);
            ++loaded;
        } catch (const LoadError&) {
        } catch (const OutOfMemory&) {
        }
    }
    EXPECT_GT(loaded, 0);
}

TEST(Program, MissingAndUnfitFilesAreNamed) {
    for (const char* path : {"/nonexistent/program", "/", "/dev/null", "/dev/zero"}) {
        try {
            Program::from_file(path);
            ADD_FAILURE() << path;
        } catch (const LoadError& error) {
            EXPECT_EQ(std::string(error.what()).rfind(path, 0), 0u) << error.what();
        }
    }
}

// --- A file that is read when it is needed

class ProgramInFile : public testing::Test {
  protected:
    ProgramInFile() { fs::copy_file(TINYKVM_BUILD_DIR "/programs/hello", path); }

    void change(std::size_t size) const {
        ::sleep(1);  // more than a tick of the file system's clock
        fs::resize_file(path, size);
    }

    const test::Folder folder;
    const std::string path = folder / "hello";
};

TEST_F(ProgramInFile, IsTheSameWheneverItIsRead) {
    const auto read = Program::from_file(path);
    const auto program = Program::open(path);
    EXPECT_EQ(program->size(), fs::file_size(path));
    EXPECT_EQ(program->entry(), read->entry());
    EXPECT_EQ(program->headers_address(), read->headers_address());
    EXPECT_EQ(program->header_count(), read->header_count());
    EXPECT_EQ(program->segments().size(), read->segments().size());
    fs::remove(path);
    EXPECT_TRUE(std::ranges::equal(program->bytes(), read->bytes()));
    EXPECT_EQ(program->symbol_at(program->entry()).name, "_start");
}

TEST_F(ProgramInFile, OneThatHasChangedIsNotRead) {
    const auto size = fs::file_size(path);
    const auto read = Program::from_file(path), program = Program::open(path);
    for (const std::size_t changed : {size, size - 1, std::size_t{0}}) {
        change(changed);
        try {
            (void)program->bytes();
            ADD_FAILURE() << changed;
        } catch (const LoadError& error) {
            EXPECT_EQ(error.what(), path + (changed == size ? ": has changed since it was opened"
                                                            : ": became shorter while it was read"));
        }
        EXPECT_EQ(program->symbol_at(program->entry()).name, "");
        EXPECT_EQ(program->size(), size);
    }
    EXPECT_EQ(read->symbol_at(read->entry()).name, "_start");
}

TEST_F(ProgramInFile, WhoAsksForItMayEndReadingIt) {
    const auto program = Program::open(path);
    struct Enough {};
    EXPECT_THROW(program->read([] { throw Enough(); }), Enough);
    EXPECT_EQ(program->bytes().size(), program->size());
    EXPECT_NO_THROW(program->read([] { throw Enough(); }));  // there is nothing left to read
}

TEST_F(ProgramInFile, HasAStampOnceItHasSettled) {
    EXPECT_FALSE(Program::open(path)->stamp());
    ::sleep(4);
    EXPECT_EQ(Program::open(path)->stamp(), Program::from_file(path)->stamp());
    const auto program = Program::open(path);
    EXPECT_TRUE(program->stamp());
    fs::remove(path);  // is a change of its inode: that may not have been the only one
    EXPECT_GT(program->bytes().size(), 0u);
    EXPECT_FALSE(program->stamp());
    EXPECT_FALSE(Program::from_bytes(Image().bytes(), "bytes")->stamp());
}

TEST(Program, SymbolsAreFoundByAddress) {
    auto program = Program::from_file(TINYKVM_BUILD_DIR "/programs/hello");
    auto symbol = program->symbol_at(program->entry());
    EXPECT_EQ(symbol.name, "_start");
    EXPECT_EQ(symbol.offset, 0u);
    EXPECT_TRUE(program->symbol_at(0).name.empty());
}

}  // namespace
}  // namespace tinykvm
