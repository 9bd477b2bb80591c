// Which callback answers a request, with which arguments.
//
// Thread safety: a plain value, and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "src/calls/registration.hpp"
#include "src/calls/request_layout.hpp"

namespace tinykvm::host {

struct CallPlan {
    abi::Callback callback{};
    std::array<std::uint64_t, 6> arguments{};
    std::size_t count = 0;  // of the arguments; the others are 0

    std::span<const std::uint64_t> list() const { return std::span(arguments).first(count); }
    bool operator==(const CallPlan&) const = default;
};

// The plan for a request of this method that is laid out; nullopt when the program has no callback for such a request.
std::optional<CallPlan> plan_call(const Registration& registration, std::string_view method,
                                  const LaidOutRequest& request);

}  // namespace tinykvm::host
