// Archives: which member is the program, and what hostile ones cannot do.
#include <gtest/gtest.h>

#include <random>

#include "api/archive.hpp"
#include "api/failure.hpp"
#include "tests/unit/archive_maker.hpp"

namespace tinykvm::api {
namespace {

const std::string elf = "\177ELF and then what the program is made of";
const std::string other_elf = "\177ELF and something else";

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// The program, or what was wrong.
std::string unpack(const std::string& archive, const std::vector<std::string>& names = {"prog"},
                   const ArchiveLimits& limits = {}) {
    try {
        const auto program = unpack_program(bytes(archive), names, [] {}, limits);
        return {reinterpret_cast<const char*>(program.data()), program.size()};
    } catch (const Failure& failure) {
        return failure.what();
    }
}

class ApiArchive : public testing::TestWithParam<ArchiveKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, ApiArchive, testing::Values(ArchiveKind::tar_xz, ArchiveKind::tar_zst, ArchiveKind::zip));

TEST_P(ApiArchive, OnlyElfFileIsTheProgramWhateverItsName) {
    const std::string archive = make_archive(
        GetParam(), {{"README", "text"}, {"empty", ""}, {"bin/", "", AE_IFDIR}, {"bin/x", elf}, {"prog", "no ELF file"}});
    EXPECT_TRUE(is_archive(bytes(archive)));
    EXPECT_EQ(unpack(archive), elf);
}

TEST_P(ApiArchive, NameDecidesAmongSeveral) {
    const std::string archive = make_archive(GetParam(), {{"lib/a.so", other_elf}, {"bin/prog", elf}, {"b", other_elf}});
    EXPECT_EQ(unpack(archive), elf);
    EXPECT_EQ(unpack(archive, {"file", "prog"}), elf);
    EXPECT_EQ(unpack(archive, {"b", "prog"}), other_elf);
    EXPECT_EQ(unpack(archive, {"prog", "b"}), elf);
    EXPECT_EQ(unpack(archive, {"c", "d"}),
              "the archive has 3 ELF files in it that may be the program, none of them is called \"c\" or \"d\"");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"a/prog", elf}, {"b/prog", elf}})),
              "the archive has 2 ELF files in it that may be the program");
}

TEST_P(ApiArchive, NoProgramInIt) {
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"prog", "text"}})), "the archive has no ELF file in it");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"prog", ""}})), "the archive has no ELF file in it");
}

TEST_P(ApiArchive, NamesAreNeverPaths) {
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"../../../../etc/prog", elf}})), elf);
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"/etc/passwd", elf}})), elf);
    EXPECT_EQ(unpack(make_archive(GetParam(), {{std::string(3000, 'x'), elf}})), elf);
}

TEST_P(ApiArchive, LinksAndDevicesAreNoPrograms) {
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

TEST_P(ApiArchive, WhatIsTooLargeIsRefusedWhileItIsUnpacked) {
    const std::string zeros(std::size_t{20} << 20, '\0');
    const std::string bomb = make_archive(GetParam(), {{"zeros", zeros}, {"prog", elf}});
    EXPECT_LT(bomb.size(), std::size_t{100000});
    EXPECT_EQ(unpack(bomb), elf);
    EXPECT_EQ(unpack(bomb, {"prog"}, {.max_unpacked = 1000000}), "the archive unpacks to more than 1000000 bytes");
    const std::string said = unpack(make_archive(GetParam(), {{"prog", elf + zeros}}), {"prog"}, {.max_program = 1000000});
    EXPECT_EQ(said, GetParam() == ArchiveKind::zip ? "the archive has a member of more than 1000000 bytes"
                                                   : "the archive has a program of more than 1000000 bytes");
    EXPECT_EQ(unpack(make_archive(GetParam(), {{"a", ""}, {"b", ""}, {"c", elf}}), {"prog"}, {.max_members = 2}),
              "the archive has more than 2 members");
}

TEST_P(ApiArchive, CheckEndsIt) {
    const std::string archive = make_archive(GetParam(), {{"a", "1"}, {"b", "2"}, {"prog", elf}});
    int calls = 0;
    EXPECT_THROW((void)unpack_program(bytes(archive), {"prog"},
                                      [&] {
                                          if (++calls == 2) throw Failure(FailureKind::closed, "enough");
                                      }),
                 Failure);
    EXPECT_EQ(calls, 2);
}

TEST_P(ApiArchive, TruncatedAnywhereItIsDamaged) {
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

TEST_P(ApiArchive, RandomDamageIsAnErrorOrHarmless) {
    const std::string whole = make_archive(GetParam(), {{"a", other_elf}, {"prog", elf + std::string(3000, 'x')}});
    std::mt19937 random(2);
    for (int round = 0; round < 3000; round++) {
        std::string damaged = whole;
        for (unsigned i = 0; i <= random() % 4; i++) {
            damaged[random() % damaged.size()] = static_cast<char>(random());
        }
        const std::string said = unpack(damaged, {"prog"}, {1000000, 2000000, 100});
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

TEST(ApiZip, WhatItSaysAboutItselfIsNotBelieved) {
    EXPECT_EQ(unpack(forged_zip(0, 0, 0, 0)), elf);
    EXPECT_EQ(unpack(forged_zip(0, 0, 8, 1)),
              "the archive has a member \"prog\" that is encrypted, or neither stored nor deflated");
    EXPECT_EQ(unpack(forged_zip(0, 0, 10, 12)),
              "the archive has a member \"prog\" that is encrypted, or neither stored nor deflated");
    EXPECT_EQ(unpack(forged_zip(0, 0, 16, 0x55)), "the archive is damaged: \"prog\" has a wrong checksum");
    EXPECT_EQ(unpack(forged_zip(0, 0, 23, 0x7F)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 27, 0x0F)), "the archive is damaged: \"prog\" cannot have that size");
    EXPECT_EQ(unpack(forged_zip(0, 0, 27, 0x7F)), "the archive has a member of more than 1073741824 bytes");
    EXPECT_EQ(unpack(forged_zip(0, 0, 28, 0xFF)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 43, 0x7F)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack(forged_zip(0, 0, 42, 1)), "the archive is damaged: a record is not where it should be");
    EXPECT_EQ(unpack(forged_zip(27, 0x7F, 0, 0)), "the archive is damaged: it ends too early");
    EXPECT_EQ(unpack("PK\3\4"), "the archive is damaged: it ends too early");
}

TEST(ApiArchiveKind, OtherFormatsAreNotRead) {
    EXPECT_FALSE(is_archive(bytes(elf)));
    EXPECT_FALSE(is_archive(bytes("")));
    EXPECT_FALSE(is_archive(bytes("PK")));
    EXPECT_FALSE(is_archive(bytes("\x1F\x8B\x08 gzip")));
    EXPECT_EQ(unpack("\x1F\x8B\x08 gzip").find("the archive is damaged: "), 0U);
}

}  // namespace
}  // namespace tinykvm::api
