// SPDX-License-Identifier: BSD-2-Clause
// Compresses and decompresses POSTed bodies: gzip, deflate, zstd, Brotli. What is to be done is JSON: defaults as the
// program's first argument, and what a request says in its own argument. docs/compression.md has the keys. On Linux:
// compress [JSON [FILE]] writes the result to standard output.
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "../accept.hpp"
#include "../program.hpp"
#include "options.hpp"
#include "recode.hpp"

namespace {

constexpr char usage[] =
    "Usage: compress [JSON [FILE]] >RESULT\n"
    "Compresses or decompresses standard input or a file. Keys of the JSON:\n"
    "  encoding    br, zstd, gzip, deflate, or auto (default): the best that $HTTP_ACCEPT_ENCODING names, or that a "
    "file is\n"
    "  level       1 to 22; what is above the highest of the encoding is that (br 11, zstd 19, gzip and deflate 12)\n"
    "  action      compress (default) or decompress\n"
    "  output      encoding (default): what becomes no smaller stays as it is; or file: it is always compressed\n"
    "  min_size    what has fewer bytes stays as it is (0)\n"
    "  max_size    the most bytes that decompressing may give (67108864)\n";

// All values of a header that is a list.
std::string values_of(const kvm::Request& request, std::string_view name) {
    std::string values;
    for (const kvm::Field& field : request.headers()) {
        if (!gallery::same_name(field.name(), name)) continue;
        values.append(values.empty() ? "" : ", ").append(field.value());
    }
    return values;
}

class Compress : public gallery::Program {
  public:
    const char* name() const override { return "compress"; }
    const char* usage() const override { return ::usage; }

    void configure(std::string_view argument) override {
        defaults_ = compress::parse_options(argument, {});
        note(defaults_);
    }

    // Each library makes its tables, and finds out what this CPU can do, when it is used for the first time. What was
    // allocated for it is then there.
    void warm_up() override {
        std::string text;
        for (int i = 0; i < 20000; i++) text += std::to_string(i * 7919 % 1000) + (i % 8 == 0 ? "\n" : " ");
        for (const auto encoding : compress::encodings) {
            compress::Options options = defaults_;
            options.encoding = encoding;
            options.decompress = false;
            options.makes_file = true;
            const std::string packed = *recoder_.recode({text, "", ""}, "", options).made;
            options.decompress = true;
            options.max_size = text.size();
            (void)recoder_.recode({packed, "", name_of(encoding)}, "", options);
        }
    }

    kvm::Response answer(const kvm::Request& request) override {
        const compress::Options options = compress::parse_options(request.argument(), defaults_);
        note(options);
        gallery::want_body(request, "a body");
        const compress::Body body{request.text(), std::string(request.content_type()),
                                  values_of(request, "Content-Encoding")};
        compress::Recoded result = recoder_.recode(body, values_of(request, "Accept-Encoding"), options);

        kvm::Response response(200, std::move(result.content_type));
        if (!result.content_encoding.empty()) response.header("Content-Encoding", result.content_encoding);
        if (result.made) {
            response.body(std::move(*result.made));
        } else {
            response.borrow(request.body());
        }
        return response;
    }

    const char* varies_by() const override { return has_forms_ ? "Accept-Encoding" : nullptr; }

    std::string convert(const std::string& input) override {
        const char* accept = std::getenv("HTTP_ACCEPT_ENCODING");
        const compress::Body body{input, "", ""};
        return recoder_.recode(body, accept != nullptr ? accept : "", defaults_).made.value_or(input);
    }

  private:
    // A body with Content-Encoding is one form of what there is: VCL has chosen it by what the client takes, or this
    // program does, and Varnish decodes gzip for those who do not take it.
    void note(const compress::Options& options) { has_forms_ = !options.decompress && !options.makes_file; }

    compress::Options defaults_;
    compress::Recoder recoder_;
    bool has_forms_ = true;
};

}  // namespace

int main(int argc, char** argv) {
    Compress program;
    return gallery::run(program, argc, argv);
}
