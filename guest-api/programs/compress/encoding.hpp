// SPDX-License-Identifier: BSD-2-Clause
// The encodings that bodies have (RFC 9110, section 8.4), and what says which one it is.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace compress {

// That of equal weight which comes first here is made, because it is the smaller one.
enum class Encoding { brotli, zstd, gzip, deflate };
inline constexpr std::array encodings{Encoding::brotli, Encoding::zstd, Encoding::gzip, Encoding::deflate};

// As Content-Encoding names it, and the content type of a file of it.
const char* name_of(Encoding encoding);
const char* content_type_of(Encoding encoding);

// That of an element of Content-Encoding.
std::optional<Encoding> encoding_named(std::string_view name);

// What a body has by its Content-Encoding, in the order in which it was applied. Nothing when one of them is not known.
std::optional<std::vector<Encoding>> encodings_in(std::string_view content_encoding);

// The one that a client which sends this Accept-Encoding likes best; nothing when it prefers none of them. "*" stands
// for gzip, which every client knows.
std::optional<Encoding> preferred(std::string_view accept_encoding);

// What a file is, by its content type or its first bytes.
std::optional<Encoding> encoding_of_file(std::string_view file, std::string_view content_type);

}  // namespace compress
