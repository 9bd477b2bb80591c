// SPDX-License-Identifier: BSD-2-Clause
#include "options.hpp"

#include <array>
#include <cstdint>
#include <limits>

#include "../options.hpp"

namespace compress {
namespace {

using gallery::integer;
using gallery::one_of;

// The names of encodings in their order, and then what stands for none of them.
std::optional<Encoding> encoding(const std::string& key, const gallery::json& value) {
    const std::size_t index = one_of(key, value, std::array{"br", "zstd", "gzip", "deflate", "auto"});
    return index < encodings.size() ? std::optional(encodings.at(index)) : std::nullopt;
}

gallery::Keys keys_of(Options& options) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    return {
        {"encoding", [&](const auto& key, const auto& value) { options.encoding = encoding(key, value); }},
        {"level", [&](const auto& key, const auto& value) { options.level = integer(key, value, 1, 22); }},
        {"action",
         [&](const auto& key, const auto& value) {
             options.decompress = one_of(key, value, std::array{"compress", "decompress"}) == 1;
         }},
        {"output",
         [&](const auto& key, const auto& value) {
             options.makes_file = one_of(key, value, std::array{"encoding", "file"}) == 1;
         }},
        {"min_size", [&](const auto& key, const auto& value) { options.min_size = integer(key, value, 0, most); }},
        {"max_size", [&](const auto& key, const auto& value) { options.max_size = integer(key, value, 0, most); }},
    };
}

}  // namespace

Options parse_options(std::string_view argument, Options options) {
    gallery::take("", gallery::parse_argument(argument), keys_of(options));
    if (options.makes_file && !options.decompress && !options.encoding) {
        gallery::refuse("encoding", "must name one when \"output\" is file");
    }
    return options;
}

}  // namespace compress
