// SPDX-License-Identifier: BSD-2-Clause
#include "codec.hpp"

#include <algorithm>

#include "../program.hpp"

namespace compress {

void grow(std::string& room, std::size_t first, std::size_t most) {
    if (room.size() > most) {
        throw gallery::Error(gallery::too_large, "The body has more than max_size (" + std::to_string(most) +
                                                     ") bytes when it is decompressed.");
    }
    room.resize(std::min(most + 1, room.empty() ? std::max<std::size_t>(first, 1) : room.size() * 2));
}

void broken(Encoding encoding) {
    throw gallery::Error(gallery::broken_input,
                         "The body is not " + std::string(name_of(encoding)) + ", broken or cut off.");
}

void more_behind(Encoding encoding) {
    throw gallery::Error(gallery::broken_input,
                         "Something else comes after the end of the body's " + std::string(name_of(encoding)) + ".");
}

}  // namespace compress
