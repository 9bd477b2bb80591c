// A file that takes its place as a whole, and is made by one at a time.
#include "tinykvm/os/incoming_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <iterator>
#include <system_error>

#include "tests/unit/folder.hpp"

namespace tinykvm {
namespace {

namespace fs = std::filesystem;

class IncomingFileTest : public testing::Test {
  protected:
    std::optional<IncomingFile> begin() const { return IncomingFile::begin(folder.get(), ".new"); }
    static void write(IncomingFile& file, const std::string& text) { file.write(std::as_bytes(std::span(text))); }
    std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(path), fs::directory_iterator()); }
    static int error_of(const std::function<void()>& run) {
        try {
            run();
        } catch (const std::system_error& error) {
            return error.code().value();
        }
        return 0;
    }
    int error_of_begin() const {
        return error_of([this] { (void)begin(); });
    }

    const test::Folder directory;
    const fs::path& path = directory.path;
    const FileDescriptor folder{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(IncomingFileTest, TakesItsPlaceAsAWhole) {
    directory.write("place", "old");
    auto file = begin();
    ASSERT_TRUE(file);
    write(*file, "ne");
    write(*file, "w");
    EXPECT_EQ(directory.read("place"), "old");
    file->publish("place", 0640);
    EXPECT_EQ(directory.read("place"), "new");
    struct stat status {};
    ASSERT_EQ(::stat((path / "place").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    file.reset();
    EXPECT_EQ(directory.read("place"), "new");
    EXPECT_EQ(files(), 1);
}

TEST_F(IncomingFileTest, IsRemovedWhenItIsNotPublished) {
    begin().reset();
    EXPECT_EQ(files(), 0);
    fs::create_directory(path / "place");
    auto file = begin();
    EXPECT_EQ(error_of([&] { file->publish("place", 0600); }), EISDIR);
    file.reset();
    EXPECT_EQ(files(), 1);
}

TEST_F(IncomingFileTest, ThereIsOneAtATime) {
    auto one = begin();
    EXPECT_FALSE(begin());
    one->publish("place", 0600);
    auto next = begin();  // while the first is still there
    EXPECT_TRUE(next);
    next.reset();
    EXPECT_TRUE(begin());
}

TEST_F(IncomingFileTest, WhatAProcessHasLeftIsBegunAnew) {
    directory.write(".new", "half of something longer");
    auto file = begin();
    ASSERT_TRUE(file);
    write(*file, "new");
    file->publish("place", 0600);
    EXPECT_EQ(directory.read("place"), "new");
}

TEST_F(IncomingFileTest, WhatOthersHavePutThereIsNotTouched) {
    directory.write("other", "other");
    fs::create_symlink(path / "other", path / ".new");
    EXPECT_EQ(error_of_begin(), ELOOP);
    fs::remove(path / ".new");
    fs::create_hard_link(path / "other", path / ".new");
    EXPECT_EQ(error_of_begin(), EEXIST);
    fs::remove(path / ".new");
    fs::create_directory(path / ".new");
    EXPECT_EQ(error_of_begin(), EEXIST);
    fs::remove(path / ".new");
    ASSERT_EQ(::mkfifo((path / ".new").c_str(), 0600), 0);
    EXPECT_EQ(error_of_begin(), EEXIST);
    fs::remove(path / ".new");
    if (::geteuid() == 0) {
        directory.write(".new", "");
        ASSERT_EQ(::chown((path / ".new").c_str(), 1, 1), 0);
        EXPECT_EQ(error_of_begin(), EEXIST);
    }
    EXPECT_EQ(directory.read("other"), "other");
}

}  // namespace
}  // namespace tinykvm
