// What one JSON object sets: values, whole numbers, and every kind of mistake with its exact sentence.
#include "src/config/config_layer.hpp"

#include <gtest/gtest.h>

#include "tests/unit/config/parsed_config.hpp"

namespace tinykvm::host {
namespace {

using test::complaint;
using test::parsed;

TEST(ConfigLayer, WholeNumbersMayHaveAPoint) {
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

TEST(ConfigLayer, EachMistakeHasItsSentence) {
    const std::string order =
        "allowed is \"error\", \"original\" or a list of \"handler\" and \"original\" in the order "
        "in which they are tried";
    const std::string statuses =
        "allowed is an object of exit statuses from 0 to 255 and the statuses from 200 to 599 they mean, as {\"1\": "
        "422}";
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
        {R"({"protocol": "http2"})",
         "key \"protocol\": value \"http2\": the value is none of them; allowed is \"callbacks\", \"stdio\" or "
         "\"http\""},
        {R"({"exit_statuses": {"256": 200}})",
         "key \"exit_statuses\": value {\"256\":200}: \"256\" is no exit status; " + statuses},
        {R"({"exit_statuses": {"01": 200}})",
         "key \"exit_statuses\": value {\"01\":200}: \"01\" is no exit status; " + statuses},
        {R"({"exit_statuses": {"1": 600}})",
         "key \"exit_statuses\": value {\"1\":600}: the status for \"1\" is not from 200 to 599; " + statuses},
        {R"({"content_type": "a\nb"})",
         "key \"content_type\": value \"a\\nb\": it has other characters than the printable ones of ASCII; allowed is "
         "a string of at most 1024 bytes"},
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

TEST(ConfigLayer, DeepTextsAreRefusedBeforeTheyAreAValue) {
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

TEST(ConfigLayer, MessagesAreOneLineWhateverTheValue) {
    const std::string said = complaint("{\"filename\": \"a\\nb\\u0001" + std::string(500, 'x') + "\"}");
    EXPECT_EQ(said.find('\n'), std::string::npos);
    EXPECT_LT(said.size(), 400U);
}

}  // namespace
}  // namespace tinykvm::host
