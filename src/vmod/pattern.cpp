#include "src/vmod/pattern.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "src/vmod/errors.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

namespace {

// Names are short; an expression that needs more than this is a mistake or an attack.
constexpr struct vre_limits limits = {100000, 1000};
// The stack PCRE2 compiles with grows with groups inside of each other, and with groups that call each other, (?1),
// also side by side; workers have 80 KiB. All parentheses count: what is a group, only PCRE2 knows for certain.
constexpr auto most_groups = 32;
// How much of the expression a message shows: the reason must have its place in a line of the log (vsl_reclen).
constexpr std::size_t most_shown = 100;

std::string error_text(int error) {
    struct VsbEnd {
        void operator()(struct vsb* text) const { VSB_destroy(&text); }
    };
    const std::unique_ptr<struct vsb, VsbEnd> text(VSB_new_auto());
    (void)VRE_error(text.get(), error);
    (void)VSB_finish(text.get());
    return VSB_data(text.get());
}

}  // namespace

Pattern::Pattern(const char* text) {
    if (text == nullptr || *text == '\0') {
        return;
    }
    const std::string shown = "the regular expression \"" + printable(text, most_shown) + "\" ";
    const std::string_view all = text;
    if (const auto groups = std::count(all.begin(), all.end(), '('); groups > most_groups) {
        throw VclError(shown + "has " + std::to_string(groups) + " groups, more than " + std::to_string(most_groups));
    }
    int error = 0, offset = 0;
    compiled_ = VRE_compile(text, 0, &error, &offset, 0);
    if (compiled_ == nullptr) {
        throw VclError(shown + "is wrong at byte " + std::to_string(offset) + ": " + error_text(error));
    }
}

Pattern::~Pattern() {
    if (compiled_ != nullptr) {
        VRE_free(&compiled_);
    }
}

bool Pattern::matches(std::string_view text) const {
    if (compiled_ == nullptr) {
        return true;
    }
    const int result = VRE_match(compiled_, text.data(), text.size(), 0, &limits);
    if (result >= 0) {
        return true;
    }
    if (result != VRE_ERROR_NOMATCH) {
        throw VclError("the regular expression cannot be matched: " + error_text(result));
    }
    return false;
}

}  // namespace tinykvm::vmod
