// Archives: which member is the program, and what hostile ones cannot do.
#include "src/source/archive.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <random>

#include "src/base/failure.hpp"
#include "tests/unit/archive_maker.hpp"

namespace tinykvm::host {
namespace {

const std::string elf = "\177ELF and then what the program is made of";
const std::string other_elf = "\177ELF and something else";

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// The program, or what was wrong.
std::string unpack(const std::string& archive, const std::vector<std::string>& names = {"prog"},
                   const ArchiveLimits& limits = {}) {
    try {
        const auto program = unpack_program(
            bytes(archive), names, [] {}, limits);
        return {reinterpret_cast<const char*>(program.data()), program.size()};
    } catch (const Failure& failure) {
        return failure.what();
    }
}

class ArchiveTest : public testing::TestWithParam<ArchiveKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, ArchiveTest,
                         testing::Values(ArchiveKind::tar_xz, ArchiveKind::tar_zst, ArchiveKind::zip));

TEST_P(ArchiveTest, OnlyElfFileIsTheProgramWhateverItsName) {
    const std::string archive = make_archive(
        GetParam(),
        {{"README", "text"}, {"empty", ""}, {"bin/", "", AE_IFDIR}, {"bin/x", elf}, {"prog", "no ELF file"}});
    EXPECT_TRUE(is_archive(bytes(archive)));
    EXPECT_EQ(unpack(archive), elf);
}

TEST_P(ArchiveTest, NameDecidesAmongSeveral) {
    const std::string archive =
        make_archive(GetParam(), {{"lib/a.so", other_elf}, {"bin/prog", elf}, {"b", other_elf}});
    EXPECT_EQ(unpack(archive), elf);
    EXPECT_EQ(unpack(archive, {"file", "prog"}), elf);
    EXPECT_EQ(unpack(archive, {"b", "prog"}), other_elf);
    EXPECT_EQ(unpack(archive, {"prog", "b"}), elf);
    EXPECT_EQ(unpack(archive, {"c", "d"}),
              "the archive has 3 ELF files in it that may be the program, none of them is called \"c\" or \"d\"");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"a/prog", elf}, {"b/prog", elf}})),
              "the archive has 2 ELF files in it that may be the program");
}

TEST_P(ArchiveTest, NoProgramInIt) {
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"prog", "text"}})), "the archive has no ELF file in it");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"prog", ""}})), "the archive has no ELF file in it");
}

TEST_P(ArchiveTest, NamesAreNeverPaths) {
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"../../../../etc/prog", elf}})), elf);
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"/etc/passwd", elf}})), elf);
    EXPECT_EQ(unpack(make_archive(GetParam(), {{std::string(3000, 'x'), elf}})), elf);
}

TEST_P(ArchiveTest, LinksAndDevicesAreNoPrograms) {
    std::vector<ArchiveMember> members = {{"l", "", AE_IFLNK, "/etc/passwd"}};
    if (GetParam() != ArchiveKind::zip) {
        members.push_back({"prog", "", AE_IFREG, "/etc/passwd"});
        members.push_back({"prog", "", AE_IFCHR});
        members.push_back({"prog", "", AE_IFIFO});
    }
    EXPECT_EQ(unpack(make_archive(GetParam(), members)), "the archive has no ELF file in it");
    members.push_back({"other", elf});
    EXPECT_EQ(unpack(make_archive(GetParam(), members)), elf);
}

TEST_P(ArchiveTest, WhatIsTooLargeIsRefusedWhileItIsUnpacked) {
    const std::string zeros(std::size_t{20} << 20, '\0');
    const std::string bomb = make_archive(GetParam(), {{"zeros", zeros}, {"prog", elf}});
    EXPECT_LT(bomb.size(), std::size_t{100000});
    EXPECT_EQ(unpack(bomb), elf);
    // Only the program in a zip is unpacked.
    EXPECT_EQ(unpack(bomb, {"prog"}, {.max_unpacked = 1000000}),
              GetParam() == ArchiveKind::zip ? elf : "the archive unpacks to more than 1000000 bytes");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"prog", elf + zeros}}), {"prog"}, {.program = {1000000}}),
              "the archive has a program larger than 1000000 bytes");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"a", ""}, {"b", ""}, {"c", elf}}), {"prog"}, {.max_members = 2}),
              "the archive has more than 2 members");
}

TEST_P(ArchiveTest, CheckEndsIt) {
    const std::string archive = make_archive(GetParam(), {{"a", "1"}, {"b", "2"}, {"prog", elf}});
    int calls = 0;
    EXPECT_THROW((void)unpack_program(bytes(archive), {"prog"},
                                      [&] {
                                          if (++calls == 2) throw Failure(FailureKind::shutting_down, "enough");
                                      }),
                 Failure);
    EXPECT_EQ(calls, 2);
}

TEST_P(ArchiveTest, TruncatedAnywhereItIsDamaged) {
    std::string program = elf;
    std::mt19937 random(1);
    while (program.size() < 50000) program += static_cast<char>(random());
    const std::string whole = make_archive(GetParam(), {{"prog", program}});
    ASSERT_EQ(unpack(whole), program);
    for (std::size_t size = 0; size < whole.size() - 200; size += 97) {
        const std::string said = unpack(whole.substr(0, size));
        EXPECT_EQ(said.find("the archive "), 0U) << size << ": " << said.substr(0, 100);
    }
}

TEST_P(ArchiveTest, RandomDamageIsAnErrorOrHarmless) {
    const std::string whole = make_archive(GetParam(), {{"a", other_elf}, {"prog", elf + std::string(3000, 'x')}});
    std::mt19937 random(2);
    for (int round = 0; round < 3000; round++) {
        std::string damaged = whole;
        for (unsigned i = 0; i <= random() % 4; i++) {
            damaged[random() % damaged.size()] = static_cast<char>(random());
        }
        const std::string said = unpack(damaged, {"prog"}, {{1000000}, 2000000, 100});
        EXPECT_TRUE(said.starts_with("the archive ") || said.starts_with("\177ELF")) << said.substr(0, 100);
    }
}

// An archive with one stored member "prog", with two bytes changed.
std::string forged_zip(std::size_t local_at, std::uint8_t local_value, std::size_t entry_at, std::uint8_t entry_value) {
    std::string text = make_archive(ArchiveKind::zip, {{"prog", elf}});
    const std::size_t entry = text.rfind("PK\1\2");
    text[local_at] = local_at == 0 ? text[local_at] : static_cast<char>(local_value);
    text[entry + entry_at] = entry_at == 0 ? text[entry] : static_cast<char>(entry_value);
    return text;
}

TEST(Zip, WhatItSaysAboutItselfIsNotBelieved) {
    EXPECT_EQ(unpack(forged_zip(0, 0, 0, 0)), elf);
    EXPECT_EQ(unpack(forged_zip(0, 0, 8, 1)),
              "the archive has a member \"prog\" that is encrypted, or neither stored nor deflated");
    EXPECT_EQ(unpack(forged_zip(0, 0, 10, 12)),
              "the archive has a member \"prog\" that is encrypted, or neither stored nor deflated");
    EXPECT_EQ(unpack(forged_zip(0, 0, 16, 0x55)), "the archive is damaged: \"prog\" has a wrong checksum");
    EXPECT_EQ(unpack(forged_zip(0, 0, 23, 0x7F)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 27, 0x0F)), "the archive is damaged: \"prog\" cannot have that size");
    EXPECT_EQ(unpack(forged_zip(0, 0, 27, 0x7F)), "the archive is damaged: \"prog\" cannot have that size");
    EXPECT_EQ(unpack(forged_zip(0, 0, 28, 0xFF)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 43, 0x7F)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 42, 1)), "the archive is damaged: a record is not where it should be");
    EXPECT_EQ(unpack(forged_zip(27, 0x7F, 0, 0)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack("PK\3\4"), "the archive is damaged: it ends too early");
}

// By how many MiB the memory of a process grows at most while it does this. That is measured in a child, where no
// memory was freed before that could be used again.
std::size_t peak_of(const std::function<void()>& work) {
    int result[2];
    if (::pipe(result) != 0) return 0;
    const pid_t child = ::fork();
    if (child == 0) {
        const auto kibibytes = [](const char* name) {
            std::ifstream status("/proc/self/status");
            for (std::string line; std::getline(status, line);)
                if (line.starts_with(name)) return std::stoul(line.substr(std::strlen(name)));
            return 0UL;
        };
        std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
        const std::size_t before = kibibytes("VmRSS:");
        work();
        const std::size_t grown = (kibibytes("VmHWM:") - before) / 1024;
        ::_exit(::write(result[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
    }
    ::close(result[1]);
    std::size_t grown = std::numeric_limits<std::size_t>::max();
    EXPECT_EQ(::read(result[0], &grown, sizeof grown), static_cast<ssize_t>(sizeof grown));
    ::close(result[0]);
    ::waitpid(child, nullptr, 0);
    return grown;
}

TEST_P(ArchiveTest, BombsTakeNoMemory) {
    constexpr std::size_t limit = std::size_t{8} << 20, most_mebibytes = 80;
    const std::string zeros(std::size_t{128} << 20, '\0');
    const std::string text = make_archive(GetParam(), {{"zeros", zeros}, {"prog", elf}});
    const std::string program = make_archive(GetParam(), {{"prog", elf + zeros}});
    const ArchiveLimits limits{{limit, "max_memory"}};
    EXPECT_EQ(unpack(text, {"prog"}, limits), elf);
    EXPECT_EQ(unpack(program, {"prog"}, limits), "the archive has a program larger than 8 MiB (max_memory)");
    EXPECT_LT(peak_of([&] { (void)unpack(text, {"prog"}, limits); }), most_mebibytes);
    EXPECT_LT(peak_of([&] { (void)unpack(program, {"prog"}, limits); }), most_mebibytes);
    // A program with a better name takes the place of one that was found before.
    const std::string large = elf + zeros.substr(0, limit - 1000);
    const std::string several = make_archive(GetParam(), {{"x", large}, {"y", large}, {"prog", large}});
    EXPECT_EQ(unpack(several, {"prog"}, limits), large);
    EXPECT_LT(peak_of([&] { (void)unpack(several, {"prog"}, limits); }), most_mebibytes);
}

std::string little_endian(std::uint32_t value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

std::uint32_t crc32(std::string_view bytes) {
    std::uint32_t crc = 0xFFFFFFFF;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

// RFC 8878 3.1.1, and the .xz file format 3.1: what a decoder has to remember is said in a header.
TEST(ArchiveMemory, DictionariesAreWithinTheLimit) {
    std::string xz = make_archive(ArchiveKind::tar_xz, {{"prog", elf}});
    const std::size_t header = 12, size = 4 * (static_cast<unsigned char>(xz[header]) + 1U);
    const std::size_t filter = xz.find(std::string("\x21\x01", 2), header + 2);
    ASSERT_LT(filter, header + size);
    xz[filter + 2] = 35;  // 768 MiB
    xz.replace(header + size - 4, 4, little_endian(crc32(std::string_view(xz).substr(header, size - 4))));
    const std::string said = unpack(xz);
    EXPECT_TRUE(said.starts_with("\177ELF")) << said;
    EXPECT_EQ(unpack(xz, {"prog"}, {.program = {1000000}}), "the archive needs 769 MiB to be unpacked, more than 72");
    EXPECT_EQ(unpack("\x28\xB5\x2F\xFD" + std::string("\x00\xA8\x01\x00\x00", 5), {"prog"}, {.program = {1000000}}),
              "the archive needs more than 64 MiB to be unpacked");
}

// A tar with a file of which a map says where its holes are: libarchive has all of a map in memory.
TEST(ArchiveMemory, MapsOfHolesAreWithinTheLimit) {
    const auto block = [](const std::string& name, char type, std::size_t size) {
        std::string header(512, '\0');
        const auto put = [&header](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
        char octal[12];
        std::snprintf(octal, sizeof octal, "%011zo", size);
        put(0, name);
        put(100, "0000755");
        put(124, octal);
        put(148, "        ");
        put(156, std::string(1, type));
        put(257, std::string("ustar\00000", 8));
        unsigned sum = 0;
        for (const char c : header) sum += static_cast<unsigned char>(c);
        std::snprintf(octal, sizeof octal, "%06o", sum);
        put(148, octal);
        return header;
    };
    std::string map = "9000000\n";
    while (map.size() < std::size_t{36} << 20) map += "0\n0\n";
    const std::string pax = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.name=fullofit\n";
    const std::string tar = block("x", 'x', pax.size()) + pax + std::string(512 - pax.size(), '\0') +
                            block("prog", '0', map.size()) + map + std::string(2048, '\0');
    const std::string archive = compress(tar);
    EXPECT_EQ(unpack(archive), "the archive has a header of more than 2 MiB");
    EXPECT_LT(peak_of([&] { (void)unpack(archive); }), 100U);
}

TEST(ArchiveKind, OtherFormatsAreNotRead) {
    EXPECT_FALSE(is_archive(bytes(elf)));
    EXPECT_FALSE(is_archive(bytes("")));
    EXPECT_FALSE(is_archive(bytes("PK")));
    EXPECT_FALSE(is_archive(bytes("\x1F\x8B\x08 gzip")));
    EXPECT_EQ(unpack("\x1F\x8B\x08 gzip").find("the archive is damaged: "), 0U);
}

}  // namespace
}  // namespace tinykvm::host
