// Programs that are fetched: what is kept, what is asked, what is believed.
#include "src/source/program_source.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "src/base/failure.hpp"
#include "src/source/local_copy.hpp"
#include "tests/unit/archive_maker.hpp"
#include "tests/unit/folder.hpp"
#include "tests/unit/http_server.hpp"

namespace tinykvm::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string sha256(const std::string& text) {
    Digest digest(Digest::Algorithm::sha256);
    digest.add(std::as_bytes(std::span(text)));
    return digest.finish();
}

// One file with an ETag, as an ordinary server has it.
struct Origin {
    std::mutex mutex;
    std::string body = "first", etag = "\"1\"", last_modified;
    int status = 200;
    std::atomic<int> sent{0}, unchanged{0};
    HttpServer server{[this](const std::string& request) { return answer(request); }};

    std::string answer(const std::string& request) {
        const std::lock_guard lock(mutex);
        if (status != 200) {
            return "HTTP/1.1 " + std::to_string(status) + " No\r\nContent-Length: 5\r\n\r\nerror";
        }
        const bool same = (!etag.empty() && contains(request, "If-None-Match: " + etag + "\r\n")) ||
                          (etag.empty() && !last_modified.empty() &&
                           contains(request, "If-Modified-Since: " + last_modified + "\r\n"));
        if (same) {
            unchanged++;
            return "HTTP/1.1 304 Not Modified\r\n\r\n";
        }
        sent++;
        return ok(body, (etag.empty() ? "" : "ETag: " + etag + "\r\n") +
                            (last_modified.empty() ? "" : "Last-Modified: " + last_modified + "\r\n"));
    }
    void become(const std::string& new_body, const std::string& new_etag) {
        const std::lock_guard lock(mutex);
        body = new_body;
        etag = new_etag;
    }
    std::string url() const { return server.url("/file"); }
};

class SourceTest : public testing::Test {
  protected:
    // Updates the copy, and returns "" or the failure.
    std::string update(const LocalCopy& copy, Deadline deadline = Clock::now() + seconds(60),
                       std::function<bool()> cancelled = nullptr) {
        log.clear();
        try {
            const FileDescriptor file = copy.update({deadline, std::move(cancelled)}, {1000000},
                                                    [this](std::string_view line) { log += std::string(line) + "\n"; });
            return file ? "" : "no file";
        } catch (const Failure& failure) {
            return failure.what();
        }
    }
    // Files that should not be there.
    std::string left_behind() const {
        std::string names;
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            names += entry.path().filename().string().ends_with(".incoming") ? entry.path().string() + " " : "";
        }
        return names;
    }

    const test::Folder directory;
    const std::string folder = directory.path;
    std::string path = folder + "/copy", log;
};

TEST_F(SourceTest, FetchedOnceThenOnlyWhenItChanges) {
    Origin origin;
    const LocalCopy copy{origin.url(), path, {}};
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(log, "fetched " + origin.url() + " to " + path + ", 5 bytes\n");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(log, "");
    EXPECT_EQ(origin.sent, 1);
    EXPECT_EQ(origin.unchanged, 1);
    origin.become("second", "\"2\"");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "second");
    EXPECT_EQ(origin.sent, 2);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0644U);
    EXPECT_EQ(left_behind(), "");
}

TEST_F(SourceTest, LastModifiedServesAsWell) {
    Origin origin;
    origin.etag.clear();
    origin.last_modified = "Mon, 01 Jan 2024 00:00:00 GMT";
    const LocalCopy copy{origin.url(), path, {}};
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(origin.sent, 1);
    EXPECT_EQ(origin.unchanged, 1);
}

TEST_F(SourceTest, ServerWithoutVersionsIsAskedForEverything) {
    Origin origin;
    origin.etag.clear();
    const LocalCopy copy{origin.url(), path, {}};
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(origin.sent, 2);
}

TEST_F(SourceTest, NoteThatIsMissingDamagedOrOfAnotherFileIsNotBelieved) {
    Origin origin;
    const LocalCopy copy{origin.url(), path, {}};
    EXPECT_EQ(update(copy), "");
    const std::string note = folder + "/.copy.version", good = content(note);
    EXPECT_TRUE(contains(good, "\"etag\": \"\\\"1\\\"\"")) << good;
    int sent = 1;
    for (const std::string& damaged : {std::string(), std::string("{"), std::string("[]"), std::string(20000, 'x'),
                                       std::string("{\"uri\": 1, \"sha256\": null}"),
                                       std::string(good).replace(good.find(sha256("first")), 1, "x")}) {
        write(note, damaged);
        EXPECT_EQ(update(copy), "");
        EXPECT_EQ(origin.sent, ++sent) << damaged;
    }
    std::filesystem::remove(note);
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(origin.sent, ++sent);
    write(path, "changed by somebody");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(origin.sent, ++sent);
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(update({origin.server.url("/elsewhere"), path, {}}), "");
    EXPECT_EQ(origin.sent, ++sent);
    EXPECT_EQ(origin.unchanged, 0);
}

TEST_F(SourceTest, CopyIsUsedWhenTheServerHasNoAnswerForUs) {
    std::string url;
    {
        Origin origin;
        url = origin.url();
        EXPECT_EQ(update({url, path, {}}), "");
        origin.status = 503;
        EXPECT_EQ(update({url, path, {}}), "");
        EXPECT_EQ(log, "the copy at " + path + " is used: " + url + ": the server's answer is 503\n");
        // One that never answers.
        HttpServer silent([](const std::string&) { return ""; });
        EXPECT_EQ(update({silent.url("/"), path, {}}, Clock::now() + milliseconds(200)), "");
        EXPECT_TRUE(contains(log, "is used: ")) << log;
        EXPECT_EQ(update({silent.url("/"), path, {}}, Deadline::max()), "");
        EXPECT_TRUE(contains(log, "no response has begun in time")) << log;
        // One that ends too early.
        HttpServer short_one([](const std::string&) {
            return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\nshort";
        });
        EXPECT_EQ(update({short_one.url("/"), path, {}}), "");
        EXPECT_TRUE(contains(log, "is used: ")) << log;
        // One that sends too much.
        HttpServer long_one([](const std::string&) { return ok(std::string(2000000, 'x')); });
        EXPECT_EQ(update({long_one.url("/"), path, {}}), "");
        EXPECT_TRUE(contains(log, "is used: ")) << log;
    }
    EXPECT_EQ(update({url, path, {}}), "");
    EXPECT_TRUE(contains(log, "is used: ")) << log;
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(left_behind(), "");
}

TEST_F(SourceTest, WithoutACopyItFails) {
    Origin origin;
    origin.status = 404;
    EXPECT_EQ(update({origin.url(), path, {}}), "no copy at " + path + " can be used (No such file or directory): " +
                                                    origin.url() + ": the server's answer is 404");
    origin.status = 200;
    write(folder + "/file", "x");
    EXPECT_EQ(
        update({origin.url(), folder + "/file/copy", {}}),
        "no copy at " + folder + "/file/copy can be used (Not a directory): " + folder + "/file: Not a directory");
}

TEST_F(SourceTest, WrongChecksumIsNeverKeptAndNeverForgiven) {
    Origin origin;
    const Checksums right{sha256("first"), ""};
    EXPECT_EQ(update({origin.url(), path, right}), "");
    origin.become("forged", "\"2\"");
    EXPECT_EQ(update({origin.url(), path, right}),
              origin.url() + ": its sha256 is \"" + sha256("forged") + "\", not \"" + right.sha256 + "\"");
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(left_behind(), "");
    EXPECT_NE(update({origin.url(), path, {"", std::string(32, '0')}}), "");
    EXPECT_EQ(content(path), "first");
}

TEST_F(SourceTest, CopyWithAWrongChecksumIsNoCopy) {
    Origin origin;
    const LocalCopy copy{origin.url(), path, {sha256("first"), ""}};
    write(path, "forged");
    origin.status = 500;
    EXPECT_TRUE(contains(update(copy), "can be used (its sha256 is \"" + sha256("forged") + "\"")) << update(copy);
    origin.status = 200;
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "first");
    // A forged copy is not used even if the server says that it is up to date.
    write(path, "forged");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(origin.unchanged, 0);
}

TEST_F(SourceTest, LinksAreNotFollowed) {
    Origin origin;
    const std::string target = folder + "/target";
    write(target, "precious");
    for (const char* name : {"/copy", "/.copy.version"}) {
        ASSERT_EQ(symlink(target.c_str(), (folder + name).c_str()), 0);
        EXPECT_EQ(update({origin.url(), path, {}}), "");
        EXPECT_EQ(content(target), "precious");
        EXPECT_EQ(content(path), "first");
        EXPECT_FALSE(std::filesystem::is_symlink(folder + name));
        std::filesystem::remove(path);
        std::filesystem::remove(folder + "/.copy.version");
    }
    ASSERT_EQ(symlink(target.c_str(), (folder + "/.copy.incoming").c_str()), 0);
    EXPECT_TRUE(contains(update({origin.url(), path, {}}), "Too many levels of symbolic links"));
    EXPECT_EQ(content(target), "precious");
    std::filesystem::remove(folder + "/.copy.incoming");
    ASSERT_EQ(link(target.c_str(), (folder + "/.copy.incoming").c_str()), 0);
    EXPECT_TRUE(contains(update({origin.url(), path, {}}), "not a file of ours"));
    EXPECT_EQ(content(target), "precious");
}

TEST_F(SourceTest, FoldersThatAreMissingAreMade) {
    Origin origin;
    const mode_t umask_before = umask(077);
    path = folder + "/a//b/c/copy";
    EXPECT_EQ(update({origin.url(), path, {}}), "");
    umask(umask_before);
    EXPECT_EQ(content(path), "first");
    for (const char* made : {"/a", "/a/b", "/a/b/c"}) {
        struct stat status {};
        ASSERT_EQ(stat((folder + made).c_str(), &status), 0) << made;
        EXPECT_EQ(status.st_mode & 07777, 0755U) << made;
    }
    // One that is there may be reached through a link, and stays as it is.
    std::filesystem::create_directory(folder + "/target");
    ASSERT_EQ(chmod((folder + "/target").c_str(), 0700), 0);
    std::filesystem::create_directory_symlink(folder + "/target", folder + "/link");
    EXPECT_EQ(update({origin.url(), folder + "/link/new/copy", {}}), "");
    EXPECT_EQ(content(folder + "/target/new/copy"), "first");
    struct stat status {};
    ASSERT_EQ(stat((folder + "/target").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST_F(SourceTest, NoFolderIsMadeThroughALinkOrInAFile) {
    Origin origin;
    const auto failure = [&](const std::string& copy) { return update({origin.url(), copy, {}}); };
    std::filesystem::create_directory_symlink(folder + "/nowhere", folder + "/link");
    EXPECT_TRUE(contains(failure(folder + "/link/copy"), folder + "/link: is there, and not a folder of ours"));
    EXPECT_FALSE(std::filesystem::exists(folder + "/nowhere"));
    write(folder + "/file", "x");
    EXPECT_TRUE(contains(failure(folder + "/file/copy"), folder + "/file: Not a directory"));
    EXPECT_TRUE(contains(failure("/proc/new/copy"), "/proc/new: the folder cannot be made: "));
}

TEST_F(SourceTest, CopyOthersCouldHaveWrittenNeedsAChecksum) {
    Origin origin;
    origin.status = 500;
    write(path, "planted");
    ASSERT_EQ(chmod(path.c_str(), 0666), 0);
    EXPECT_TRUE(contains(update({origin.url(), path, {}}), "others could have written it, and there is no checksum"));
    EXPECT_EQ(update({origin.url(), path, {sha256("planted"), ""}}), "");
    ASSERT_EQ(chmod(path.c_str(), 0644), 0);
    EXPECT_EQ(update({origin.url(), path, {}}), "");
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
        EXPECT_TRUE(contains(update({origin.url(), path, {}}), "others could have written it"));
    }
}

TEST_F(SourceTest, OneFetchesForAll) {
    Origin origin;
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&] {
            const LocalCopy copy{origin.url(), path, {sha256("first"), ""}};
            const FileDescriptor file =
                copy.update({Clock::now() + seconds(60), nullptr}, {1000}, [](std::string_view) {});
            good += file ? 1 : 0;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(good, 8);
    EXPECT_EQ(origin.sent, 1);
    EXPECT_EQ(origin.unchanged, 7);
    EXPECT_EQ(left_behind(), "");
}

TEST_F(SourceTest, LeftoverOfOneWhoDiedIsNoHindrance) {
    Origin origin;
    write(folder + "/.copy.incoming", "half of something longer than what is fetched");
    EXPECT_EQ(update({origin.url(), path, {}}), "");
    EXPECT_EQ(content(path), "first");
}

TEST_F(SourceTest, CancelledAtOnceEvenWithACopy) {
    HttpServer silent([](const std::string&) { return ""; });
    write(path, "first");
    const auto begin = Clock::now();
    EXPECT_TRUE(contains(update({silent.url("/"), path, {}}, Clock::now() + seconds(600),
                                [begin] { return Clock::now() > begin + milliseconds(50); }),
                         "cancelled"));
    EXPECT_LT(Clock::now() - begin, seconds(60));
}

TEST_F(SourceTest, FilesAreSourcesToo) {
    const std::string source = folder + "/source";
    const LocalCopy copy{"file://" + source, path, {}};
    write(source, "first");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "first");
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(log, "");
    write(source + ".new", "second");
    std::filesystem::rename(source + ".new", source);
    EXPECT_EQ(update(copy), "");
    EXPECT_EQ(content(path), "second");
    std::filesystem::remove(source);
    EXPECT_EQ(update(copy), "");
    EXPECT_TRUE(contains(log, "No such file or directory")) << log;
}

// Programs, from here on.

class ProgramSourceTest : public SourceTest {
  protected:
    void SetUp() override {
        SourceTest::SetUp();
        elf = content(TINYKVM_TEST_GUESTS "/hello");
        ASSERT_FALSE(elf.empty()) << "the guests of tests/vtc are not built";
        config.max_boot_time = seconds(60);
    }
    std::string obtain() {
        log.clear();
        try {
            const auto program = obtain_program(
                "prog", config, [this](std::string_view line) { log += std::string(line) + "\n"; }, nullptr);
            return {reinterpret_cast<const char*>(program->bytes().data()), program->bytes().size()};
        } catch (const Error& error) {
            return error.what();
        }
    }

    std::string elf;
    ProgramConfig config;
};

TEST_F(ProgramSourceTest, PlainFileAndArchiveOnDisk) {
    config.filename = path;
    EXPECT_EQ(obtain(), path + ": No such file or directory");
    write(path, elf);
    EXPECT_EQ(obtain(), elf);
    write(path, make_archive(ArchiveKind::tar_zst, {{"x/copy", elf}, {"prog", "\177ELF"}}));
    EXPECT_EQ(obtain(), elf);
    write(path, make_archive(ArchiveKind::tar_zst, {}));
    EXPECT_EQ(obtain(), path + ": the archive has no ELF file in it");
    write(path, "text that is neither the one nor the other, and long enough for the header of an ELF file");
    EXPECT_EQ(obtain(), path + ": not an ELF file");
    config.filename = folder;
    EXPECT_EQ(obtain(), folder + ": not a regular file");
}

TEST_F(ProgramSourceTest, ArchiveIsKeptAsItIsAndUnpackedAtEachStart) {
    for (const ArchiveKind kind : {ArchiveKind::tar_xz, ArchiveKind::tar_zst, ArchiveKind::zip}) {
        Origin origin;
        origin.body = make_archive(kind, {{"README", "text"}, {"bin/prog", elf}});
        config.uri = origin.url();
        config.filename = path;
        config.checksums.sha256 = sha256(origin.body);
        EXPECT_EQ(obtain(), elf);
        EXPECT_EQ(content(path), origin.body);
        EXPECT_EQ(obtain(), elf);
        EXPECT_EQ(origin.sent, 1);
        EXPECT_EQ(origin.unchanged, 1);
    }
}

TEST_F(ProgramSourceTest, ChecksumIsThatOfTheFile) {
    write(path, elf);
    config.filename = path;
    config.checksums = {sha256(elf), ""};
    EXPECT_EQ(obtain(), elf);
    config.checksums = {"", std::string(32, '0')};
    EXPECT_TRUE(contains(obtain(), path + ": its md5 is \"")) << obtain();
    const std::string archive = make_archive(ArchiveKind::zip, {{"prog", elf}});
    write(path, archive);
    config.checksums = {sha256(elf), ""};
    EXPECT_TRUE(contains(obtain(), path + ": its sha256 is \"" + sha256(archive))) << obtain();
    config.checksums = {sha256(archive), ""};
    EXPECT_EQ(obtain(), elf);
}

TEST_F(ProgramSourceTest, WithoutAFilenameNothingIsKept) {
    Origin origin;
    origin.become(elf, "\"1\"");
    config.uri = origin.url();
    EXPECT_EQ(obtain(), elf);
    EXPECT_EQ(obtain(), elf);
    EXPECT_EQ(origin.sent, 2);
    config.checksums.sha256 = std::string(64, '0');
    EXPECT_TRUE(contains(obtain(), origin.url() + ": its sha256 is \"")) << obtain();
    origin.status = 500;
    EXPECT_EQ(obtain(), origin.url() + ": the server's answer is 500");
}

TEST_F(ProgramSourceTest, DownloadsAreThereBeforeTheProgram) {
    Origin origin;
    config.filename = path;
    config.downloads = {{origin.url(), folder + "/a", {}}, {origin.server.url("/b"), folder + "/b", {}}};
    EXPECT_EQ(obtain(), path + ": No such file or directory");
    EXPECT_EQ(content(folder + "/a"), "first");
    EXPECT_EQ(content(folder + "/b"), "first");
    write(path, elf);
    origin.status = 500;
    EXPECT_EQ(obtain(), elf);
    EXPECT_TRUE(contains(log, "the copy at " + folder + "/a is used: ")) << log;
    std::filesystem::remove(folder + "/b");
    EXPECT_TRUE(contains(obtain(), "no copy at " + folder + "/b can be used")) << obtain();
}

TEST_F(ProgramSourceTest, DownloadsHaveTheirChecksums) {
    Origin origin;  // answers "first"
    write(path, elf);
    config.filename = path;
    config.downloads = {{origin.url(), folder + "/a", {.sha256 = "", .md5 = "8b04d5e3775d298e78455efc5ca404d5"}}};
    EXPECT_EQ(obtain(), elf);
    config.downloads[0].checksums = {.sha256 = "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
                                     .md5 = ""};
    EXPECT_EQ(obtain(), elf);
    config.downloads[0] = {origin.url(), folder + "/b", {.sha256 = std::string(64, '0'), .md5 = ""}};
    EXPECT_EQ(obtain(),
              origin.url() +
                  ": its sha256 is \"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e\", not \"" +
                  std::string(64, '0') + "\"");
    EXPECT_EQ(content(folder + "/b"), "");
    // A copy that is there already is not used either.
    write(folder + "/b", "first");
    origin.status = 500;
    EXPECT_TRUE(contains(obtain(), "no copy at " + folder + "/b can be used (its sha256 is \"a7937b64")) << obtain();
}

TEST_F(ProgramSourceTest, NothingIsReadThatIsLargerThanItsMemory) {
    config.max_memory = std::size_t{2} << 20;
    Origin origin;
    origin.become(elf, "\"1\"");
    const std::string large = elf + std::string(config.max_memory, 'x');
    config.filename = path;
    write(path, large);
    EXPECT_EQ(obtain(), path + ": larger than 2 MiB (max_memory)");
    write(path, make_archive(ArchiveKind::tar_zst, {{"prog", large}}));
    EXPECT_EQ(obtain(), path + ": the archive has a program larger than 2 MiB (max_memory)");
    config.uri = origin.url();
    EXPECT_EQ(obtain(), elf);
    // The copy that was there stays, and is used.
    origin.become(large, "\"2\"");
    EXPECT_EQ(obtain(), elf);
    EXPECT_TRUE(contains(log, origin.url() + ": larger than 2 MiB (max_memory)")) << log;
    EXPECT_EQ(content(path), elf);
    config.filename.clear();
    EXPECT_EQ(obtain(), origin.url() + ": larger than 2 MiB (max_memory)");
    write(path, large);
    config.uri = "file://" + path;
    EXPECT_EQ(obtain(), config.uri + ": larger than 2 MiB (max_memory)");
}

// One that was read does not notice what becomes of its file.
TEST_F(ProgramSourceTest, WithASnapshotOnlyAFileThatIsTheProgramAndNeedsNoChecksumIsReadLater) {
    config.filename = path;
    const auto is_read = [this](const std::string& bytes) {
        write(path, bytes);
        const auto program = obtain_program("prog", config, nullptr, nullptr);
        std::filesystem::resize_file(path, 0);
        try {
            return program->bytes().size() == elf.size();
        } catch (const LoadError&) {
            return false;
        }
    };
    EXPECT_TRUE(is_read(elf));
    config.cold_start_file = folder + "/snapshot";
    EXPECT_FALSE(is_read(elf));
    EXPECT_TRUE(is_read(make_archive(ArchiveKind::zip, {{"prog", elf}})));
    config.checksums = {sha256(elf), ""};
    EXPECT_TRUE(is_read(elf));
}

TEST_F(ProgramSourceTest, ProgramsThatShareAPlaceDoNotGetEachOthers) {
    Origin one, two;
    one.become(elf, "\"1\"");
    two.become(make_archive(ArchiveKind::zip, {{"prog", elf + "2"}}), "\"1\"");
    config.filename = path;
    std::atomic<int> wrong{0};
    const auto again_and_again = [&](const std::string& uri, const std::string& expected) {
        ProgramConfig own = config;
        own.uri = uri;
        for (int i = 0; i < 30; i++) {
            const auto program = obtain_program("prog", own, nullptr, nullptr);
            wrong += std::string_view(reinterpret_cast<const char*>(program->bytes().data()),
                                      program->bytes().size()) == expected
                         ? 0
                         : 1;
        }
    };
    std::thread other([&] { again_and_again(two.url(), elf + "2"); });
    again_and_again(one.url(), elf);
    other.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tinykvm::host
