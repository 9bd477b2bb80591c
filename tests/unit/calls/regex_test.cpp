// Regular expressions of guests: results, and limits that hold for hostile patterns and subjects.
#include "src/calls/regex.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace tinykvm::host {
namespace {

using Result = RegexMatch::Result;
constexpr Deadline never = Deadline::max();

std::shared_ptr<const Regex> compiled(std::string_view pattern) {
    std::string why;
    auto regex = Regex::compile(pattern, why);
    EXPECT_TRUE(regex) << pattern << ": " << why;
    return regex;
}

Result match(std::string_view pattern, std::string_view subject) {
    const auto regex = compiled(pattern);
    return RegexMatch(*regex, subject.size(), never).find(subject);
}

std::string replaced(std::string_view pattern, std::string_view subject, std::string_view replacement, bool all) {
    const auto regex = compiled(pattern);
    std::string result;
    const Result found = RegexMatch(*regex, subject.size(), never).substitute(subject, replacement, all, 1000, result);
    return found == Result::match ? result : "(failed)";
}

TEST(Regex, MatchSaysWhere) {
    const auto regex = compiled("b+");
    RegexMatch matching(*regex, 100, never);
    ASSERT_EQ(matching.find("aabbc"), Result::match);
    EXPECT_EQ(matching.begin(), 2U);
    EXPECT_EQ(matching.find("aac"), Result::no_match);
    EXPECT_EQ(matching.find(""), Result::no_match);
    EXPECT_EQ(match("^$", ""), Result::match);
    EXPECT_EQ(match(std::string_view("a\0b", 3), std::string_view("xa\0b", 4)), Result::match);
    EXPECT_EQ(match("\xFF", "\xFE\xFF"), Result::match) << "bytes, not characters";
}

// So many groups, each of which calls the next one.
std::string calls_of_each_other(int count) {
    std::string pattern = "(?<=(?1))";
    for (int i = 0; i < count; i++) {
        pattern += "((?+1))";
    }
    return pattern + "(b)";
}

TEST(Regex, BadPatternsAreRefusedWithAReason) {
    std::string why;
    EXPECT_EQ(Regex::compile("a(b", why), nullptr);
    EXPECT_EQ(why, "missing closing parenthesis at byte 3");
    const std::string bad[] = {"[",
                               "*",
                               "(?<n>a)(?<n>b)",
                               "(*UTF)a",
                               "(*UCP)a",
                               "\\1",
                               "(?1)",
                               std::string(max_regex_pattern + 1, 'a'),
                               std::string(40, '(') + std::string(40, ')'),
                               calls_of_each_other(200),
                               "((a{1,1000}){1,1000}){1,1000}"};
    for (const std::string& pattern : bad) {
        EXPECT_EQ(Regex::compile(pattern, why), nullptr) << pattern.substr(0, 100);
        EXPECT_FALSE(why.empty());
    }
    EXPECT_NE(Regex::compile(std::string(max_regex_pattern, 'a'), why), nullptr) << why;
}

TEST(Regex, SubstitutionIsThatOfVcl) {
    EXPECT_EQ(replaced("b", "abcb", "X", false), "aXcb");
    EXPECT_EQ(replaced("b", "abcb", "X", true), "aXcX");
    EXPECT_EQ(replaced("z", "abcb", "X", true), "abcb");
    EXPECT_EQ(replaced("(a)(b)?", "acab", "[\\1\\2\\3]", true), "[a]c[ab]");
    EXPECT_EQ(replaced("b", "abc", "<\\0\\&>", false), "a<bb>c");
    EXPECT_EQ(replaced("b", "abc", "\\\\\\x\\", false), "a\\x\\c");
    EXPECT_EQ(replaced("(?=a)b|", "abc", "-", true), "-a-b-c-");
    EXPECT_EQ(replaced("x*", "xxab", "-", true), "--a-b-");
    EXPECT_EQ(replaced("^", "ab", "-", true), "-ab");
    EXPECT_EQ(replaced("$", "", "-", true), "-");
    EXPECT_EQ(replaced("a\\Kb", "abab", "-", true), "a-a-");
    // More groups than a replacement can name.
    EXPECT_EQ(replaced("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", "abcdefghijk", "\\9\\1\\11", false), "iaa1");
}

TEST(Regex, ResultsFitTheirRoom) {
    const auto regex = compiled("b");
    std::string result;
    EXPECT_EQ(RegexMatch(*regex, 10, never).substitute("abc", "xyz", false, 5, result), Result::match);
    EXPECT_EQ(result, "axyzc");
    EXPECT_EQ(RegexMatch(*regex, 10, never).substitute("abc", "xyz", false, 4, result), Result::too_long);
    EXPECT_EQ(RegexMatch(*regex, 10, never).substitute("abc", "", false, 0, result), Result::too_long);
    // Each match doubles: stopped when it is too long, not when memory is.
    const std::string many(10000, 'b'), much(10000, 'y');
    EXPECT_EQ(RegexMatch(*regex, many.size(), never).substitute(many, much, true, 100000, result), Result::too_long);
    EXPECT_LE(result.size(), 200000U);
}

// Each of them would take from minutes to years. That the test ends is the point of it.
TEST(Regex, MatchingIsBounded) {
    const std::string long_line(max_regex_subject, 'a');
    const std::pair<const char*, std::string> bombs[] = {
        {"^(a+)+$", std::string(64, 'a') + "!"},
        {"(a|aa)+$", std::string(200, 'a') + "!"},
        {"(?:a?){40}a{40}b", std::string(80, 'a')},
        {"(.*)*[xy]", long_line},
        {"[ab]{30000}[xy]", long_line},
        {"(?:(?=.*+)a)*[xy]", long_line},
        {"(a{20000})\\1*[xy]", long_line},
        {"(a+)\\1+[xy]", long_line},
        {".{0,60000}[xy]", long_line},
        {"(?>.*[xy])|(?<=a{200})[xy]", long_line},
        {"((?R)|a)*[xy]", long_line},
        {"(?:(?:(?:a*)*)*)*[xy]", std::string(1000, 'a')},
        {"^(?:a|b|ab)*c", std::string(100000, 'a')},
        {"(a)|b|(?C1)(?1)*[xy]", long_line},
    };
    for (const auto& [pattern, subject] : bombs) {
        const Result result = match(pattern, subject);
        EXPECT_NE(result, Result::too_long) << pattern << " " << static_cast<int>(result);
    }
    EXPECT_EQ(match("^(a+)+$", bombs[0].second), Result::too_much_work);
    EXPECT_EQ(match(".*(?:a|b)*+[xy]", std::string(100000, 'a')), Result::too_much_work);
}

TEST(Regex, MatchesOfOneCallShareItsWork) {
    const auto regex = compiled("(a+)+$");
    const std::string subject = std::string(40, 'a') + "!";
    RegexMatch matching(*regex, subject.size(), never);
    EXPECT_EQ(matching.find(subject), Result::too_much_work);
    EXPECT_EQ(matching.find("a"), Result::too_much_work);
}

TEST(Regex, DeadlinesEndMatches) {
    const auto regex = compiled("a");
    const std::string subject(max_regex_subject, 'a');  // so long that the clock is looked at with each step
    EXPECT_EQ(RegexMatch(*regex, subject.size(), never).find(subject), Result::match);
    EXPECT_EQ(RegexMatch(*regex, subject.size(), Clock::now()).find(subject), Result::too_much_work);
}

TEST(Regex, OrdinaryWorkIsDone) {
    std::string text;
    while (text.size() < max_regex_subject - 10) {
        text += "name=val; ";
    }
    const auto regex = compiled("(\\w+)=(\\w+); ");
    std::string result;
    RegexMatch matching(*regex, text.size(), never);
    EXPECT_EQ(matching.substitute(text, "\\2=\\1; ", true, max_regex_subject, result), Result::match);
    EXPECT_EQ(result.substr(0, 20), "val=name; val=name; ");
    EXPECT_EQ(match("(?:x|y)+$", text), Result::no_match);
}

TEST(Regex, CompilingNeedsLittleStack) {
    // Patterns as deep and as wide as they may be.
    std::string deep, behind, calls = "(?<=(?1))", wide = "(?:";
    for (int i = 0; i < 30; i++) {
        deep += "(?:a|[b-d]{2,3}|(?<=x)";
    }
    deep += std::string(30, ')');
    for (int i = 0; i < 15; i++) {
        behind += "(?<=a|(?:b";
    }
    behind += std::string(30, ')');
    // Each group of 31 calls the next one.
    const std::string call = std::string(31, '(') + "(?+1)" + std::string(31, ')');
    calls += call + call + call + "(b)";
    for (int i = 0; i < 126; i++) {
        wide += "a[b-z]?(?=c)|a+";
    }
    wide += std::string(max_regex_pattern - wide.size() - 2, 'x');
    wide += "z)";
    const std::vector<std::string> patterns = {deep, behind, calls, wide, "((((a*)*)*)*)", "(?:(?i)a(?-i)b)*"};
    constexpr std::size_t size = 256 << 10;
    const auto stack = std::make_unique<unsigned char[]>(size);
    std::fill_n(stack.get(), size, 0xA5);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstack(&attributes, stack.get(), size), 0);
    pthread_t thread;
    const auto work = [](void* all) -> void* {
        for (const std::string& pattern : *static_cast<const std::vector<std::string>*>(all)) {
            std::string why;
            const auto regex = Regex::compile(pattern, why);
            EXPECT_TRUE(regex) << why;
            if (regex) {
                (void)RegexMatch(*regex, 10, never).find("aaabbbzzz");
            }
        }
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, work, const_cast<std::vector<std::string>*>(&patterns)), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    const auto* untouched = std::find_if(stack.get(), stack.get() + size, [](unsigned char c) { return c != 0xA5; });
    const std::size_t used = static_cast<std::size_t>(stack.get() + size - untouched);
    RecordProperty("stack_bytes", static_cast<int>(used));
    EXPECT_LT(used, 96U << 10);
}

TEST(RegexSet, HandlesAreReusedAndCounted) {
    RegexSet set;
    EXPECT_EQ(set.add(compiled("a")), 0);
    EXPECT_EQ(set.add(compiled("b")), 1);
    EXPECT_EQ(set.use("a"), 0);
    EXPECT_EQ(set.use("c"), std::nullopt);
    EXPECT_TRUE(set.free(0));
    EXPECT_NE(set.get(0), nullptr);
    EXPECT_TRUE(set.free(0));
    EXPECT_EQ(set.get(0), nullptr);
    EXPECT_FALSE(set.free(0));
    EXPECT_FALSE(set.free(2));
    EXPECT_FALSE(set.free(0xFFFFFFFF));
    EXPECT_EQ(set.get(0xFFFFFFFF), nullptr);
    EXPECT_EQ(set.use("a"), std::nullopt);
    EXPECT_EQ(set.add(compiled("c")), 0);
    EXPECT_EQ(set.use("b"), 1);
}

TEST(RegexSet, IsBounded) {
    RegexSet many;
    for (std::size_t i = 0; i < max_regexes; i++) {
        ASSERT_EQ(many.add(compiled("a" + std::to_string(i))), static_cast<int>(i));
    }
    EXPECT_EQ(many.add(compiled("b")), std::nullopt);
    EXPECT_TRUE(many.free(5));
    EXPECT_EQ(many.add(compiled("b")), 5);

    RegexSet large;
    std::size_t bytes = 0, count = 0;
    for (;; count++) {
        const auto regex = compiled(std::string(1500, 'a') + std::to_string(count));
        if (!large.add(regex)) {
            break;
        }
        bytes += regex->compiled_bytes();
    }
    EXPECT_LT(count, max_regexes);
    EXPECT_LE(bytes, max_regexes_bytes);
}

}  // namespace
}  // namespace tinykvm::host
