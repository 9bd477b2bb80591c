// Regular expressions of guests, on PCRE2 without UTF. Patterns and subjects are hostile: compiling is bounded by the
// length and depth of the pattern, matching by a number of steps, by CPU time, by a deadline and by memory.
//
// Thread safety: a Regex is immutable; a RegexSet is a plain value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/types.hpp"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_callout_block_8;

namespace tinykvm::host {

inline constexpr std::size_t max_regex_pattern = 4096;                  // bytes
inline constexpr std::size_t max_regex_subject = std::size_t{1} << 20;  // bytes, of results too
inline constexpr std::size_t max_regexes = 128;                         // of a program at a time
inline constexpr std::size_t max_regexes_bytes = std::size_t{1} << 20;  // all of them, compiled

class Regex {
  public:
    // Null, and the reason in `why`, when it is not a pattern or asks for too much.
    [[nodiscard]] static std::shared_ptr<const Regex> compile(std::string_view pattern, std::string& why);
    ~Regex();
    Regex(const Regex&) = delete;
    Regex& operator=(const Regex&) = delete;

    const std::string& pattern() const { return pattern_; }
    std::size_t compiled_bytes() const { return compiled_bytes_; }

  private:
    friend class RegexMatch;
    Regex(std::string_view pattern, pcre2_real_code_8* code);

    const std::string pattern_;
    pcre2_real_code_8* const code_;
    std::size_t compiled_bytes_ = 0;
    std::uint32_t groups_ = 0;
};

// Everything that one call does with an expression. All its matches together may take as much work as one.
class RegexMatch {
  public:
    enum class Result {
        match,
        no_match,
        too_long,         // the result, for substitute()
        too_much_work,    // steps, or CPU time
        too_much_memory,  // or the host has none
    };

    // `bytes` is how long subjects are, in all: longer ones may take more steps. At `deadline` there is no time left,
    // however little was used. Throws std::bad_alloc.
    RegexMatch(const Regex& regex, std::size_t bytes, Deadline deadline);
    ~RegexMatch();
    RegexMatch(const RegexMatch&) = delete;
    RegexMatch& operator=(const RegexMatch&) = delete;

    Result find(std::string_view subject) { return find(subject, 0, 0); }
    // Where the last match is.
    std::size_t begin() const { return group(0).begin; }

    // `subject` with the first match, or all of them, replaced. In `replacement` \0 (or \&) stands for the match, \1 to
    // \9 for its groups, and a backslash before anything else for that. At most `room` bytes.
    Result substitute(std::string_view subject, std::string_view replacement, bool all, std::size_t room,
                      std::string& result);

  private:
    struct Group {
        std::size_t begin, end;
    };
    Result find(std::string_view subject, std::size_t from, std::uint32_t options);
    Group group(unsigned number) const;
    bool expand(std::string_view subject, std::string_view replacement, std::size_t room, std::string& result) const;
    bool has_steps_left();
    bool is_out_of_time();
    static int step(pcre2_callout_block_8*, void* self);

    const Regex& regex_;
    pcre2_real_match_data_8* data_ = nullptr;
    pcre2_real_match_context_8* context_ = nullptr;
    std::uint64_t steps_left_, steps_between_looks_;
    std::chrono::nanoseconds end_of_time_;  // CPU time of this thread
    Deadline deadline_;
    Deadline look_at_;  // the clock need not be read before this
};

// The expressions of a program by their handles, 0, 1, ... The same pattern compiled again has the same handle, and is
// freed when it was freed as often.
class RegexSet {
  public:
    // The handle of a pattern that is there, used once more; nullopt when it is not.
    std::optional<int> use(std::string_view pattern);
    // Adds an expression, and returns its handle; nullopt when there are too many, or they are too large.
    std::optional<int> add(std::shared_ptr<const Regex> regex);
    bool free(std::uint32_t handle);
    // Null when there is none.
    const Regex* get(std::uint32_t handle) const;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(slots_);
        archive.require(slots_.size() <= max_regexes, "it has too many regular expressions");
    }

  private:
    struct Slot {
        std::shared_ptr<const Regex> regex;
        std::uint32_t uses = 0;

        // Expressions are compiled anew.
        template <typename Archive>
        void archive(Archive& archive) {
            std::string pattern = regex ? regex->pattern() : "", why;
            archive(uses, pattern);
            if constexpr (Archive::is_reading) {
                regex = uses != 0 ? Regex::compile(pattern, why) : nullptr;
                archive.require(uses == 0 || regex != nullptr, "it has a regular expression that is none");
            }
        }
    };
    std::vector<Slot> slots_;
};

}  // namespace tinykvm::host
