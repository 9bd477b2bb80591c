// The input of a fuzzer, taken apart byte by byte. After the end come zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

namespace tinykvm::fuzz {

class Input {
  public:
    Input(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes, size) {}

    bool ended() const { return bytes_.empty(); }
    std::span<const std::uint8_t> take(std::size_t size) {
        const auto piece = bytes_.first(std::min(size, bytes_.size()));
        bytes_ = bytes_.subspan(piece.size());
        return piece;
    }
    template <typename Number>
    Number number() {
        Number value = 0;
        const auto piece = take(sizeof value);
        std::memcpy(&value, piece.data(), piece.size());
        return value;
    }
    std::uint8_t byte() { return number<std::uint8_t>(); }

  private:
    std::span<const std::uint8_t> bytes_;
};

// A finding: libFuzzer keeps what led to it.
[[noreturn]] inline void found(const std::string& what) {
    std::fprintf(stderr, "found: %s\n", what.c_str());
    std::abort();
}

}  // namespace tinykvm::fuzz
