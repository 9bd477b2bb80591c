// Saving a snapshot, loading it, and all that a file may be which is of no use.
#include "tinykvm/snapshot_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>

#include "tests/unit/booted_guest.hpp"
#include "tests/unit/empty_input.hpp"
#include "tests/unit/folder.hpp"
#include "tinykvm/cold/checksums.hpp"
#include "tinykvm/cold/identity.hpp"
#include "tinykvm/os/incoming_file.hpp"

namespace tinykvm {
namespace {

namespace fs = std::filesystem;
using test::BootedGuest;
using test::error_of;
using test::patience;

const std::vector<SnapshotFile::Tag> tags = {{"caller", "one"}};

Options noting_files(Options options = {}) {
    options.note_files = true;
    return options;
}

std::shared_ptr<const Program> guest_program(const std::string& name) {
    return Program::from_file(TINYKVM_BUILD_DIR "/tests/guests/" + name);
}

class SnapshotInFile : public testing::Test {
  protected:
    std::string path(const std::string& name = "snapshot") const { return (folder / name).string(); }
    SnapshotFile file() const { return SnapshotFile(path()); }

    // Saves the guest's snapshot, and gives it the one that was loaded.
    void send_through_file(BootedGuest& guest, const std::string& name) const {
        file().save(*guest.snapshot, tags, {});
        guest.snapshot = nullptr;
        guest.snapshot = file().load(guest_program(name), noting_files(), tags)->snapshot;
    }
    std::string refusal(const std::string& name = "worker", const Options& options = {},
                        const std::vector<SnapshotFile::Tag>& with = tags) const {
        return error_of<Error>([&] { (void)file().load(guest_program(name), noting_files(options), with); });
    }
    void write_file(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::trunc) << text;
    }
    std::string read_file() const {
        std::ifstream in(path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write_bytes(const std::string& bytes) const {
        fs::remove(path());
        const int fd = ::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
        ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        ::close(fd);
    }

    const test::Folder directory;
    const fs::path& folder = directory.path;
};

TEST_F(SnapshotInFile, ForksAreThoseOfTheOneThatWasSaved) {
    BootedGuest guest("worker", noting_files());
    send_through_file(guest, "worker");
    Fork fork(guest.snapshot), other(guest.snapshot);
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(guest.call(fork, "add", {40, 2}), 42u);
        EXPECT_EQ(guest.call(fork, "count"), 101u);
        EXPECT_EQ(guest.call(fork, "count"), 102u);
        EXPECT_EQ(guest.call(other, "tls"), 8u);
        fork.reset();
        other.reset();
    }
    EXPECT_EQ(fork.statistics().rebuilds, 0u);
}

TEST_F(SnapshotInFile, APositionIndependentProgramGoesOn) {
    BootedGuest guest("worker_pie", noting_files());
    send_through_file(guest, "worker_pie");
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "tls"), 8u);
}

TEST_F(SnapshotInFile, NotesComeBack) {
    BootedGuest guest("worker", noting_files());
    const std::vector<std::byte> notes = {std::byte{1}, std::byte{2}};
    file().save(*guest.snapshot, tags, notes);
    EXPECT_EQ(file().load(guest_program("worker"), noting_files(), tags)->notes, notes);
    EXPECT_FALSE(SnapshotFile(path("another")).load(guest_program("worker"), noting_files(), tags));
}

TEST_F(SnapshotInFile, TheLastOneThatWasSavedCounts) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    const auto first = file().load(guest_program("worker"), noting_files(), tags);
    file().save(*guest.snapshot, tags, {std::byte{7}});
    EXPECT_EQ(file().load(guest_program("worker"), noting_files(), tags)->notes.size(), 1u);
    guest.snapshot = first->snapshot;  // its pages are in a file that has no name any more
    Fork fork(guest.snapshot);
    EXPECT_EQ(guest.call(fork, "count"), 101u);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
}

TEST_F(SnapshotInFile, NobodyElseMayReadIt) {
    const mode_t before = ::umask(0);
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    ::umask(before);
    struct stat status {};
    ASSERT_EQ(::stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    ASSERT_EQ(::chmod(path().c_str(), 0644), 0);
    EXPECT_NE(refusal().find("mode has to be 0600"), std::string::npos) << refusal();
}

TEST_F(SnapshotInFile, FilesOfOthersAreNotTaken) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    fs::rename(path(), path("elsewhere"));
    fs::create_symlink(path("elsewhere"), path());
    EXPECT_EQ(refusal(), "it is a symbolic link");
    fs::remove(path());
    fs::create_directory(path());
    EXPECT_EQ(refusal(), "it is not a regular file");
    fs::remove(path());
    fs::rename(path("elsewhere"), path());
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    EXPECT_EQ(refusal(), "others than this user and root may change its folder");
    EXPECT_NE(error_of<MachineError>([&] { file().save(*guest.snapshot, tags, {}); }).find("may change its folder"),
              std::string::npos);
    if (::geteuid() == 0) {
        ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
        ASSERT_EQ(::chown(path().c_str(), 1, 1), 0);
        EXPECT_NE(refusal().find("belongs to another user"), std::string::npos) << refusal();
    }
}

TEST_F(SnapshotInFile, IsReplacedByOneAtATime) {
    BootedGuest guest("worker", noting_files());
    const auto save = [&] { return error_of<MachineError>([&] { file().save(*guest.snapshot, tags, {}); }); };
    write_file(".snapshot.incoming", "what a process has left that was killed");
    EXPECT_EQ(save(), "");
    const FileDescriptor saved_folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY));
    auto other = IncomingFile::begin(saved_folder.get(), ".snapshot.incoming");
    ASSERT_TRUE(other);
    EXPECT_EQ(save(), "another one is being written");
    EXPECT_EQ(refusal(), "");
    other.reset();
    fs::create_directory(path(".snapshot.incoming"));
    EXPECT_EQ(save(), "it cannot be written: File exists");
    EXPECT_EQ(refusal(), "");
}

TEST_F(SnapshotInFile, WhatItWasMadeWithHasToBeTheSame) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    EXPECT_EQ(refusal(), "");
    EXPECT_EQ(refusal("worker", {}, {{"caller", "two"}}), "the caller is another one (one, now two)");
    EXPECT_EQ(refusal("worker", {}, {{"x", "y"}}), "the x is another one");
    EXPECT_EQ(refusal("worker_pie").substr(0, 26), "the program is another one");
    Options options;
    options.arguments = {"more"};
    EXPECT_EQ(refusal("worker", options).substr(0, 32), "the configuration is another one");
    for (const char* what : {"version of tinykvm", "kernel", "kind of KVM", "set of CPU features"}) {
        std::string changed = read_file();
        const std::size_t at = changed.find(what) + std::strlen(what) + sizeof(std::uint64_t);
        changed[at] = changed[at] == '7' ? '8' : '7';
        std::uint64_t size = 0;
        std::memcpy(&size, changed.data() + 16, sizeof size);
        const cold::Sha256 sum = cold::sha256(std::as_bytes(std::span(changed)).subspan(56, size));
        std::memcpy(changed.data() + 24, sum.data(), sum.size());
        const std::string good = read_file();
        write_bytes(changed);
        EXPECT_NE(refusal().find(std::string("the ") + what + " is another one"), std::string::npos) << refusal();
        write_bytes(good);
    }
    EXPECT_EQ(refusal(), "");
}

// --- The program's own file

// The guest's program in a file that had not been changed for long when the program was booted from it, and saved.
class ProgramOfSnapshot : public SnapshotInFile {
  protected:
    void save(bool waits = true) {
        fs::copy_file(TINYKVM_BUILD_DIR "/tests/guests/worker", path("program"));
        if (waits) ::sleep(4);
        guest.emplace(Program::open(path("program")), noting_files());
        file().save(*guest->snapshot, tags, {});
    }
    // "": it is loaded.
    std::string outcome() const {
        return error_of<Error>([&] { (void)file().load(Program::open(path("program")), noting_files(), tags); });
    }
    // A bit in the middle of the program is another one, and the time of its contents is what it was.
    void change_program() const {
        struct stat before {};
        ASSERT_EQ(::stat(path("program").c_str(), &before), 0);
        std::fstream program(path("program"), std::ios::in | std::ios::out | std::ios::binary);
        program.seekg(before.st_size / 2);
        const char byte = static_cast<char>(program.get() ^ 1);
        program.seekp(before.st_size / 2);
        program.put(byte);
        program.close();
        const timespec times[] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::utimensat(AT_FDCWD, path("program").c_str(), times, 0), 0);
    }

    std::optional<BootedGuest> guest;
};

TEST_F(ProgramOfSnapshot, IsNotReadWhenItsFileIsTheSame) {
    save();
    const auto program = Program::open(path("program"));
    guest->snapshot = file().load(program, noting_files(), tags)->snapshot;
    fs::resize_file(path("program"), fs::file_size(path("program")) - 1);
    EXPECT_NE(error_of<Error>([&] { (void)program->bytes(); }), "");  // it would be in memory
    Fork fork(guest->snapshot);
    EXPECT_EQ(guest->call(fork, "add", {40, 2}), 42u);
}

TEST_F(ProgramOfSnapshot, IsTheSameInAnotherFile) {
    save();
    fs::copy_file(path("program"), path("copy"));
    fs::rename(path("copy"), path("program"));
    EXPECT_EQ(outcome(), "");
    change_program();
    EXPECT_EQ(outcome().substr(0, 26), "the program is another one");
}

TEST_F(ProgramOfSnapshot, IsAnotherOneWhateverTheTimeOfItsContents) {
    save();
    EXPECT_EQ(outcome(), "");
    change_program();
    EXPECT_EQ(outcome().substr(0, 26), "the program is another one");
}

TEST_F(ProgramOfSnapshot, IsComparedByItsContentsWhenItsFileWasNew) {
    save(false);
    EXPECT_EQ(outcome(), "");
    ::sleep(4);
    EXPECT_EQ(outcome(), "");
    change_program();
    EXPECT_EQ(outcome().substr(0, 26), "the program is another one");
}

TEST(Counters, OfAProgramNeverGoBack) {
    const cold::Counters saved{.nanoseconds = 100, .ticks = 300, .ticks_per_second = 1000};
    EXPECT_EQ(saved.why_not(saved), "");
    EXPECT_EQ(saved.why_not({.nanoseconds = 101, .ticks = 400, .ticks_per_second = 1001}), "");
    EXPECT_EQ(saved.why_not({.nanoseconds = 101, .ticks = 400, .ticks_per_second = 0}), "");
    EXPECT_NE(saved.why_not({.nanoseconds = 99, .ticks = 400, .ticks_per_second = 1000}), "");
    EXPECT_NE(saved.why_not({.nanoseconds = 101, .ticks = 299, .ticks_per_second = 1000}), "");
    EXPECT_NE(saved.why_not({.nanoseconds = 101, .ticks = 400, .ticks_per_second = 2000}), "");
    EXPECT_EQ(cold::Counters::now().why_not(cold::Counters::now()), "");
}

// --- Files of the host

// A program that boots until it reads its standard input, with the files it may see.
class Reading : public SnapshotInFile {
  protected:
    Options options(const std::string& script) {
        Options options = noting_files();
        options.program_name = "python3";
        options.arguments = {"-I", "-S", "-c", script};
        for (const char* rule : {"/lib", "/lib64", "/usr/lib", "/usr/bin"}) options.allowed_paths.push_back({rule, ""});
        options.allowed_paths.push_back({"/data", (folder / "data").string(), true});
        options.max_memory = std::size_t{512} << 20;
        options.output = [this](int, std::string_view text) { output += text; };
        options.input = [this] { return &input; };
        return options;
    }
    void SetUp() override {
        if (!fs::exists(python)) GTEST_SKIP() << "there is no " << python;
        fs::create_directory(folder / "data");
        write_file("data/text", "first");
        ::sleep(4);  // until a change of the file would show
    }
    std::shared_ptr<const Snapshot> boot(const std::string& script) {
        Machine machine(Program::from_file(python), options(script));
        const Stop stop = machine.run(&calls, patience());
        EXPECT_EQ(stop.reason, Stop::Reason::needs_input) << output;
        return std::move(machine).freeze();
    }
    std::string save(const std::string& script) {
        return error_of<Error>([&] { file().save(*boot(script), tags, {}); });
    }
    std::shared_ptr<const Snapshot> load(const std::string& script) {
        return file().load(Program::from_file(python), options(script), tags)->snapshot;
    }
    std::string refusal_of(const std::string& script) {
        return error_of<Error>([&] { (void)load(script); });
    }
    std::string go_on(const std::string& script) {
        Fork fork(load(script));
        output.clear();
        input.ended = true;
        EXPECT_EQ(fork.go_on(calls, patience()).exit_status, 0) << output;
        input.ended = false;
        return output;
    }

    static constexpr const char* python = "/usr/bin/python3";
    test::Calls calls;
    test::EmptyInput input;
    std::string output;
};

TEST_F(Reading, ADynamicProgramWithThreadsAndFilesGoesOn) {
    const std::string script = R"(
import os, sys, threading, socket, select, tempfile
text = open('/data/text')
text.read(2)
ready, done = threading.Event(), threading.Event()
def work():
    ready.wait()
    done.set()
threading.Thread(target=work).start()
left, right = socket.socketpair()
left.send(b'sent')
memory = open('/tmp/file', 'w+'); memory.write('kept'); memory.flush()
poll = select.epoll(); poll.register(right, select.EPOLLIN)
before = os.getpid()
sys.stdin.read()
ready.set(); done.wait()
print(text.read(), right.recv(10).decode(), open('/tmp/file').read(), len(poll.poll(0)), before != os.getpid())
)";
    ASSERT_EQ(save(script), "");
    EXPECT_EQ(go_on(script), "rst sent kept 0 True\n");
    EXPECT_EQ(go_on(script), "rst sent kept 0 True\n");
}

TEST_F(Reading, AFileThatTheProgramReadIsWhatItWas) {
    const std::string script = "import sys; text = open('/data/text').read(); sys.stdin.read(); print(text)";
    ASSERT_EQ(save(script), "");
    EXPECT_EQ(go_on(script), "first\n");
    write_file("data/text", "other");
    EXPECT_EQ(refusal_of(script), "/data/text has changed since the program booted");
    fs::remove(path("data/text"));
    EXPECT_EQ(refusal_of(script), "/data/text is not there any more");
}

TEST_F(Reading, AFileThatWasNotThereIsStillNotThere) {
    const std::string script = "import os, sys; there = os.path.exists('/data/new'); sys.stdin.read(); print(there)";
    ASSERT_EQ(save(script), "");
    EXPECT_EQ(go_on(script), "False\n");
    write_file("data/new", "");
    EXPECT_EQ(refusal_of(script), "/data/new was not there when the program booted");
}

TEST_F(Reading, ADirectoryThatTheProgramListedIsWhatItWas) {
    const std::string script = "import os, sys; names = os.listdir('/data'); sys.stdin.read(); print(names)";
    ASSERT_EQ(save(script), "");
    write_file("data/new", "");
    EXPECT_EQ(refusal_of(script), "/data has changed since the program booted");
}

TEST_F(Reading, AFileThatTheProgramWritesToMayChange) {
    const std::string script =
        "import sys; log = open('/data/log', 'a'); log.write('booted,'); log.flush(); sys.stdin.read();"
        "log.write('served,'); log.flush()";
    write_file("data/log", "");
    ASSERT_EQ(save(script), "");
    EXPECT_EQ(go_on(script), "");
    EXPECT_EQ(go_on(script), "");
    std::ifstream log(path("data/log"));
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "booted,served,served,");
}

TEST_F(Reading, WhatCannotBeSavedIsNot) {
    EXPECT_EQ(save("import sys; f = open('/data/gone', 'w'); import os; os.unlink('/data/gone'); sys.stdin.read()"),
              "the program has /data/gone open, which is not there any more");
    EXPECT_EQ(save("import sys, fcntl; f = open('/data/text', 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); sys.stdin.read()"),
              "the program has /data/text open, and has a lock on it");
    write_file("data/text", "again");
    fs::last_write_time(path("data/text"), fs::file_time_type::clock::now() + std::chrono::hours(1));
    EXPECT_EQ(save("import sys; open('/data/text').read(); sys.stdin.read()"),
              "/data/text was changed less than 2 s before the program looked at it");
    EXPECT_FALSE(fs::exists(path()));
}

TEST_F(SnapshotInFile, MemoryThatAllVmsShareCannotBeSaved) {
    Options options;
    options.shared_memory = 1 << 20;
    BootedGuest guest("worker", noting_files(options));
    EXPECT_NE(error_of<Error>([&] { file().save(*guest.snapshot, tags, {}); }).find("shared_memory"),
              std::string::npos);
    BootedGuest without_notes("worker");
    EXPECT_NE(error_of<Error>([&] { file().save(*without_notes.snapshot, tags, {}); }).find("was not noted"),
              std::string::npos);
}

// --- Damage

TEST_F(SnapshotInFile, ATruncatedFileIsRefused) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    const std::string whole = read_file();
    for (std::size_t size = 0; size < whole.size(); size += 1 + size / 3) {
        write_bytes(whole.substr(0, size));
        EXPECT_NE(refusal(), "") << size;
    }
    write_bytes(whole.substr(0, whole.size() - 1));
    EXPECT_NE(refusal(), "");
    write_bytes(whole + '\0');
    EXPECT_NE(refusal(), "");
    write_bytes(whole);
    EXPECT_EQ(refusal(), "");
}

TEST_F(SnapshotInFile, AFlippedBitIsSeen) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    const std::string whole = read_file();
    std::uint64_t described = 0;
    std::memcpy(&described, whole.data() + 16, sizeof described);
    const std::size_t gap = 56 + described, pages = (gap + 4095) / 4096 * 4096;
    std::mt19937 random(1);
    for (int i = 0; i < 60; ++i) {
        std::size_t at = random() % whole.size();
        if (i < 14) at = static_cast<std::size_t>(4 * i);  // in the header
        if (at >= gap && at < pages) continue;             // nothing is there
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ 1 << random() % 8);
        write_bytes(flipped);
        EXPECT_NE(refusal(), "") << at;
    }
}

// The checksum is right, and what it is of is not: nothing but errors may come of it.
TEST_F(SnapshotInFile, ADescriptionThatIsWrongDoesNoHarm) {
    BootedGuest guest("worker", noting_files());
    file().save(*guest.snapshot, tags, {});
    const std::string whole = read_file();
    std::uint64_t size = 0;
    std::memcpy(&size, whole.data() + 16, sizeof size);
    std::mt19937 random(2);
    int loaded = 0;
    for (int i = 0; i < 60; ++i) {  // tests/fuzz/snapshot.cpp does more of this
        std::string changed = whole;
        for (unsigned changes = 1 + random() % 3; changes > 0; --changes)
            changed[56 + random() % size] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
        const cold::Sha256 sum = cold::sha256(std::as_bytes(std::span(changed)).subspan(56, size));
        std::memcpy(changed.data() + 24, sum.data(), sum.size());
        write_bytes(changed);
        try {
            const auto found = file().load(guest_program("worker"), noting_files(), tags);
            ++loaded;
            Fork fork(found->snapshot);
            const std::uint64_t arguments[] = {1, 2};
            for (int call = 0; call < 2; ++call) {
                (void)fork.call(guest.calls.functions.at("add"), arguments, guest.calls, test::in_seconds(5));
                fork.reset();
            }
        } catch (const Error&) {
        }
    }
    RecordProperty("loaded", loaded);
}

TEST(Checksums, AreThoseOfTheStandard) {
    std::vector<std::byte> pages(7 * page_size);
    for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::byte>(i * 7 + i / 4096);
    std::vector<std::uint32_t> fast(7), slow(7);
    cold::checksum_pages(pages, fast);
    cold::checksum_pages_slowly(pages, slow);
    EXPECT_EQ(fast, slow);
    std::vector<std::byte> zeros(page_size);
    std::vector<std::uint32_t> of_zeros(1);
    cold::checksum_pages_slowly(zeros, of_zeros);
    EXPECT_EQ(of_zeros[0], 0x98F94189u);  // CRC-32C of 4096 zero bytes
}

}  // namespace
}  // namespace tinykvm
