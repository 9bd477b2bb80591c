// SPDX-License-Identifier: BSD-2-Clause
// From a body and what its headers say to the one that is wanted.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec.hpp"
#include "options.hpp"

namespace compress {

struct Body {
    std::string_view bytes;
    std::string content_type, content_encoding;
};

// A body that is no longer the one that came has its bytes in `made`.
struct Recoded {
    std::optional<std::string> made;
    std::string content_type, content_encoding;
};

// One codec of each encoding.
class Recoder {
  public:
    // Throws an Error for what cannot be done. `accept_encoding` is the client's.
    Recoded recode(const Body& body, std::string_view accept_encoding, const Options& options);

  private:
    Recoded compress(const Body& body, std::string_view accept_encoding, const Options& options);
    Recoded make_file(const Body& body, const Options& options);
    Recoded decompress(const Body& body, const Options& options);

    // Without the encodings, of which the last one was applied last; nothing when there are none.
    std::optional<std::string> decoded(std::string_view bytes, const std::vector<Encoding>& applied,
                                       const Options& options);
    std::string packed(std::string_view plain, Encoding encoding, const Options& options);
    Codec& codec(Encoding encoding) { return *codecs_.at(static_cast<std::size_t>(encoding)); }

    std::array<std::unique_ptr<Codec>, encodings.size()> codecs_{make_brotli(), make_zstd(), make_gzip(),
                                                                 make_deflate()};
};

}  // namespace compress
