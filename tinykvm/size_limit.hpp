// The most bytes that may be read of something, and how a message names that limit.
//
// Thread safety: a plain value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace tinykvm {

struct SizeLimit {
    std::size_t bytes;
    std::string key = {};  // the configuration key that sets it; empty: it cannot be changed

    // "larger than 64 MiB (max_memory)"
    std::string exceeded() const {
        const auto in = [this](std::size_t unit, const char* name) {
            return std::to_string(bytes / unit) + name + (key.empty() ? "" : " (" + key + ")");
        };
        const std::size_t mebibyte = std::size_t{1} << 20, gibibyte = std::size_t{1} << 30;
        return "larger than " + (bytes % gibibyte == 0   ? in(gibibyte, " GiB")
                                 : bytes % mebibyte == 0 ? in(mebibyte, " MiB")
                                                         : in(1, " bytes"));
    }
};

inline constexpr std::size_t most_program_bytes = std::size_t{1} << 30;

// The limit for a program's file. The file is read whole, with the parts that are not loaded, and so takes memory of
// the host, for which the limit of the program's memory holds.
inline SizeLimit program_size_limit(std::size_t max_memory) {
    return max_memory < most_program_bytes ? SizeLimit{max_memory, "max_memory"} : SizeLimit{most_program_bytes};
}

}  // namespace tinykvm
