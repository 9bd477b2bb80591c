// SPDX-License-Identifier: BSD-2-Clause
#include "recode.hpp"

#include <utility>

#include "../program.hpp"

namespace compress {
namespace {

// Throws an Error when one of them is not known.
std::vector<Encoding> encodings_of(const Body& body) {
    auto known = encodings_in(body.content_encoding);
    if (!known) {
        throw gallery::Error(gallery::unknown_format,
                             "The body has a Content-Encoding that is not known: " + body.content_encoding + ".");
    }
    return std::move(*known);
}

}  // namespace

Recoded Recoder::recode(const Body& body, std::string_view accept_encoding, const Options& options) {
    if (options.decompress) return decompress(body, options);
    return options.makes_file ? make_file(body, options) : compress(body, accept_encoding, options);
}

Recoded Recoder::compress(const Body& body, std::string_view accept_encoding, const Options& options) {
    const auto applied = encodings_in(body.content_encoding);
    if (!applied) return {std::nullopt, body.content_type, body.content_encoding};
    const std::optional<Encoding> wanted = options.encoding ? options.encoding : preferred(accept_encoding);
    if (wanted && *applied == std::vector{*wanted}) return {std::nullopt, body.content_type, name_of(*wanted)};

    std::optional<std::string> made = decoded(body.bytes, *applied, options);
    const std::string_view plain = made ? *made : body.bytes;
    if (wanted && plain.size() >= options.min_size) {
        std::string result = packed(plain, *wanted, options);
        if (result.size() < plain.size()) return {std::move(result), body.content_type, name_of(*wanted)};
    }
    return {std::move(made), body.content_type, ""};
}

Recoded Recoder::make_file(const Body& body, const Options& options) {
    const auto made = decoded(body.bytes, encodings_of(body), options);
    return {packed(made ? *made : body.bytes, *options.encoding, options), content_type_of(*options.encoding), ""};
}

Recoded Recoder::decompress(const Body& body, const Options& options) {
    const std::vector<Encoding> applied = encodings_of(body);
    if (!applied.empty()) return {decoded(body.bytes, applied, options), body.content_type, ""};

    const auto by_itself = encoding_of_file(body.bytes, body.content_type);
    const auto encoding = options.encoding ? options.encoding : by_itself;
    if (!encoding) return {std::nullopt, body.content_type, ""};
    const bool is_file_type = encoding_of_file("", body.content_type).has_value();
    return {decoded(body.bytes, {*encoding}, options), is_file_type ? "application/octet-stream" : body.content_type,
            ""};
}

std::optional<std::string> Recoder::decoded(std::string_view bytes, const std::vector<Encoding>& applied,
                                            const Options& options) {
    std::optional<std::string> result;
    for (auto encoding = applied.rbegin(); encoding != applied.rend(); ++encoding) {
        result = codec(*encoding).decompress(result ? *result : bytes, options.max_size);
    }
    return result;
}

std::string Recoder::packed(std::string_view plain, Encoding encoding, const Options& options) {
    Codec& its = codec(encoding);
    return its.compress(plain, options.level.value_or(its.usual_level()));
}

}  // namespace compress
