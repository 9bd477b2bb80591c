// How many bytes something that is read may have, and what a message calls that.
//
// Thread safety: a plain value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace tinykvm {

struct SizeLimit {
    std::size_t bytes;
    std::string key = {};  // of the configuration that says so; empty: nobody can change it

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

// Of the file of a program, with all that is in it but not loaded: it is read whole, and so takes as much of the host's
// memory as the program may have.
inline SizeLimit program_size_limit(std::size_t max_memory) {
    return max_memory < most_program_bytes ? SizeLimit{max_memory, "max_memory"} : SizeLimit{most_program_bytes};
}

}  // namespace tinykvm
