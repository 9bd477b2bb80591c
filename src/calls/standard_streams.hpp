// The standard streams of a program that is asked with the protocol stdio: its standard input is the body of the
// request, its standard output the body of the answer.
//
// Thread safety: one thread at a time, that which runs the guest or has its turn. One object per VM.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/input_source.hpp"

namespace tinykvm::host {

class StandardStreams final : public InputSource {
  public:
    // A request begins. `output`: what the program had written before it was frozen. `most`: how many bytes of output
    // the answer may have; `limit` is the setting that says so.
    void begin(std::span<const std::byte> output, std::size_t most, std::string_view limit);

    // --- Input
    // More of it, borrowed until the guest has taken it.
    void give(std::span<const std::byte> data) { input_ = data; }
    // There is no more than what was given.
    void end_input() { input_ended_ = true; }
    std::optional<std::span<const std::byte>> next() const override;
    void take(std::size_t bytes) override { input_ = input_.subspan(bytes); }

    // --- Output
    // Throws Failure (invalid_answer) when it is too much.
    void write(std::string_view text);
    std::span<const std::byte> output() const { return output_; }
    // Nothing of the request is left; a large buffer is given back.
    void clear();

  private:
    std::span<const std::byte> input_;
    bool input_ended_ = false;
    std::vector<std::byte> output_;
    std::size_t most_output_ = 0;
    std::string limit_;
};

}  // namespace tinykvm::host
