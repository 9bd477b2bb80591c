// Something that has to be the same where a snapshot is loaded as where it was saved. A plain value.
#pragma once

#include <string>

namespace tinykvm::cold {

struct Tag {
    std::string what, value;  // `what` follows a "the" in messages

    template <typename Archive>
    void archive(Archive& archive) {
        archive(what, value);
    }
    bool operator==(const Tag&) const = default;
};

}  // namespace tinykvm::cold
