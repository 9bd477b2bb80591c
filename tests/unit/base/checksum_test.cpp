// Digests, against vectors of RFC 1321 and FIPS 180.
#include "src/base/checksum.hpp"

#include <gtest/gtest.h>

namespace tinykvm::host {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string digest(Digest::Algorithm algorithm, std::string_view a, std::string_view b = {}) {
    Digest digest(algorithm);
    digest.add(bytes(a));
    digest.add(bytes(b));
    return digest.finish();
}

constexpr const char* sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* md5_of_abc = "900150983cd24fb0d6963f7d28e17f72";

TEST(Checksum, KnownVectors) {
    EXPECT_EQ(digest(Digest::Algorithm::sha256, "abc"), sha256_of_abc);
    EXPECT_EQ(digest(Digest::Algorithm::sha256, "a", "bc"), sha256_of_abc);
    EXPECT_EQ(digest(Digest::Algorithm::sha256, ""),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(digest(Digest::Algorithm::md5, "abc"), md5_of_abc);
    EXPECT_EQ(digest(Digest::Algorithm::md5, ""), "d41d8cd98f00b204e9800998ecf8427e");
}

std::string problem(const Checksums& expected, std::string_view text) {
    Verification verification(expected);
    verification.add(bytes(text));
    return verification.finish();
}

TEST(Checksum, EveryExpectedOneMustMatch) {
    EXPECT_EQ(problem({}, "anything"), "");
    EXPECT_EQ(problem({sha256_of_abc, ""}, "abc"), "");
    EXPECT_EQ(problem({"", md5_of_abc}, "abc"), "");
    EXPECT_EQ(problem({sha256_of_abc, md5_of_abc}, "abc"), "");
    EXPECT_EQ(problem({sha256_of_abc, ""}, ""),
              "its sha256 is \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
              "7852b855\", not \"" +
                  std::string(sha256_of_abc) + "\"");
    EXPECT_EQ(problem({"", md5_of_abc}, ""),
              "its md5 is \"d41d8cd98f00b204e9800998ecf8427e\", not \"" + std::string(md5_of_abc) + "\"");
    EXPECT_NE(problem({sha256_of_abc, std::string(32, '0')}, "abc"), "");
    EXPECT_NE(problem({std::string(64, '0'), md5_of_abc}, "abc"), "");
}

TEST(Checksum, Sha256IsThereUnasked) {
    Verification verification({});
    verification.add(bytes("abc"));
    EXPECT_EQ(verification.finish(), "");
    EXPECT_EQ(verification.sha256(), sha256_of_abc);
}

}  // namespace
}  // namespace tinykvm::host
