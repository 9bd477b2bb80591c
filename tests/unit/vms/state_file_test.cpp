// The file of a storage's state: what stays when its process is killed at any moment, and what is refused.
#include "src/vms/state_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/base/failure.hpp"
#include "tests/unit/folder.hpp"

namespace tinykvm::host {

namespace {

void go_on() {}

StorageBytes bytes_of(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}

std::string text_of(const std::optional<StorageBytes>& bytes) {
    return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "nothing";
}

class StateFileTest : public ::testing::Test {
  protected:
    std::string read_again() const { return text_of(StateFile::at(path_, "p")->read(1 << 20)); }
    void write(const std::string& text) const {
        std::ofstream(path_, std::ios::binary) << text;
        ::chmod(path_.c_str(), 0600);
    }
    int save(const std::string& text) const {
        const auto file = StateFile::at(path_, "p");
        file->set_owner(this);
        return file->save(this, bytes_of(text), go_on);
    }
    std::string refusal() const {
        try {
            (void)StateFile::at(path_, "p")->read(1 << 20);
        } catch (const Failure& failure) {
            return failure.what();
        }
        return "";
    }

    const test::Folder folder_;
    const std::string directory_ = folder_.path;
    std::string path_ = directory_ + "/state";
};

// Runs a process that saves `text`, and kills it at its system call number `which` after it has begun, counted from 0,
// its threads' included and each twice: before it is made and after it. False: it made no more of them, and ended well.
bool save_killed_at(unsigned which, const std::string& path, const std::string& text) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto file = StateFile::at(path, "p");
        file->set_owner(&path);
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(99);
        ::raise(SIGSTOP);
        ::_exit(file->save(&path, bytes_of(text), go_on) == 0 ? 0 : 98);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
        ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) !=
            0) {
        throw std::runtime_error("the process cannot be traced");
    }
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    for (unsigned seen = 0;;) {
        const pid_t thread = ::waitpid(-1, &status, __WALL);
        if (thread == child && (WIFEXITED(status) || WIFSIGNALED(status))) {
            if (WIFEXITED(status) && WEXITSTATUS(status) != 0) throw std::runtime_error("the process failed");
            return WIFSIGNALED(status);
        }
        if (!WIFSTOPPED(status)) continue;
        const bool at_call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        if (at_call && seen++ == which) {
            ::kill(child, SIGKILL);
            continue;
        }
        const bool is_ours = at_call || WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP;
        ::ptrace(PTRACE_SYSCALL, thread, nullptr, is_ours ? 0 : WSTOPSIG(status));
    }
}

TEST_F(StateFileTest, is_as_before_or_as_saved_when_its_process_is_killed_at_any_system_call) {
    const std::string before(100000, 'a'), after(150000, 'b');
    unsigned as_before = 0, as_saved = 0;
    for (unsigned which = 0;; which++) {
        ASSERT_EQ(save(before), 0);
        const bool was_killed = save_killed_at(which, path_, after);
        const std::string now = read_again();
        ASSERT_TRUE(now == before || now == after) << "at call " << which << ": " << now.size() << " bytes";
        (now == before ? as_before : as_saved)++;
        if (!was_killed) {
            EXPECT_EQ(now, after);
            break;
        }
        // What the process has left is in nobody's way.
        ASSERT_EQ(save("more"), 0);
        ASSERT_EQ(read_again(), "more");
    }
    // openat, write, fsync, renameat, fsync, each before and after.
    EXPECT_GT(as_before, 6U);
    EXPECT_GT(as_saved, 3U);
}

TEST_F(StateFileTest, keeps_what_was_saved_last) {
    EXPECT_EQ(read_again(), "nothing");
    EXPECT_EQ(save("one"), 0);
    EXPECT_EQ(save(""), 0);
    EXPECT_EQ(read_again(), "");
    EXPECT_EQ(save("two"), 0);
    EXPECT_EQ(read_again(), "two");
    struct stat status {};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(StateFileTest, follows_no_links) {
    const std::string other = directory_ + "/other";
    std::ofstream(other) << "other";
    ASSERT_EQ(::symlink(other.c_str(), path_.c_str()), 0);
    EXPECT_NE(refusal().find("it is a symbolic link"), std::string::npos) << refusal();
    ASSERT_EQ(::symlink(other.c_str(), (path_ + ".new").c_str()), 0);
    EXPECT_EQ(save("mine"), -ELOOP);
    ASSERT_EQ(::unlink((path_ + ".new").c_str()), 0);
    EXPECT_EQ(save("mine"), 0);  // takes the place of the other link
    EXPECT_EQ(read_again(), "mine");
    std::string text;
    std::ifstream(other) >> text;
    EXPECT_EQ(text, "other");
}

TEST_F(StateFileTest, refuses_what_others_can_have_written) {
    write("x");
    ::chmod(path_.c_str(), 0660);
    EXPECT_NE(refusal().find("others can have written it (owner " + std::to_string(::geteuid()) + ", mode 0660)"),
              std::string::npos)
        << refusal();
    ::chmod(path_.c_str(), 0600);
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(path_.c_str(), 12345, 0), 0);
        EXPECT_NE(refusal().find("owner 12345"), std::string::npos) << refusal();
        ASSERT_EQ(::chown(path_.c_str(), 0, 0), 0);
    }
    ::chmod(directory_.c_str(), 0777);
    EXPECT_NE(refusal().find("its directory can be changed by others"), std::string::npos) << refusal();
    ::chmod(directory_.c_str(), 0700);
    EXPECT_EQ(refusal(), "");
}

TEST_F(StateFileTest, refuses_what_is_no_file_or_too_large) {
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_NE(refusal().find("it is not a regular file"), std::string::npos) << refusal();
    ::unlink(path_.c_str());
    write(std::string((1 << 20) + 1, 'x'));
    EXPECT_NE(refusal().find("it has 1048577 bytes, more than max_state_file (1 MiB)"), std::string::npos) << refusal();
    path_ = directory_ + "/nowhere/state";
    EXPECT_NE(refusal().find("its directory cannot be opened (No such file or directory)"), std::string::npos)
        << refusal();
    path_ = directory_ + "/";
    EXPECT_NE(refusal().find("it has to be the path of a file"), std::string::npos) << refusal();
}

TEST_F(StateFileTest, belongs_to_one_process_and_one_program) {
    const auto file = StateFile::at(path_, "p");
    EXPECT_EQ(StateFile::at(path_, "p"), file);
    EXPECT_THROW((void)StateFile::at(path_, "q"), Failure);
    const pid_t child = ::fork();
    if (child == 0) {
        // A process of its own, with a description of the lock of its own.
        const int lock = ::open((path_ + ".lock").c_str(), O_RDWR);
        ::_exit(::flock(lock, LOCK_EX | LOCK_NB) == 0 ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    path_ = directory_ + "/another";
    const int taken = ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::flock(taken, LOCK_EX), 0);
    EXPECT_NE(refusal().find("another process uses it"), std::string::npos) << refusal();
    ::close(taken);
    EXPECT_EQ(refusal(), "");
}

// What a full disk and others that fail do: the file stays as it was.
TEST_F(StateFileTest, stays_as_it_was_when_it_cannot_be_written) {
    ASSERT_EQ(save("before"), 0);
    const rlimit small{1000, 1000};
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit former{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &former), 0);
    const rlimit limited{small.rlim_cur, former.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
    EXPECT_EQ(save(std::string(100000, 'x')), -EFBIG);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &former), 0);
    EXPECT_EQ(read_again(), "before");
    EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
    ASSERT_EQ(::mkdir((path_ + ".new").c_str(), 0700), 0);
    EXPECT_EQ(save("after"), -EEXIST);
    EXPECT_EQ(read_again(), "before");
}

TEST_F(StateFileTest, counts_what_its_owner_saves) {
    const auto file = StateFile::at(path_, "p");
    std::vector<std::string> lines;
    const auto log = [&lines](std::string_view line) { lines.emplace_back(line); };
    StorageState first(file, 100, log), second(file, 100, log);
    EXPECT_EQ(first.save(bytes_of("early"), go_on), 0);
    EXPECT_EQ(text_of(first.read()), "early");
    EXPECT_EQ(text_of(second.read()), "nothing");  // nothing was written before it takes over
    first.take_over();
    EXPECT_EQ(text_of(second.read()), "early");
    EXPECT_EQ(first.save(bytes_of("one"), go_on), 0);
    second.take_over();
    EXPECT_EQ(first.save(bytes_of("two"), go_on), -ESTALE);
    EXPECT_EQ(first.save(bytes_of("two"), go_on), -ESTALE);
    EXPECT_EQ(text_of(second.read()), "one");
    EXPECT_EQ(second.save(bytes_of("three"), go_on), 0);
    EXPECT_EQ(read_again(), "three");
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0], "state_file " + path_ + " was not written: a storage that began later has it now");
}

// Who waits for a disk can give up; what was begun is finished.
TEST_F(StateFileTest, does_not_wait_longer_than_its_caller) {
    const auto file = StateFile::at(path_, "p");
    file->set_owner(this);
    EXPECT_THROW((void)file->save(this, bytes_of("given up"), [] { throw std::runtime_error("no more time"); }),
                 std::runtime_error);
    EXPECT_EQ(file->save(this, bytes_of("next"), go_on), 0);
    EXPECT_EQ(read_again(), "next");
}

}  // namespace

}  // namespace tinykvm::host
