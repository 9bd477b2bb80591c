// Which callback answers a request, with which arguments.
//
// Thread safety: a plain value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "src/calls/registration.hpp"
#include "src/calls/request.hpp"
#include "src/calls/request_layout.hpp"

namespace tinykvm::host {

struct CallPlan {
    abi::Callback callback;
    std::array<std::uint64_t, 6> arguments;
    std::size_t count;

    std::span<const std::uint64_t> list() const { return std::span(arguments).first(count); }
};

// For a request that is laid out; nullopt: the program has no callback for such a one.
std::optional<CallPlan> plan_call(const Registration& registration, const Request& request,
                                  const RequestLayout& layout);

}  // namespace tinykvm::host
