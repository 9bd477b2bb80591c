// SPDX-License-Identifier: BSD-2-Clause
// What is to be done to a body: the program's argument, which is JSON. The keys are documented in docs/compression.md.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "encoding.hpp"

namespace compress {

struct Options {
    std::optional<Encoding> encoding;  // unless it follows from the request: auto
    std::optional<int> level;          // unless it is the usual one of the encoding
    bool decompress = false;
    bool makes_file = false;  // a file of the encoding's content type, in place of Content-Encoding
    std::size_t min_size = 0;
    std::size_t max_size = std::size_t{64} << 20;
};

// `options` with what the JSON object in `argument` says; an empty one says nothing. Throws an Error that names the
// key.
Options parse_options(std::string_view argument, Options options);

}  // namespace compress
