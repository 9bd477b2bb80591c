#include "src/calls/standard_streams.hpp"

#include "src/base/failure.hpp"
#include "src/base/idle_buffer.hpp"

namespace tinykvm::host {

void StandardStreams::begin(std::span<const std::byte> output, std::size_t most, std::string_view limit) {
    clear();
    output_.assign(output.begin(), output.end());
    most_output_ = most;
    limit_ = limit;
}

std::optional<std::span<const std::byte>> StandardStreams::next() const {
    return input_.empty() && !input_ended_ ? std::nullopt : std::optional(input_);
}

void StandardStreams::write(std::string_view text) {
    if (text.size() > most_output_ - output_.size()) {
        throw Failure(FailureKind::invalid_answer, "the program wrote more to its standard output than " + limit_ +
                                                       " (" + std::to_string(most_output_ >> 20) + " MiB)");
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    output_.insert(output_.end(), bytes, bytes + text.size());
}

void StandardStreams::clear() {
    input_ = {};
    input_ended_ = false;
    if (output_.capacity() > largest_idle_buffer) {
        output_ = {};
    }
    output_.clear();
}

}  // namespace tinykvm::host
