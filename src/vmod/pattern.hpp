// A regular expression of VCL that was not known when the VCL was compiled. It matches as `~` does: anywhere in the
// text, unless it has anchors.
#pragma once

#include <string_view>

#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

class Pattern {
  public:
    // An empty or null text matches everything. Throws VclError that says what is wrong with it, and where;
    // more than 32 groups are, too, because the text may be a client's.
    explicit Pattern(const char* text);
    ~Pattern();
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;

    // Throws VclError when finding out takes too many steps.
    bool matches(std::string_view text) const;

  private:
    vre_t* compiled_ = nullptr;  // null: matches everything
};

}  // namespace tinykvm::vmod
