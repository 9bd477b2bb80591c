// The table of settings: every key, every kind of mistake and its exact sentence.
#include "src/config/config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "src/config/settings.hpp"
#include "src/programs/catalogue.hpp"

namespace tinykvm::host {
namespace {

std::string complaint(std::string_view json) {
    try {
        (void)ConfigLayer::parse("p", json);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "accepted";
}

ProgramConfig parsed(std::string_view json) {
    ProgramConfig config;
    ConfigLayer::parse("p", json).apply(config);
    return config;
}

TEST(ApiConfig, EveryKeyOfTheSpecificationIsKnown) {
    for (const char* key : {"filename",
                            "uri",
                            "sha256",
                            "md5",
                            "download",
                            "start",
                            "group",
                            "concurrency",
                            "max_boot_time",
                            "max_request_time",
                            "max_queue_time",
                            "max_memory",
                            "max_request_memory",
                            "limit_workmem_after_req",
                            "ephemeral_keep_working_memory",
                            "transparent_hugepages",
                            "hugepages",
                            "hugepage_arena_size",
                            "request_hugepage_arena_size",
                            "split_hugepages",
                            "main_arguments",
                            "environment",
                            "allowed_paths",
                            "current_working_directory",
                            "ephemeral",
                            "on_error",
                            "verbose",
                            "stdout"}) {
        const std::string said = complaint("{\"" + std::string(key) + "\": {}}");
        EXPECT_EQ(said.find("configuration of \"p\": key \"" + std::string(key) + "\": value {}; allowed is "), 0U)
            << said;
    }
}

TEST(ApiConfig, EveryKeyOfLaterVersionsIsRefusedByName) {
    EXPECT_FALSE(later_settings().empty());
    for (const LaterSetting& later : later_settings()) {
        for (const char* value : {"true", "2.5e-3", "\"x\"", "[1]", "{\"port\": 80}", "null"}) {
            if (later.key == "max_storage_time" && value[0] == '2') {
                continue;
            }
            EXPECT_EQ(complaint("{\"" + std::string(later.key) + "\": " + value + "}"),
                      "configuration of \"p\": key \"" + std::string(later.key) +
                          "\": is not available in this version; allowed is " + std::string(later.allowed));
        }
    }
}

TEST(ApiConfig, KeysOfLaterVersionsMayAskForNothing) {
    EXPECT_EQ(complaint(R"({"filename": "/x", "storage": false, "max_storage_time": 10, "cold_start_file": "", "smp": 1,
                            "allow_debug": false, "remote_debug_on_exception": false, "verbose_syscalls": false,
                            "verbose_pagetables": false, "server": {}, "websocket_server": {}})"),
              "accepted");
    EXPECT_EQ(complaint(R"({"storage": "", "smp": 0, "server": []})"), "accepted");
    EXPECT_NE(complaint(R"({"max_storage_time": -1})"), "accepted");
}

TEST(ApiConfig, KeysThatMeanNothingHereMayHaveAnyValue) {
    EXPECT_FALSE(ignored_settings().empty());
    for (const IgnoredSetting& ignored : ignored_settings()) {
        for (const char* value : {"true", "0", "\"0x40000000\"", "[\"x\"]", "null"}) {
            EXPECT_EQ(complaint("{\"" + std::string(ignored.key) + "\": " + value + "}"), "accepted");
        }
    }
}

TEST(ApiConfig, OtherNamesOfSettings) {
    const ProgramConfig config =
        parsed(R"({"req_mem_limit_after_reset": 16, "experimental_keep_working_memory": false})");
    EXPECT_EQ(config.limit_workmem_after_req, std::size_t{16} << 20);
    EXPECT_FALSE(config.ephemeral_keep_working_memory);
    EXPECT_EQ(complaint(R"({"req_mem_limit_after_reset": 16, "limit_workmem_after_req": 16})"),
              "configuration of \"p\": key \"req_mem_limit_after_reset\": is another name of "
              "\"limit_workmem_after_req\", which is there, too");
    EXPECT_EQ(
        complaint(R"({"req_mem_limit_after_reset": -1})"),
        "configuration of \"p\": key \"limit_workmem_after_req\": value -1; allowed is a whole number of MiB from 0 "
        "to 65536");
    EXPECT_EQ(complaint(R"({"req_mem_limit_after_request": 1})"),
              "configuration of \"p\": key \"req_mem_limit_after_request\": is unknown; did you mean "
              "\"req_mem_limit_after_reset\"?");
}

TEST(ApiConfig, HugePagesOfRequestsInShort) {
    const auto arena = [](const char* json) { return parsed(json).request_hugepage_arena_size >> 20; };
    EXPECT_TRUE(parsed(R"({"request_hugepages": true})").request_hugepages);
    EXPECT_EQ(arena(R"({"request_hugepages": true})"), 0U);  // as much as max_request_memory
    EXPECT_EQ(arena(R"({"request_hugepages": true, "request_hugepage_arena_size": 8})"), 8U);
    EXPECT_EQ(arena(R"({"request_hugepages": 16})"), 16U);
    EXPECT_EQ(arena(R"({"request_hugepages": false})"), 0U);
    ProgramConfig config = parsed(R"({"request_hugepage_arena_size": 8, "request_hugepages": true})");
    ConfigLayer::parse("p", R"({"request_hugepages": false})").apply(config);
    EXPECT_FALSE(config.request_hugepages);
    EXPECT_EQ(config.request_hugepage_arena_size, 0U);
    EXPECT_EQ(
        complaint(R"({"request_hugepages": "8"})"),
        "configuration of \"p\": key \"request_hugepages\": value \"8\"; allowed is true, false or a whole number of "
        "MiB from 0 to 65536");
}

// Puts a variable of the environment back as it was.
class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) {
            before_ = before;
        }
        set(value);
    }
    ~Environment() { set(before_ ? before_->c_str() : nullptr); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    void set(const char* value) {
        if (value == nullptr) {
            ::unsetenv(name_);
        } else {
            ::setenv(name_, value, 1);
        }
    }

    const char* const name_;
    std::optional<std::string> before_;
};

TEST(ApiConfig, HomeAndWorkingDirectoryAreReplaced) {
    const Environment home("HOME", "/home/me");
    const std::string here = std::filesystem::current_path().string();
    const ProgramConfig config = parsed(R"({
        "filename": "$HOME/bin/$HOME", "uri": "http://h/$HOME", "current_working_directory": "$PWD",
        "main_arguments": ["$HOME/main.js", "--cache=$PWD/$HOME/", "$HOMEPAGE $$ $ $", "$$HOME $$$PWD $$x"],
        "environment": ["HOME=$HOME"],
        "allowed_paths": ["$HOME/x", {"virtual": "/v", "real": "$PWD/r"}],
        "download": [{"uri": "http://h/$PWD", "filepath": "$HOME/d"}]
    })");
    EXPECT_EQ(config.filename, "/home/me/bin//home/me");
    EXPECT_EQ(config.uri, "http://h/$HOME");
    EXPECT_EQ(config.current_working_directory, here);
    EXPECT_EQ(config.main_arguments, (std::vector<std::string>{"/home/me/main.js", "--cache=" + here + "//home/me/",
                                                               "$HOMEPAGE $$ $ $", "$HOME $$PWD $$x"}));
    EXPECT_EQ(config.environment, (std::vector<std::string>{"HOME=/home/me"}));
    EXPECT_EQ(config.allowed_paths[0].virtual_path, "/home/me/x");
    EXPECT_EQ(config.allowed_paths[1].real_path, here + "/r");
    EXPECT_EQ(config.downloads[0].uri, "http://h/$PWD");
    EXPECT_EQ(config.downloads[0].path, "/home/me/d");
}

TEST(ApiConfig, WithoutAHomeItIsAnErrorToNameIt) {
    const Environment home("HOME", nullptr);
    EXPECT_EQ(
        complaint(R"({"allowed_paths": ["/x", "$HOME/y"]})"),
        "configuration of \"p\": key \"allowed_paths\": value [\"/x\",\"$HOME/y\"]: $HOME: HOME is not in the "
        "environment of this process; allowed is a list of strings and of objects {virtual, real, writable, prefix, "
        "symlink}");
    EXPECT_EQ(complaint(R"({"main_arguments": ["$$HOME", "$HOMES"], "key": "$HOME"})"), "accepted");
}

TEST(ApiConfig, ReplacedTextsAreChecked) {
    const Environment home("HOME", "home");
    EXPECT_EQ(complaint(R"({"filename": "$HOME/x"})"),
              "configuration of \"p\": key \"filename\": value \"home/x\": the path must begin with '/'; allowed is a "
              "string of 1 to 4096 bytes");
    const Environment large("HOME", std::string(5000, '/').c_str());
    EXPECT_NE(complaint(R"({"filename": "$HOME/x"})").find("; allowed is a string of 1 to 4096 bytes"),
              std::string::npos);
}

TEST(ApiConfig, DefaultsInTheTableAreThoseOfTheCode) {
    for (const Setting& setting : settings()) {
        if (setting.fallback.empty()) {
            continue;
        }
        const ProgramConfig from_table =
            parsed("{\"" + std::string(setting.key) + "\": " + std::string(setting.fallback) + "}");
        const ProgramConfig fresh;
        EXPECT_EQ(from_table.group, fresh.group);
        EXPECT_EQ(from_table.downloads.size(), fresh.downloads.size());
        EXPECT_EQ(from_table.start, fresh.start);
        EXPECT_EQ(from_table.concurrency, fresh.concurrency);
        EXPECT_EQ(from_table.shared_memory, fresh.shared_memory);
        EXPECT_EQ(from_table.address_space, fresh.address_space);
        EXPECT_EQ(from_table.max_threads, fresh.max_threads);
        EXPECT_EQ(from_table.remapping, fresh.remapping);
        EXPECT_EQ(from_table.executable_remapping, fresh.executable_remapping);
        EXPECT_EQ(from_table.blackout_area, fresh.blackout_area);
        EXPECT_EQ(from_table.request_hugepages, fresh.request_hugepages);
        EXPECT_EQ(from_table.relocate_fixed_mmap, fresh.relocate_fixed_mmap);
        EXPECT_EQ(from_table.executable_heap, fresh.executable_heap);
        EXPECT_EQ(from_table.mmap_backed_files, fresh.mmap_backed_files);
        EXPECT_EQ(from_table.warmup.num_requests, fresh.warmup.num_requests);
        EXPECT_EQ(from_table.max_boot_time, fresh.max_boot_time);
        EXPECT_EQ(from_table.max_request_time, fresh.max_request_time);
        EXPECT_EQ(from_table.max_queue_time, fresh.max_queue_time);
        EXPECT_EQ(from_table.max_memory, fresh.max_memory);
        EXPECT_EQ(from_table.max_request_memory, fresh.max_request_memory);
        EXPECT_EQ(from_table.limit_workmem_after_req, fresh.limit_workmem_after_req);
        EXPECT_EQ(from_table.ephemeral_keep_working_memory, fresh.ephemeral_keep_working_memory);
        EXPECT_EQ(from_table.transparent_hugepages, fresh.transparent_hugepages);
        EXPECT_EQ(from_table.hugepages, fresh.hugepages);
        EXPECT_EQ(from_table.hugepage_arena_size, fresh.hugepage_arena_size);
        EXPECT_EQ(from_table.request_hugepage_arena_size, fresh.request_hugepage_arena_size);
        EXPECT_EQ(from_table.main_arguments, fresh.main_arguments);
        EXPECT_EQ(from_table.environment, fresh.environment);
        EXPECT_EQ(from_table.allowed_paths.size(), fresh.allowed_paths.size());
        EXPECT_EQ(from_table.current_working_directory, fresh.current_working_directory);
        EXPECT_EQ(from_table.ephemeral, fresh.ephemeral);
        EXPECT_EQ(from_table.control_ephemeral, fresh.control_ephemeral);
        EXPECT_EQ(from_table.on_error, fresh.on_error);
        EXPECT_EQ(from_table.verbose, fresh.verbose);
        EXPECT_EQ(from_table.standard_output, fresh.standard_output);
    }
}

TEST(ApiConfig, ValuesReachTheConfiguration) {
    const ProgramConfig config = parsed(R"({
        // comments are allowed
        "filename": "/bin/true", "uri": "https://h/p", "start": true, "concurrency": 255,
        "sha256": "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "md5": "900150983cd24fb0d6963f7d28e17f72",
        "download": [{"uri": "file:///a", "filepath": "/b", "sha256":
                      "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"},
                     {"uri": "http://h/", "filepath": "/c", "md5": "900150983cd24fb0d6963f7d28e17f72"}],
        "max_boot_time": 1.5, "max_request_time": 0.25,
        "max_queue_time": 0, "max_memory": 2, "max_request_memory": 3,
        "limit_workmem_after_req": 5, "ephemeral_keep_working_memory": false,
        "transparent_hugepages": true, "hugepages": true, "hugepage_arena_size": 6, "request_hugepage_arena_size": 7,
        "split_hugepages": true, /* everywhere */
        "main_arguments": ["a", "", "c d"], "environment": ["A=1", "B="],
        "allowed_paths": ["/etc", {"virtual": "/v", "real": "/r", "writable": true, "prefix": false},
                          {"virtual": "/l", "real": "t", "symlink": true}, {"real": "/only"}],
        "current_working_directory": "/tmp", "ephemeral": false, "on_error": "original", "verbose": true,
        "stdout": true, "group": "test"
    })");
    EXPECT_EQ(config.filename, "/bin/true");
    EXPECT_EQ(config.uri, "https://h/p");
    EXPECT_TRUE(config.start);
    EXPECT_EQ(config.checksums.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(config.checksums.md5, "900150983cd24fb0d6963f7d28e17f72");
    ASSERT_EQ(config.downloads.size(), 2U);
    EXPECT_EQ(config.downloads[0].uri, "file:///a");
    EXPECT_EQ(config.downloads[0].checksums.sha256, config.checksums.sha256);
    EXPECT_EQ(config.downloads[0].checksums.md5, "");
    EXPECT_EQ(config.downloads[1].path, "/c");
    EXPECT_EQ(config.downloads[1].checksums.md5, config.checksums.md5);
    EXPECT_EQ(config.concurrency, 255U);
    EXPECT_EQ(config.max_boot_time, std::chrono::milliseconds(1500));
    EXPECT_EQ(config.max_request_time, std::chrono::milliseconds(250));
    EXPECT_EQ(config.max_queue_time.count(), 0);
    EXPECT_EQ(config.max_memory, std::size_t{2} << 20);
    EXPECT_EQ(config.max_request_memory, std::size_t{3} << 20);
    EXPECT_EQ(config.limit_workmem_after_req, std::size_t{5} << 20);
    EXPECT_FALSE(config.ephemeral_keep_working_memory);
    EXPECT_TRUE(config.transparent_hugepages);
    EXPECT_TRUE(config.hugepages);
    EXPECT_EQ(config.hugepage_arena_size, std::size_t{6} << 20);
    EXPECT_EQ(config.request_hugepage_arena_size, std::size_t{7} << 20);
    EXPECT_EQ(config.main_arguments, (std::vector<std::string>{"a", "", "c d"}));
    EXPECT_EQ(config.environment, (std::vector<std::string>{"A=1", "B="}));
    ASSERT_EQ(config.allowed_paths.size(), 4U);
    EXPECT_EQ(config.allowed_paths[0].virtual_path, "/etc");
    EXPECT_EQ(config.allowed_paths[0].real_path, "");
    EXPECT_TRUE(config.allowed_paths[1].writable);
    EXPECT_FALSE(config.allowed_paths[1].prefix);
    EXPECT_EQ(config.allowed_paths[1].real_path, "/r");
    EXPECT_TRUE(config.allowed_paths[2].symlink);
    EXPECT_EQ(config.allowed_paths[3].virtual_path, "/only");
    EXPECT_FALSE(config.ephemeral);
    using OnError = ProgramConfig::OnError;
    EXPECT_EQ(config.on_error, (std::vector{OnError::handler, OnError::original}));
    EXPECT_EQ(parsed(R"({"on_error": "error"})").on_error, std::vector{OnError::handler});
    EXPECT_EQ(parsed(R"({"on_error": ["original", "handler"]})").on_error,
              (std::vector{OnError::original, OnError::handler}));
    EXPECT_EQ(parsed(R"({"on_error": ["original"]})").on_error, std::vector{OnError::original});
    EXPECT_TRUE(config.verbose);
    EXPECT_TRUE(config.standard_output);
}

TEST(ApiConfig, WholeNumbersMayHaveAPoint) {
    const ProgramConfig config = parsed(R"({
        "filename": "/x", "concurrency": 4.0, "max_memory": 64.0, "poll": 2e3, "max_request_time": 4.0,
        "warmup": {"num_requests": 3.0}
    })");
    EXPECT_EQ(config.concurrency, 4U);
    EXPECT_EQ(config.max_memory, std::size_t{64} << 20);
    EXPECT_EQ(config.poll.time, std::chrono::microseconds(2000));
    EXPECT_EQ(config.max_request_time, std::chrono::seconds(4));
    EXPECT_EQ(config.warmup.num_requests, 3U);
}

TEST(ApiConfig, EachMistakeHasItsSentence) {
    const std::string order =
        "allowed is \"error\", \"original\" or a list of \"handler\" and \"original\" in the order "
        "in which they are tried";
    const std::pair<const char*, std::string> cases[] = {
        {R"({"concurrency": 0})", "key \"concurrency\": value 0; allowed is a whole number from 1 to 255"},
        {R"({"concurrency": -1})", "key \"concurrency\": value -1; allowed is a whole number from 1 to 255"},
        {R"({"concurrency": 1.5})", "key \"concurrency\": value 1.5; allowed is a whole number from 1 to 255"},
        {R"({"concurrency": 1e300})", "key \"concurrency\": value 1e+300; allowed is a whole number from 1 to 255"},
        {R"({"concurrency": 18446744073709551615})",
         "key \"concurrency\": value 18446744073709551615; allowed is a whole number from 1 to 255"},
        {R"({"concurrency": true})", "key \"concurrency\": value true; allowed is a whole number from 1 to 255"},
        {R"({"max_request_time": 0})",
         "key \"max_request_time\": value 0; allowed is a number of seconds from 0.001 to 86400"},
        {R"({"max_request_time": "8"})",
         "key \"max_request_time\": value \"8\"; allowed is a number of seconds from 0.001 to 86400"},
        {R"({"max_memory": 0})", "key \"max_memory\": value 0; allowed is a whole number of MiB from 1 to 65536"},
        {R"({"max_memory": null})", "key \"max_memory\": value null; allowed is a whole number of MiB from 1 to 65536"},
        {R"({"ephemeral": 1})", "key \"ephemeral\": value 1; allowed is true or false"},
        {R"({"on_error": "retry"})", "key \"on_error\": value \"retry\": the value is neither; " + order},
        {R"({"on_error": []})", "key \"on_error\": value []: it is empty; " + order},
        {R"({"on_error": [1]})", "key \"on_error\": value [1]; " + order},
        {R"({"on_error": ["handler", "error"]})",
         "key \"on_error\": value [\"handler\",\"error\"]: it has another value, or one twice; " + order},
        {R"({"on_error": ["original", "original"]})",
         "key \"on_error\": value [\"original\",\"original\"]: it has another value, or one twice; " + order},
        {R"({"filename": ""})", "key \"filename\": value \"\"; allowed is a string of 1 to 4096 bytes"},
        {R"({"filename": "x"})",
         "key \"filename\": value \"x\": the path must begin with '/'; allowed is a string of 1 to 4096 bytes"},
        {R"({"filename": "/a\u0000b"})",
         "key \"filename\": value \"/a\\u0000b\": it contains a zero byte; allowed is a string of 1 to 4096 bytes"},
        {R"({"uri": "x"})",
         "key \"uri\": value \"x\": it does not begin with file://, http:// or https://; allowed is a "
         "string of the form file:///path, http://host/path or https://host/path"},
        {R"({"uri": "http://"})",
         "key \"uri\": value \"http://\": the URL \"http://\" is not valid: No host part in the URL; allowed is a "
         "string of the form file:///path, http://host/path or https://host/path"},
        {R"({"sha256": "12"})",
         "key \"sha256\": value \"12\": it is not one; allowed is a string of 64 hexadecimal digits"},
        {R"({"md5": "900150983cd24fb0d6963f7d28e17f7g"})",
         "key \"md5\": value \"900150983cd24fb0d6963f7d28e17f7g\": it is not one; allowed is a string of 32 "
         "hexadecimal "
         "digits"},
        {R"({"download": ["x"]})",
         "key \"download\": value [\"x\"]; allowed is a list of objects {uri, filepath, sha256, "
         "md5}, with or without the last two"},
        {R"({"download": [{"uri": "http://h/", "filepath": "/x", "mode": 1}]})",
         "key \"download\": value [{\"filepath\":\"/x\",\"mode\":1,\"uri\":\"http://h/\"}]; allowed is a list of "
         "objects {uri, filepath, sha256, md5}, with or without the last two"},
        {R"({"download": [{"uri": "http://h/", "filepath": "x"}]})",
         "key \"download\": value [{\"filepath\":\"x\",\"uri\":\"http://h/\"}]: \"filepath\" must begin with '/' and "
         "have no zero byte; allowed is a list of objects {uri, filepath, sha256, md5}, with or without the last two"},
        {R"({"download": [{"uri": "gopher:", "filepath": "/x"}]})",
         "key \"download\": value [{\"filepath\":\"/x\",\"uri\":\"gopher:\"}]: \"uri\": it does not begin with "
         "file://, http:// or https://; allowed is a list of objects {uri, filepath, sha256, md5}, with or without the "
         "last "
         "two"},
        {R"({"download": [{"uri": "http://h/", "filepath": "/x"}, {"uri": "http://h/", "filepath": "/x"}]})",
         "key \"download\": value [{\"filepath\":\"/x\",\"uri\":\"http://h/\"},{\"filepath\":\"/x\",\"uri\":"
         "\"http://h/\"}]: \"filepath\": \"/x\" is there twice; allowed is a list of objects {uri, filepath, sha256, "
         "md5}, with or without the last two"},
        {R"({"download": [{"uri": "http://h/", "filepath": "/x", "md5": "12"}]})",
         "key \"download\": value [{\"filepath\":\"/x\",\"md5\":\"12\",\"uri\":\"http://h/\"}]: \"md5\" is a string of "
         "32 "
         "hexadecimal digits; allowed is a list of objects {uri, filepath, sha256, md5}, with or without the last two"},
        {R"({"start": 1})", "key \"start\": value 1; allowed is true or false"},
        {R"({"main_arguments": "x"})",
         "key \"main_arguments\": value \"x\"; allowed is a list of strings of at most 4096 bytes"},
        {R"({"main_arguments": ["a", 1]})",
         "key \"main_arguments\": value [\"a\",1]; allowed is a list of strings of at most 4096 bytes"},
        {R"({"main_arguments": ["\u0000"]})",
         "key \"main_arguments\": value [\"\\u0000\"]: it contains a zero byte; allowed is a list of strings of at "
         "most 4096 bytes"},
        {R"({"environment": ["A"]})",
         "key \"environment\": value [\"A\"]: \"A\" is not of the form NAME=VALUE; allowed is a list of strings of at "
         "most 4096 bytes"},
        {R"({"environment": ["KVM_NAME=x"]})",
         "key \"environment\": value [\"KVM_NAME=x\"]: KVM_NAME is always set by tinykvm itself; allowed is a list of "
         "strings of at most 4096 bytes"},
        {R"({"allowed_paths": ["etc"]})",
         "key \"allowed_paths\": value [\"etc\"]: a path must begin with '/'; allowed is a list of strings and of "
         "objects {virtual, real, writable, prefix, symlink}"},
        {R"({"allowed_paths": [{"virtual": "/a", "mode": 1}]})",
         "key \"allowed_paths\": value [{\"mode\":1,\"virtual\":\"/a\"}]: a path has no \"mode\", only virtual, real, "
         "writable, prefix and symlink; allowed is a list of strings and of objects {virtual, real, writable, prefix, "
         "symlink}"},
        {R"({"filname": "/x"})", "key \"filname\": is unknown; did you mean \"filename\"?"},
        {R"({"max_mem": 1})", "key \"max_mem\": is unknown; did you mean \"max_memory\"?"},
        {R"({"xyzzy": 1})", "key \"xyzzy\": is unknown"},
        {R"({"verbose": true, "verbose": true})", "key \"verbose\": is there twice"},
        {R"({"allowed_paths": [{"real": "/a", "real": "/b"}]})", "key \"real\": is there twice"},
        {R"([])", "it must be a JSON object, {...}"},
        {R"("x")", "it must be a JSON object, {...}"},
    };
    for (const auto& [json, sentence] : cases) {
        EXPECT_EQ(complaint(json), "configuration of \"p\": " + std::string(sentence)) << json;
    }
    for (const char* json : {"", "{", "{\"a\"", "nonsense", "{} {}", "{\"verbose\": tru}", "/*"}) {
        EXPECT_EQ(complaint(json).find("configuration of \"p\": it is not JSON: "), 0U) << json << complaint(json);
    }
}

std::string lists(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ApiConfig, DeepTextsAreRefusedBeforeTheyAreAValue) {
    EXPECT_EQ(complaint(R"({"concurrency": )" + lists(31) + "}"),
              "configuration of \"p\": key \"concurrency\": value " + lists(31) +
                  "; allowed is a whole number from 1 to 255");
    const std::string refusal = "objects and lists are more than 32 deep";
    std::string objects;
    for (int i = 0; i < 100000; i++) {
        objects += "{\"a\":";
    }
    for (const std::string& json : {R"({"concurrency": )" + lists(32) + "}", "{\"warmup\": " + lists(100000) + "}",
                                    lists(100000), std::string(100000, '['), objects}) {
        EXPECT_EQ(complaint(json), "configuration of \"p\": " + refusal) << json.substr(0, 50);
        try {
            (void)parse_library(json);
            ADD_FAILURE() << json.substr(0, 50);
        } catch (const ConfigError& error) {
            EXPECT_EQ(error.what(), refusal);
        }
    }
}

TEST(ApiConfig, MessagesAreOneLineWhateverTheValue) {
    const std::string said = complaint("{\"filename\": \"a\\nb\\u0001" + std::string(500, 'x') + "\"}");
    EXPECT_EQ(said.find('\n'), std::string::npos);
    EXPECT_LT(said.size(), 400U);
}

TEST(ApiConfig, PageHasEveryKey) {
    const std::string page = configuration_page();
    for (const Setting& setting : settings()) {
        EXPECT_NE(page.find("\n## `" + std::string(setting.key) + "`\n"), std::string::npos) << setting.key;
    }
    for (const LaterSetting& later : later_settings()) {
        EXPECT_NE(page.find("`" + std::string(later.key) + "`"), std::string::npos) << later.key;
    }
}

TEST(ApiConfig, PageOfTheDocumentationIsThePage) {
    std::ifstream file(TINYKVM_SOURCE_DIR "/docs/configuration.md");
    ASSERT_TRUE(file) << "the sources are not here";
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), configuration_page()) << "run: build/bin/settings-page > docs/configuration.md";
}

struct NoCounters final : CounterSink {
    void add(Counter, std::uint64_t) noexcept override {}
};

class ApiCatalogue : public testing::Test {
  protected:
    std::string refusal(std::string_view name, std::string_view json) {
        try {
            catalogue.configure(name, json);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "accepted";
    }

    NoCounters counters;
    Catalogue catalogue{{counters, [](const std::string&, std::string_view) {}}};
};

TEST_F(ApiCatalogue, ProgramTakesFromItsGroupAndOverrides) {
    EXPECT_EQ(catalogue.configure("images", R"({"concurrency": 7, "max_memory": 100})"), nullptr);
    const Service* program = catalogue.configure("avif", R"({"filename": "/x", "group": "images", "max_memory": 50})");
    ASSERT_NE(program, nullptr);
    EXPECT_EQ(program->config().concurrency, 7U);
    EXPECT_EQ(program->config().max_memory, std::size_t{50} << 20);
    EXPECT_EQ(program->config().group, "images");
}

TEST_F(ApiCatalogue, LaterSettingsOfAGroupReachProgramsThatHaveNotStarted) {
    const Service* program = catalogue.configure("p", R"({"filename": "/x", "verbose": true})");
    catalogue.configure("test", R"({"concurrency": 3, "verbose": false})");
    EXPECT_EQ(program->config().concurrency, 3U);
    EXPECT_TRUE(program->config().verbose);
}

TEST_F(ApiCatalogue, SettingsAddUpForOneProgram) {
    const Service* program = catalogue.configure("p", R"({"filename": "/x", "concurrency": 2})");
    EXPECT_EQ(catalogue.configure("p", R"({"verbose": true})"), program);
    EXPECT_EQ(program->config().concurrency, 2U);
    EXPECT_TRUE(program->config().verbose);
}

TEST_F(ApiCatalogue, NamesAndGroupsThatCannotBe) {
    EXPECT_EQ(refusal("", "{}").find("configuration of \"\": a name is 1 to 250 letters"), 0U);
    EXPECT_EQ(refusal("a b", "{}").find("configuration of \"a b\": a name is"), 0U);
    EXPECT_EQ(refusal("a\nb", "{}").find("configuration of \"a\\nb\": a name is"), 0U);
    EXPECT_NE(refusal("p", R"({"filename": "/x", "group": "g"})").find("there is no group \"g\"; known are \"test\""),
              std::string::npos);
    EXPECT_NE(refusal("g", R"({"group": "test"})").find("groups have no group"), std::string::npos);
    EXPECT_EQ(refusal("g", "{}"), "accepted");
    EXPECT_NE(refusal("g", R"({"filename": "/x"})").find("there is a group of that name already"), std::string::npos);
    EXPECT_EQ(catalogue.find("p"), nullptr);
    EXPECT_EQ(catalogue.why_missing("p"), "there is no program \"p\"");
    EXPECT_EQ(catalogue.why_missing("g"), "\"g\" is a group: its configuration has neither filename nor uri");
}

TEST_F(ApiCatalogue, MistakeChangesNothing) {
    const Service* program = catalogue.configure("p", R"({"filename": "/x", "concurrency": 2})");
    EXPECT_NE(refusal("p", R"({"concurrency": 3, "group": "nothing"})"), "accepted");
    EXPECT_EQ(program->config().concurrency, 2U);
    EXPECT_EQ(program->config().group, "test");
}

}  // namespace
}  // namespace tinykvm::host
