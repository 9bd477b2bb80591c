// SPDX-License-Identifier: BSD-2-Clause
// What compresses and decompresses, one for each encoding. A codec is made before the program is frozen and keeps what
// its library needs, so that requests find it ready.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "encoding.hpp"

namespace compress {

class Codec {
  public:
    Codec() = default;
    Codec(const Codec&) = delete;
    Codec& operator=(const Codec&) = delete;
    virtual ~Codec() = default;

    // `level` is 1 or more; what is above the highest one of the encoding is that one.
    virtual std::string compress(std::string_view plain, int level) = 0;
    // Throws an Error when it is broken or cut off, when something else comes after it, and as soon as it gives more
    // than `most` bytes.
    virtual std::string decompress(std::string_view packed, std::size_t most) = 0;
    virtual int usual_level() const = 0;
};

std::unique_ptr<Codec> make_brotli();
std::unique_ptr<Codec> make_zstd();
std::unique_ptr<Codec> make_gzip();
std::unique_ptr<Codec> make_deflate();

// Makes room for more of what comes out of a codec, beginning with `first` bytes. It is one byte more than there may be
// at the end; once that is there, too, throws the Error for it.
void grow(std::string& room, std::size_t first, std::size_t most);

// The Errors of decompress().
[[noreturn]] void broken(Encoding encoding);
[[noreturn]] void more_behind(Encoding encoding);

}  // namespace compress
