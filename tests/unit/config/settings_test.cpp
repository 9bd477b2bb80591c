// The table of settings: every key, where its value goes, its default, and the page that is made of it.
#include "src/config/settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "src/config/unsupported_settings.hpp"
#include "tests/unit/config/parsed_config.hpp"

namespace tinykvm::host {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::complaint;
using test::parsed;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr char sha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char md5[] = "900150983cd24fb0d6963f7d28e17f72";

std::string object_of(const Setting& setting, std::string_view value) {
    return "{\"" + std::string(setting.key) + "\": " + std::string(value) + "}";
}

TEST(Settings, KeysAreThereOnce) {
    std::vector<std::string_view> keys;
    for (const Setting& setting : settings()) {
        keys.push_back(setting.key);
    }
    for (const Alias& alias : aliases()) {
        EXPECT_NE(std::find(keys.begin(), keys.end(), alias.key), keys.end()) << alias.name;
        keys.push_back(alias.name);
    }
    for (const UnsupportedSetting& unsupported : unsupported_settings()) {
        keys.push_back(unsupported.key);
    }
    for (const IgnoredSetting& ignored : ignored_settings()) {
        keys.push_back(ignored.key);
    }
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST(Settings, EveryKeyRefusesWhatItDoesNotAllow) {
    for (const Setting& setting : settings()) {
        const bool takes_objects = setting.kind == Setting::Kind::object || setting.kind == Setting::Kind::ranges;
        for (const std::string value : {"null", takes_objects ? "null" : "{}"}) {
            const std::string said = complaint(object_of(setting, value));
            EXPECT_EQ(said.find("configuration of \"p\": key \"" + std::string(setting.key) + "\": value " + value +
                                "; allowed is "),
                      0U)
                << said;
        }
    }
}

TEST(Settings, DefaultsInTheTableAreThoseOfTheCode) {
    for (const Setting& setting : settings()) {
        if (!setting.fallback.empty()) {
            EXPECT_TRUE(parsed(object_of(setting, setting.fallback)) == ProgramConfig()) << setting.key;
        }
    }
}

// A value of a setting and what it changes.
struct Change {
    const char* value;
    void (*make)(ProgramConfig&);
};

// Another value than the default for every key.
const std::map<std::string_view, Change> changes = {
    {"filename", {"\"/bin/true\"", [](ProgramConfig& c) { c.filename = "/bin/true"; }}},
    {"group", {"\"g\"", [](ProgramConfig& c) { c.group = "g"; }}},
    {"key", {"\"secret\"", [](ProgramConfig& c) { c.key = "secret"; }}},
    {"uri", {"\"https://h/p\"", [](ProgramConfig& c) { c.uri = "https://h/p"; }}},
    {"sha256",
     {"\"BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
      [](ProgramConfig& c) { c.checksums.sha256 = sha256; }}},
    {"md5", {"\"900150983cd24fb0d6963f7d28e17f72\"", [](ProgramConfig& c) { c.checksums.md5 = md5; }}},
    {"download",
     {R"([{"uri": "http://h/", "filepath": "/c"}])",
      [](ProgramConfig& c) {
          c.downloads = {{"http://h/", "/c", {}}};
      }}},
    {"start", {"true", [](ProgramConfig& c) { c.start = true; }}},
    {"cold_start_file", {R"("/x")", [](ProgramConfig& c) { c.cold_start_file = "/x"; }}},
    {"concurrency", {"255", [](ProgramConfig& c) { c.concurrency = 255; }}},
    {"max_boot_time", {"1.5", [](ProgramConfig& c) { c.max_boot_time = milliseconds(1500); }}},
    {"max_request_time", {"0.25", [](ProgramConfig& c) { c.max_request_time = milliseconds(250); }}},
    {"max_queue_time", {"0", [](ProgramConfig& c) { c.max_queue_time = microseconds(0); }}},
    {"max_memory", {"2", [](ProgramConfig& c) { c.max_memory = 2 * mebibyte; }}},
    {"max_request_memory", {"3", [](ProgramConfig& c) { c.max_request_memory = 3 * mebibyte; }}},
    {"limit_workmem_after_req", {"5", [](ProgramConfig& c) { c.limit_workmem_after_req = 5 * mebibyte; }}},
    {"ephemeral_keep_working_memory", {"false", [](ProgramConfig& c) { c.ephemeral_keep_working_memory = false; }}},
    {"shared_memory", {"4", [](ProgramConfig& c) { c.shared_memory = 4 * mebibyte; }}},
    {"address_space", {"128", [](ProgramConfig& c) { c.address_space = 128 * mebibyte; }}},
    {"max_open_files", {"65536", [](ProgramConfig& c) { c.max_open_files = 65536; }}},
    {"storage", {R"("/x")", [](ProgramConfig& c) { c.storage = true, c.storage_file = "/x"; }}},
    {"state_file", {R"("/x")", [](ProgramConfig& c) { c.state_file = "/x"; }}},
    {"max_state_file", {"2", [](ProgramConfig& c) { c.max_state_file = 2 * mebibyte; }}},
    {"max_storage_time", {"2.5", [](ProgramConfig& c) { c.max_storage_time = std::chrono::milliseconds(2500); }}},
    {"smp", {"8", [](ProgramConfig& c) { c.smp = 8; }}},
    {"websocket_server", {"true", [](ProgramConfig& c) { c.websocket_server = true; }}},
    {"max_connection_time", {"0.5", [](ProgramConfig& c) { c.max_connection_time = milliseconds(500); }}},
    {"max_idle_time", {"604800", [](ProgramConfig& c) { c.max_idle_time = std::chrono::hours(168); }}},
    {"max_threads", {"1024", [](ProgramConfig& c) { c.max_threads = 1024; }}},
    {"remapping",
     {R"(["0xC000000000", 1])",
      [](ProgramConfig& c) {
          c.remapping = {{0xC000000000, 0xC000100000}};
      }}},
    {"executable_remapping",
     {R"(["0xC000000000", 1])",
      [](ProgramConfig& c) {
          c.executable_remapping = {{0xC000000000, 0xC000100000}};
      }}},
    {"blackout_area",
     {R"(["0xC000000000", 1])",
      [](ProgramConfig& c) {
          c.blackout_area = {{0xC000000000, 0xC000100000}};
      }}},
    {"relocate_fixed_mmap", {"true", [](ProgramConfig& c) { c.relocate_fixed_mmap = true; }}},
    {"executable_heap", {"true", [](ProgramConfig& c) { c.executable_heap = true; }}},
    {"mmap_backed_files", {"false", [](ProgramConfig& c) { c.mmap_backed_files = false; }}},
    {"transparent_hugepages", {"true", [](ProgramConfig& c) { c.transparent_hugepages = true; }}},
    {"hugepages", {"true", [](ProgramConfig& c) { c.hugepages = true; }}},
    {"hugepage_arena_size", {"6", [](ProgramConfig& c) { c.hugepage_arena_size = 6 * mebibyte; }}},
    {"request_hugepage_arena_size", {"7", [](ProgramConfig& c) { c.request_hugepage_arena_size = 7 * mebibyte; }}},
    {"request_hugepages", {"true", [](ProgramConfig& c) { c.request_hugepages = true; }}},
    {"split_hugepages", {"true", [](ProgramConfig&) {}}},
    {"protocol", {"\"stdio\"", [](ProgramConfig& c) { c.protocol = ProgramConfig::Protocol::stdio; }}},
    {"content_type", {"\"image/webp\"", [](ProgramConfig& c) { c.content_type = "image/webp"; }}},
    {"cgi", {"true", [](ProgramConfig& c) { c.cgi = true; }}},
    {"exit_statuses",
     {R"({"1": 422, "255": 200})",
      [](ProgramConfig& c) {
          c.exit_statuses = {{1, 422}, {255, 200}};
      }}},
    {"max_argument", {"100", [](ProgramConfig& c) { c.max_argument = 100; }}},
    {"main_arguments",
     {R"(["a", "", "c d"])",
      [](ProgramConfig& c) {
          c.main_arguments = {"a", "", "c d"};
      }}},
    {"environment",
     {R"(["A=1", "B="])",
      [](ProgramConfig& c) {
          c.environment = {"A=1", "B="};
      }}},
    {"allowed_paths",
     {R"(["/etc"])", [](ProgramConfig& c) { c.allowed_paths = {{.virtual_path = "/etc", .real_path = ""}}; }}},
    {"listen", {R"(8080)", [](ProgramConfig& c) { c.listen = "8080"; }}},
    {"input", {R"("/tmp/in")", [](ProgramConfig& c) { c.input = "/tmp/in"; }}},
    {"output", {R"("/tmp/out")", [](ProgramConfig& c) { c.output = "/tmp/out"; }}},
    {"writable_memory", {R"(["/var/cache"])", [](ProgramConfig& c) { c.writable_memory = {"/var/cache"}; }}},
    {"allowed_hosts",
     {R"(["example.com:8080", {"host": "*", "private": true, "dont_verify_host": true}])",
      [](ProgramConfig& c) {
          c.allowed_hosts = HostRules({{.match = HostRule::Match::name, .host = "example.com", .port = 8080},
                                       {.match = HostRule::Match::any,
                                        .host = "",
                                        .port = {},
                                        .allows_private = true,
                                        .may_ignore_name = true}});
      }}},
    {"current_working_directory", {"\"/tmp\"", [](ProgramConfig& c) { c.current_working_directory = "/tmp"; }}},
    {"ephemeral", {"false", [](ProgramConfig& c) { c.ephemeral = false; }}},
    {"control_ephemeral", {"true", [](ProgramConfig& c) { c.control_ephemeral = true; }}},
    {"soft_reset", {"false", [](ProgramConfig& c) { c.soft_reset = false; }}},
    {"poll", {"\"auto\"", [](ProgramConfig& c) { c.poll = {.automatic = true, .time = microseconds(0)}; }}},
    {"on_error", {"[\"original\"]", [](ProgramConfig& c) { c.on_error = {ProgramConfig::OnError::original}; }}},
    {"warmup",
     {"{\"num_requests\": 7}",
      [](ProgramConfig& c) {
          c.warmup.num_requests = 7;
          c.warmup.headers = {"User-Agent: tinykvm"};
      }}},
    {"allow_debug", {"true", [](ProgramConfig& c) { c.allow_debug = true; }}},
    {"remote_debug_on_exception", {"true", [](ProgramConfig& c) { c.remote_debug_on_exception = true; }}},
    {"debug_port", {"0", [](ProgramConfig& c) { c.debug_port = 0; }}},
    {"max_debug_wait", {"1.5", [](ProgramConfig& c) { c.max_debug_wait = std::chrono::milliseconds(1500); }}},
    {"max_debug_time", {"60", [](ProgramConfig& c) { c.max_debug_time = std::chrono::seconds(60); }}},
    {"verbose", {"true", [](ProgramConfig& c) { c.verbose = true; }}},
    {"verbose_syscalls", {"true", [](ProgramConfig& c) { c.verbose_syscalls = true; }}},
    {"verbose_pagetables", {"true", [](ProgramConfig& c) { c.verbose_pagetables = true; }}},
    {"stdout", {"true", [](ProgramConfig& c) { c.standard_output = true; }}},
};

TEST(Settings, EachValueReachesItsMemberAndNoOther) {
    for (const Setting& setting : settings()) {
        const auto change = changes.find(setting.key);
        ASSERT_NE(change, changes.end()) << "no value for " << setting.key << ": add one";
        ProgramConfig expected;
        change->second.make(expected);
        EXPECT_TRUE(parsed(object_of(setting, change->second.value)) == expected) << setting.key;
    }
    EXPECT_EQ(changes.size(), settings().size());
}

TEST(Settings, ValuesReachTheConfigurationTogether) {
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
    ProgramConfig expected;
    for (const char* key : {"filename",
                            "uri",
                            "start",
                            "concurrency",
                            "sha256",
                            "md5",
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
                            "main_arguments",
                            "environment",
                            "current_working_directory",
                            "ephemeral",
                            "verbose",
                            "stdout"}) {
        changes.at(key).make(expected);
    }
    expected.downloads = {{"file:///a", "/b", {sha256, ""}}, {"http://h/", "/c", {"", md5}}};
    expected.allowed_paths = {{.virtual_path = "/etc", .real_path = ""},
                              {.virtual_path = "/v", .real_path = "/r", .writable = true, .prefix = false},
                              {.virtual_path = "/l", .real_path = "t", .symlink = true},
                              {.virtual_path = "/only", .real_path = "/only"}};
    expected.on_error = {ProgramConfig::OnError::handler, ProgramConfig::OnError::original};
    EXPECT_TRUE(config == expected);
    EXPECT_FALSE(config == ProgramConfig());
}

TEST(Settings, FailuresAreAnsweredInOrder) {
    using OnError = ProgramConfig::OnError;
    EXPECT_EQ(parsed(R"({"on_error": "original"})").on_error, (std::vector{OnError::handler, OnError::original}));
    EXPECT_EQ(parsed(R"({"on_error": "error"})").on_error, std::vector{OnError::handler});
    EXPECT_EQ(parsed(R"({"on_error": ["original", "handler"]})").on_error,
              (std::vector{OnError::original, OnError::handler}));
    EXPECT_EQ(parsed(R"({"on_error": ["original"]})").on_error, std::vector{OnError::original});
}

TEST(Settings, HugePagesOfRequestsInShort) {
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

TEST(Settings, PageHasEveryKey) {
    const std::string page = configuration_page();
    for (const Setting& setting : settings()) {
        EXPECT_NE(page.find("\n## `" + std::string(setting.key) + "`\n"), std::string::npos) << setting.key;
    }
    for (const UnsupportedSetting& unsupported : unsupported_settings()) {
        EXPECT_NE(page.find("`" + std::string(unsupported.key) + "`"), std::string::npos) << unsupported.key;
    }
}

TEST(Settings, PageOfTheDocumentationIsThePage) {
    std::ifstream file(TINYKVM_SOURCE_DIR "/docs/configuration.md");
    ASSERT_TRUE(file) << "the sources are not here";
    std::ostringstream text;
    text << file.rdbuf();
    EXPECT_EQ(text.str(), configuration_page()) << "run: build/bin/settings-page > docs/configuration.md";
}

}  // namespace
}  // namespace tinykvm::host
