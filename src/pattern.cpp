#include "src/pattern.hpp"

#include <memory>
#include <stdexcept>
#include <string>

#include "api/guest_text.hpp"

namespace tinykvm::vmod {

namespace {

// Names are short; an expression that needs more than this is a mistake or an attack.
constexpr struct vre_limits limits = {100000, 1000};

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
    int error = 0, offset = 0;
    compiled_ = VRE_compile(text, 0, &error, &offset, 0);
    if (compiled_ == nullptr) {
        throw std::runtime_error("the regular expression \"" + api::printable(text, 200) + "\" is wrong at byte " +
                                 std::to_string(offset) + ": " + error_text(error));
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
        throw std::runtime_error("the regular expression cannot be matched: " + error_text(result));
    }
    return false;
}

}  // namespace tinykvm::vmod
