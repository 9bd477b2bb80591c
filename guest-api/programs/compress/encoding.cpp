// SPDX-License-Identifier: BSD-2-Clause
#include "encoding.hpp"

#include "../accept.hpp"

namespace compress {
namespace {

struct Names {
    const char *encoding, *content_type;
    std::string_view signature;  // that a file begins with, if its format has one
};

const Names& names(Encoding encoding) {
    static constexpr std::array<Names, encodings.size()> all{{{"br", "application/x-brotli", ""},
                                                              {"zstd", "application/zstd", "\x28\xb5\x2f\xfd"},
                                                              {"gzip", "application/gzip", "\x1f\x8b\x08"},
                                                              {"deflate", "application/zlib", ""}}};
    return all.at(static_cast<std::size_t>(encoding));
}

double weight(std::string_view accept_encoding, Encoding encoding) {
    const auto said = gallery::weight(accept_encoding, name_of(encoding));
    if (said || encoding != Encoding::gzip) return said.value_or(0);
    // Its older name (RFC 9110, section 8.4.1.3), and what stands for all.
    const auto older = gallery::weight(accept_encoding, "x-gzip");
    return older ? *older : gallery::weight(accept_encoding, "*").value_or(0);
}

}  // namespace

const char* name_of(Encoding encoding) { return names(encoding).encoding; }
const char* content_type_of(Encoding encoding) { return names(encoding).content_type; }

std::optional<Encoding> encoding_named(std::string_view name) {
    for (const Encoding encoding : encodings) {
        if (gallery::same_name(name, name_of(encoding))) return encoding;
    }
    return gallery::same_name(name, "x-gzip") ? std::optional(Encoding::gzip) : std::nullopt;
}

std::optional<std::vector<Encoding>> encodings_in(std::string_view content_encoding) {
    std::vector<Encoding> found;
    for (const std::string_view element : gallery::elements(content_encoding)) {
        if (gallery::same_name(element, "identity")) continue;
        const auto encoding = encoding_named(element);
        if (!encoding) return std::nullopt;
        found.push_back(*encoding);
    }
    return found;
}

std::optional<Encoding> preferred(std::string_view accept_encoding) {
    std::optional<Encoding> best;
    // No encoding at all is wanted less than any, unless the client says more of it.
    double most = gallery::weight(accept_encoding, "identity").value_or(0);
    for (const Encoding encoding : encodings) {
        const double its = weight(accept_encoding, encoding);
        if (its > 0 && (best ? its > most : its >= most)) {
            best = encoding;
            most = its;
        }
    }
    return best;
}

std::optional<Encoding> encoding_of_file(std::string_view file, std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find_first_of("; \t"));
    for (const Encoding encoding : encodings) {
        if (gallery::same_name(type, content_type_of(encoding))) return encoding;
    }
    for (const Encoding encoding : encodings) {
        const std::string_view signature = names(encoding).signature;
        if (!signature.empty() && file.starts_with(signature)) return encoding;
    }
    return std::nullopt;
}

}  // namespace compress
