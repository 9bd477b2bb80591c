// What a stamp of a file tells, and when it tells nothing.
#include "tinykvm/os/file_stamp.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/folder.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm {
namespace {

class FileStampTest : public testing::Test {
  protected:
    FileStamp stamp() const { return FileStamp::of(file.get()).value(); }
    void write() const { ASSERT_EQ(::pwrite(file.get(), "text", 4, 0), 4); }
    static void wait_for_a_tick() { ::sleep(1); }

    const test::Folder folder;
    const FileDescriptor file{::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
};

TEST_F(FileStampTest, ChangesWithTheFile) {
    write();
    const FileStamp first = stamp();
    EXPECT_EQ(stamp(), first);
    wait_for_a_tick();
    write();
    const FileStamp second = stamp();
    EXPECT_EQ(second.size, first.size);
    EXPECT_FALSE(second == first);
    EXPECT_FALSE(second.has_contents_of(first));
    wait_for_a_tick();
    ASSERT_EQ(::fchmod(file.get(), 0400), 0);
    EXPECT_FALSE(stamp() == second);
    EXPECT_TRUE(stamp().has_contents_of(second));
}

TEST_F(FileStampTest, ChangesWhenTheTimeOfTheContentsIsSetBack) {
    write();
    const FileStamp first = stamp();
    wait_for_a_tick();
    write();
    const timespec times[] = {first.modified, first.modified};
    ASSERT_EQ(::futimens(file.get(), times), 0);
    EXPECT_EQ(stamp().modified.tv_nsec, first.modified.tv_nsec);
    EXPECT_FALSE(stamp() == first);
}

TEST_F(FileStampTest, IsSettledAfterSeconds) {
    write();
    EXPECT_FALSE(stamp().is_settled());
    ::sleep(4);
    EXPECT_TRUE(stamp().is_settled());
    const timespec ahead[] = {{::time(nullptr) + 3600, 0}, {::time(nullptr) + 3600, 0}};
    ASSERT_EQ(::futimens(file.get(), ahead), 0);
    ::sleep(4);
    EXPECT_FALSE(stamp().is_settled());  // of a clock that is ahead nobody knows when it ticks
}

TEST_F(FileStampTest, OfNoFileThereIsNone) { EXPECT_FALSE(FileStamp::of(-1)); }

}  // namespace
}  // namespace tinykvm
