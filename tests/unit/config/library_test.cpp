// Libraries: what is in one, every mistake and its sentence, and how they go together with configure().
#include "src/config/library.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "src/base/failure.hpp"
#include "src/programs/catalogue.hpp"
#include "tests/unit/http_server.hpp"

namespace tinykvm::host {
namespace {

class LibraryTest : public testing::Test {
  protected:
    // Writes a library with this text, and returns its URI.
    std::string library(const std::string& text, const std::string& name = "library.json") {
        const std::string path = testing::TempDir() + name + "." + std::to_string(getpid());
        std::ofstream(path) << text;
        return "file://" + path;
    }
    std::string loading(const std::string& uri) {
        try {
            catalogue.library(uri);
        } catch (const Error& error) {
            return error.what();
        }
        return "loaded";
    }
    std::string configuring(std::string_view name, std::string_view json) {
        try {
            catalogue.configure(name, json);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "accepted";
    }
    const ProgramConfig& config(std::string_view name) { return catalogue.find(name)->config(); }

    NoCounters counters;
    Catalogue catalogue{{counters, [](const std::string&, std::string_view) {}, nullptr}};
};

const std::string two = R"({
    // the group comes last
    "avif": {"group": "images", "uri": "http://127.0.0.1/avif", "filename": "/x/avif", "concurrency": 2},
    "hello": {"filename": "/x/hello"}, /* no group */
    "images": {"concurrency": 7, "max_memory": 100}
})";

TEST_F(LibraryTest, HasProgramsAndGroupsInAnyOrder) {
    const auto programs = catalogue.library(library(two));
    ASSERT_EQ(programs.size(), 2U);
    EXPECT_EQ(programs[0]->name(), "avif");
    EXPECT_EQ(config("avif").uri, "http://127.0.0.1/avif");
    EXPECT_EQ(config("avif").concurrency, 2U);
    EXPECT_EQ(config("avif").max_memory, std::size_t{100} << 20);
    EXPECT_EQ(config("hello").concurrency, 2U);
    EXPECT_EQ(catalogue.find("images"), nullptr);
}

TEST_F(LibraryTest, WhatConfigureSaysCountsMoreWhateverTheOrder) {
    EXPECT_EQ(configuring("avif", R"({"concurrency": 9})"), "accepted");
    EXPECT_EQ(configuring("images", R"({"max_memory": 50})"), "accepted");
    EXPECT_EQ(loading(library(two)), "loaded");
    EXPECT_EQ(config("avif").concurrency, 9U);
    EXPECT_EQ(config("avif").max_memory, std::size_t{50} << 20);
    EXPECT_EQ(config("avif").group, "images");
    EXPECT_EQ(configuring("avif", R"({"concurrency": 11, "group": "test"})"), "accepted");
    EXPECT_EQ(configuring("hello", R"({"filename": "/y/hello"})"), "accepted");
    EXPECT_EQ(config("avif").concurrency, 11U);
    EXPECT_EQ(config("avif").max_memory, std::size_t{256} << 20);
    EXPECT_EQ(config("hello").filename, "/y/hello");
}

TEST_F(LibraryTest, ProgramMayTakeItsGroupFromElsewhere) {
    EXPECT_EQ(configuring("mine", R"({"concurrency": 3})"), "accepted");
    EXPECT_EQ(loading(library(R"({"p": {"filename": "/x", "group": "mine"}})")), "loaded");
    EXPECT_EQ(config("p").concurrency, 3U);
    EXPECT_EQ(configuring("q", R"({"filename": "/x", "group": "mine"})"), "accepted");
}

TEST_F(LibraryTest, EachMistakeHasItsSentence) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"p": {"filename": "/x", "concurrency": 256}})",
         "configuration of \"p\": key \"concurrency\": value 256; allowed is a whole number from 1 to 255"},
        {R"({"p": {"filname": "/x"}})",
         "configuration of \"p\": key \"filname\": is unknown; did you mean \"filename\"?"},
        {R"({"p": {"filename": "/x", "verbose": true, "verbose": true}})",
         "configuration of \"p\": key \"verbose\": is there twice"},
        {R"({"q": {}, "p": {"allowed_paths": [{"real": "/a", "real": "/b"}]}})",
         "configuration of \"p\": key \"real\": is there twice"},
        {R"({"p": {"filename": "/x"}, "p": {"filename": "/y"}})", "\"p\" is there twice"},
        {R"({"p": 7})", "configuration of \"p\": it must be a JSON object, {...}"},
        {R"([])", "it must be a JSON object of programs and groups, {\"name\": {...}, ...}"},
        {R"({"a b": {"filename": "/x"}})",
         "configuration of \"a b\": a name is 1 to 250 letters, digits, '-', '_' or '.'"},
        {R"({"p": {"filename": "/x", "group": "g"}})",
         "configuration of \"p\": key \"group\": there is no group \"g\"; known are \"test\""},
        {R"({"p": {"group": "test"}})",
         "configuration of \"p\": key \"group\": without \"filename\" or \"uri\" this is a group, and groups have no "
         "group"},
    };
    for (const auto& [text, sentence] : cases) {
        const std::string uri = library(text);
        Catalogue fresh{{counters, [](const std::string&, std::string_view) {}, nullptr}};
        try {
            fresh.library(uri);
            ADD_FAILURE() << text;
        } catch (const ConfigError& error) {
            EXPECT_EQ(error.what(), "library \"" + uri + "\": " + sentence);
        }
    }
    for (const char* text : {"", "{", "{\"p\": {}", "nonsense", "{} {}", "\xFF"}) {
        const std::string uri = library(text);
        EXPECT_EQ(loading(uri).find("library \"" + uri + "\": it is not JSON: "), 0U) << text << ": " << loading(uri);
    }
    EXPECT_EQ(loading(library(std::string(500000, '['))).find("library \""), 0U);
}

// What a Catalogue says about programs that belong to no request.
std::vector<std::string> said;
void note(const std::string& program, std::string_view line) { said.push_back(program + ": " + std::string(line)); }

class LenientLibraryTest : public LibraryTest {
  protected:
    LenientLibraryTest() { said.clear(); }
    void load(const std::string& text) { lenient.library(uri = library(text), Catalogue::Mistakes::refuse); }
    std::string refusal(const std::string& name) { return lenient.find(name)->refusal(); }
    std::string of_library(const std::string& mistake) const { return mistake + "; it is in library " + uri; }

    std::string uri;
    Catalogue lenient{{counters, note, nullptr}};
};

TEST_F(LenientLibraryTest, ServesTheProgramsThatHaveNoMistake) {
    const std::pair<const char*, const char*> mistakes[] = {
        {R"({"filename": "/x", "concurrency": 256})",
         "key \"concurrency\": value 256; allowed is a whole number from 1 to 255"},
        {R"({"filename": "/x", "verbose": true, "verbose": true})", "key \"verbose\": is there twice"},
        {R"({"filename": "/x", "group": "g"})", "key \"group\": there is no group \"g\"; known are \"test\""},
        {"7", "it must be a JSON object, {...}"},
    };
    for (const auto& [settings, mistake] : mistakes) {
        said.clear();
        Catalogue fresh{{counters, note, nullptr}};
        uri = library(std::string(R"({"a": {"filename": "/a"}, "p": )") + settings + R"(, "z": {"filename": "/z"}})");
        EXPECT_EQ(fresh.library(uri, Catalogue::Mistakes::refuse).size(), 3U);
        EXPECT_EQ(fresh.find("a")->refusal() + fresh.find("z")->refusal(), "");
        const std::string why = of_library(std::string("configuration of \"p\": ") + mistake);
        EXPECT_EQ(fresh.find("p")->refusal(), why);
        EXPECT_EQ(said, std::vector{"p: is not served: " + why});
    }
}

TEST_F(LenientLibraryTest, StillRefusesDocumentsThatAreNone) {
    for (const char* text :
         {"", "[]", R"({"p": {"filename": "/x"}, "p": {"filename": "/y"}})", R"({"a b": {"filename": "/x"}})"}) {
        EXPECT_THROW(load(text), ConfigError) << text;
    }
}

TEST_F(LenientLibraryTest, WhoNeedsARefusedProgramIsToldWhy) {
    load(R"({"p": {"filename": "/x", "concurrency": 0}})");
    ProgramService& service = *lenient.find("p");
    EXPECT_FALSE(service.ready());
    EXPECT_FALSE(service.healthy());
    EXPECT_FALSE(service.unload());
    EXPECT_FALSE(service.try_acquire());
    EXPECT_FALSE(service.report());
    service.set_main_arguments({"x"});
    for (const std::function<void()>& need :
         {std::function<void()>([&] { (void)service.acquire(nullptr); }),
          std::function<void()>([&] { service.start(); }), std::function<void()>([&] { service.wait_until_booted(); }),
          std::function<void()>([&] { service.update(nullptr); })}) {
        try {
            need();
            ADD_FAILURE();
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.kind(), FailureKind::not_ready);
            EXPECT_EQ(failure.what(), "the program is not served: " + service.refusal());
        }
    }
    lenient.warm();
    lenient.cold();
}

TEST_F(LenientLibraryTest, GroupWithAMistakeTakesItsProgramsAlong) {
    load(R"({"g": {"concurrency": 0}, "p": {"filename": "/p", "group": "g"}, "q": {"filename": "/q"}})");
    const std::string mistake =
        "configuration of \"g\": key \"concurrency\": value 0; allowed is a whole number from 1 to 255";
    EXPECT_EQ(refusal("p"), of_library("configuration of \"p\": its group cannot be used: " + mistake));
    EXPECT_EQ(refusal("q"), "");
    EXPECT_EQ(lenient.refused_groups(), (std::map<std::string, std::string>{{"g", mistake}}));
    EXPECT_EQ(said.front(), "g: is a group that cannot be used: " + mistake);
    lenient.configure("g", R"({"verbose": true})");  // says nothing wrong itself
    EXPECT_NE(refusal("p"), "");
}

TEST_F(LenientLibraryTest, ConfigureMayStillSayWhatAProgramNeeds) {
    load(R"({"p": {"filename": "/p", "group": "mine", "concurrency": 3}})");
    EXPECT_NE(refusal("p"), "");
    lenient.configure("p", R"({"verbose": true})");
    EXPECT_NE(refusal("p"), "");
    lenient.configure("mine", R"({"max_memory": 50})");
    EXPECT_EQ(refusal("p"), "");
    EXPECT_EQ(lenient.find("p")->config().max_memory, std::size_t{50} << 20);
    EXPECT_TRUE(lenient.find("p")->config().verbose);
    EXPECT_EQ(said.back(), "p: can be served now");
    EXPECT_THROW(lenient.configure("p", R"({"group": "other"})"), ConfigError);  // its own mistake
    EXPECT_EQ(refusal("p"), "");
}

TEST_F(LibraryTest, NamesBelongToOneLibrary) {
    const std::string first = library(two);
    EXPECT_EQ(loading(first), "loaded");
    const std::string second = library(R"({"images": {}})", "second.json");
    EXPECT_EQ(loading(second), "library \"" + second + "\": configuration of \"images\": it is defined by library \"" +
                                   first.substr(0, 80) + (first.size() > 80 ? "..." : "") + "\" already");
}

TEST_F(LibraryTest, GroupsInUseBecomeNoPrograms) {
    EXPECT_EQ(configuring("g", "{}"), "accepted");
    EXPECT_EQ(configuring("p", R"({"filename": "/x", "group": "g"})"), "accepted");
    const std::string said = loading(library(R"({"g": {"filename": "/x"}})"));
    EXPECT_NE(said.find("configuration of \"g\": there is a group of that name already"), std::string::npos) << said;
}

TEST_F(LibraryTest, CannotBeRead) {
    EXPECT_EQ(loading("file:///no/such/file"), "file:///no/such/file: No such file or directory");
    EXPECT_EQ(loading("file:///"), "file:///: not a regular file");
    EXPECT_EQ(loading("file:///dev/zero"), "file:///dev/zero: not a regular file");
    EXPECT_EQ(loading("ftp://x/y"), "ftp://x/y: it does not begin with file://, http:// or https://");
    EXPECT_EQ(loading(""), ": it does not begin with file://, http:// or https://");
    EXPECT_EQ(loading("file://host/path"), "file://host/path: it is not of the form file:///path");
    EXPECT_EQ(loading("file:///a%0"), "file:///a%0: it is not of the form file:///path");
    EXPECT_EQ(loading("file:///a%00"), "file:///a%00: it is not of the form file:///path");
    EXPECT_EQ(loading("http://user:secret@host/"), "http://user:secret@host/: it names a user, which is not supported");
    const std::string uri = library("{}" + std::string(max_library_bytes, ' '));
    EXPECT_EQ(loading(uri), uri + ": larger than 1 MiB");
}

TEST_F(LibraryTest, PathsInUrisMayBeEncoded) {
    const std::string uri = library(two, "a b%");
    std::string encoded = uri;
    encoded.replace(encoded.find("a b%"), 4, "%61%20b%25");
    EXPECT_EQ(loading(encoded), "loaded");
}

TEST_F(LibraryTest, OverHttp) {
    HttpServer server([](const std::string& request) {
        if (request.starts_with("GET /moved ")) {
            return std::string("HTTP/1.1 302 Found\r\nLocation: /library.json\r\nContent-Length: 4\r\n\r\nnope");
        }
        return request.starts_with("GET /library.json ") ? ok(two)
                                                         : "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
    });
    EXPECT_EQ(loading(server.url("/nothing")), server.url("/nothing") + ": the server's answer is 404");
    EXPECT_EQ(loading(server.url("/moved")), "loaded");
    EXPECT_EQ(config("avif").concurrency, 2U);
}

TEST_F(LibraryTest, UnreachableServerIsNamed) {
    std::string url;
    {
        HttpServer server([](const std::string&) { return ok(""); });
        url = server.url("/library.json");
    }
    EXPECT_EQ(loading(url).find("GET " + url + ": "), 0U) << loading(url);
}

TEST_F(LibraryTest, ExampleOfTheDocumentationIsOne) {
    EXPECT_EQ(loading("file://" TINYKVM_SOURCE_DIR "/docs/examples/library.json"), "loaded");
    EXPECT_EQ(config("minify").concurrency, 4U);
    EXPECT_EQ(config("minify").uri, "https://programs.example.com/minify.tar.xz");
}

}  // namespace
}  // namespace tinykvm::host
