#define PCRE2_CODE_UNIT_WIDTH 8
#include "src/calls/regex.hpp"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "tinykvm/os/thread_time.hpp"

namespace tinykvm::host {

namespace {

// Each group of a pattern is up to half a KiB of stack while it is compiled, and some threads have little. That is so
// of groups inside of each other, which PCRE2 limits, and of groups that call each other, (?1), wherever they are.
constexpr std::uint32_t max_nesting = 32;
constexpr auto max_groups = 128;  // all parentheses count: what is a group, only PCRE2 knows for certain
constexpr std::uint32_t max_match_memory = 8192;  // KiB
constexpr std::uint64_t steps_of_any_match = 1000000, steps_per_byte = 4;
constexpr std::chrono::milliseconds most_cpu_time(250);
// A step is at most a look at each byte of the subject; so many bytes may pass between two looks at the clock.
constexpr std::size_t bytes_between_looks = std::size_t{1} << 20;
constexpr unsigned groups_of_replacements = 10;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

pcre2_compile_context* compile_context() {
    static pcre2_compile_context* const context = [] {
        auto* made = pcre2_compile_context_create(nullptr);
        if (made == nullptr) {
            throw std::bad_alloc();
        }
        pcre2_set_max_pattern_length(made, max_regex_pattern);
        pcre2_set_parens_nest_limit(made, max_nesting);
        return made;
    }();
    return context;
}

std::string message_of(int error) {
    std::array<unsigned char, 128> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

}  // namespace

std::shared_ptr<const Regex> Regex::compile(std::string_view pattern, std::string& why) {
    if (const auto groups = std::count(pattern.begin(), pattern.end(), '('); groups > max_groups) {
        why = "it has " + std::to_string(groups) + " groups, more than " + std::to_string(max_groups);
        return nullptr;
    }
    // A callout before each item of the pattern is what lets us count steps.
    constexpr std::uint32_t options = PCRE2_AUTO_CALLOUT | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    int error = 0;
    std::size_t at = 0;
    auto* code = pcre2_compile(bytes_of(pattern), pattern.size(), options, &error, &at, compile_context());
    if (code == nullptr) {
        why = message_of(error) + " at byte " + std::to_string(at);
        return nullptr;
    }
    std::shared_ptr<const Regex> regex;
    try {
        regex.reset(new Regex(pattern, code));
    } catch (...) {
        pcre2_code_free(code);
        throw;
    }
    return regex;
}

Regex::Regex(std::string_view pattern, pcre2_code* code) : pattern_(pattern), code_(code) {
    pcre2_pattern_info(code_, PCRE2_INFO_SIZE, &compiled_bytes_);
    pcre2_pattern_info(code_, PCRE2_INFO_CAPTURECOUNT, &groups_);
    compiled_bytes_ += pattern_.size();
}

Regex::~Regex() { pcre2_code_free(code_); }

RegexMatch::RegexMatch(const Regex& regex, std::size_t bytes, Deadline deadline)
    : regex_(regex),
      data_(pcre2_match_data_create(groups_of_replacements, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      steps_left_(steps_of_any_match + steps_per_byte * bytes),
      steps_between_looks_(std::clamp<std::size_t>(bytes_between_looks / (bytes + 1), 1, 1024)),
      end_of_time_(thread_time() + most_cpu_time),
      deadline_(deadline),
      look_at_(std::min(Clock::now() + most_cpu_time, deadline)) {
    if (data_ == nullptr || context_ == nullptr) {
        pcre2_match_data_free(data_);
        pcre2_match_context_free(context_);
        throw std::bad_alloc();
    }
    pcre2_set_heap_limit(context_, max_match_memory);
    pcre2_set_match_limit(context_, static_cast<std::uint32_t>(steps_left_));
    pcre2_set_callout(context_, step, this);
}

RegexMatch::~RegexMatch() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
}

bool RegexMatch::has_steps_left() {
    if (steps_left_ == 0) {
        return false;
    }
    --steps_left_;
    if (steps_left_ % steps_between_looks_ == 0 && is_out_of_time()) {
        steps_left_ = 0;
    }
    return steps_left_ != 0;
}

// The thread's own clock is a system call; while less time has passed altogether it need not be asked.
bool RegexMatch::is_out_of_time() {
    const auto now = Clock::now();
    if (now < look_at_) {
        return false;
    }
    const auto left = end_of_time_ - thread_time();
    look_at_ = std::min(now + left, deadline_);
    return look_at_ <= now;
}

int RegexMatch::step(pcre2_callout_block*, void* self) {
    return static_cast<RegexMatch*>(self)->has_steps_left() ? 0 : PCRE2_ERROR_MATCHLIMIT;
}

RegexMatch::Result RegexMatch::find(std::string_view subject, std::size_t from, std::uint32_t options) {
    if (!has_steps_left()) {
        return Result::too_much_work;
    }
    const int found = pcre2_match(regex_.code_, bytes_of(subject), subject.size(), from, options, data_, context_);
    if (found >= 0) {
        return Result::match;  // 0: it has more groups than we asked for
    }
    switch (found) {
        case PCRE2_ERROR_NOMATCH: return Result::no_match;
        case PCRE2_ERROR_HEAPLIMIT:
        case PCRE2_ERROR_NOMEMORY: return Result::too_much_memory;
        default: return Result::too_much_work;  // the limits, and recursion without end
    }
}

// Where a group matched; empty when it took no part in the match or does not exist.
RegexMatch::Group RegexMatch::group(unsigned number) const {
    if (number > regex_.groups_) {
        return {0, 0};
    }
    const std::size_t* offsets = pcre2_get_ovector_pointer(data_) + std::size_t{2} * number;
    const Group group{offsets[0], offsets[1]};
    return group.begin == PCRE2_UNSET || group.end < group.begin ? Group{0, 0} : group;
}

bool RegexMatch::expand(std::string_view subject, std::string_view replacement, std::size_t room,
                        std::string& result) const {
    for (std::size_t i = 0; i < replacement.size(); i++) {
        std::string_view piece = replacement.substr(i, 1);
        if (piece == "\\" && i + 1 < replacement.size()) {
            const char next = replacement[++i];
            piece = replacement.substr(i, 1);
            if (next == '&' || (next >= '0' && next <= '9')) {
                const Group wanted = group(next == '&' ? 0 : static_cast<unsigned>(next - '0'));
                piece = subject.substr(wanted.begin, wanted.end - wanted.begin);
            }
        }
        if (piece.size() > room - std::min(room, result.size())) {
            return false;
        }
        result += piece;
    }
    return true;
}

RegexMatch::Result RegexMatch::substitute(std::string_view subject, std::string_view replacement, bool all,
                                          std::size_t room, std::string& result) {
    std::size_t copied = 0, from = 0;
    std::uint32_t options = 0;
    result.clear();
    do {
        const Result found = find(subject, from, options);
        if (found == Result::no_match && options != 0 && from < subject.size()) {
            // There is no other match where the last, empty one was: go on after the next byte.
            from++;
            options = 0;
            continue;
        }
        if (found == Result::no_match) {
            break;
        }
        if (found != Result::match) {
            return found;
        }
        const Group whole = group(0);
        if (whole.begin < copied) {
            return Result::too_much_work;  // it reaches back (\K), and would be replaced for ever
        }
        result += subject.substr(copied, whole.begin - copied);
        if (!expand(subject, replacement, room, result)) {
            return Result::too_long;
        }
        copied = from = whole.end;
        options = whole.begin == whole.end ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0;
    } while (all);
    result += subject.substr(copied);
    return result.size() > room ? Result::too_long : Result::match;
}

std::optional<int> RegexSet::use(std::string_view pattern) {
    for (std::size_t i = 0; i < slots_.size(); i++) {
        if (slots_[i].regex && slots_[i].regex->pattern() == pattern) {
            slots_[i].uses++;
            return static_cast<int>(i);
        }
    }
    return std::nullopt;
}

std::optional<int> RegexSet::add(std::shared_ptr<const Regex> regex) {
    std::size_t bytes = regex->compiled_bytes();
    for (const Slot& slot : slots_) {
        bytes += slot.regex ? slot.regex->compiled_bytes() : 0;
    }
    auto at = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.regex; });
    if (bytes > max_regexes_bytes || (at == slots_.end() && slots_.size() == max_regexes)) {
        return std::nullopt;
    }
    if (at == slots_.end()) {
        at = slots_.emplace(slots_.end());
    }
    *at = {std::move(regex), 1};
    return static_cast<int>(at - slots_.begin());
}

bool RegexSet::free(std::uint32_t handle) {
    if (get(handle) == nullptr) {
        return false;
    }
    if (--slots_[handle].uses == 0) {
        slots_[handle].regex.reset();
    }
    return true;
}

const Regex* RegexSet::get(std::uint32_t handle) const {
    return handle < slots_.size() ? slots_[handle].regex.get() : nullptr;
}

}  // namespace tinykvm::host
