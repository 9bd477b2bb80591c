// An input of a program that has nothing yet, or has ended.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "tinykvm/input_source.hpp"

namespace tinykvm::test {

class EmptyInput final : public InputSource {
  public:
    std::optional<std::span<const std::byte>> next() const override {
        if (!ended) return std::nullopt;
        return std::span<const std::byte>();
    }
    void take(std::size_t) override {}
    bool ended = false;
};

}  // namespace tinykvm::test
