// SPDX-License-Identifier: BSD-2-Clause
// Speaks a text: what is POSTed, the parameter text of the URL, or what its path ends with. How it is spoken is JSON:
// defaults as the program's first argument, and what a request says in its own argument. docs/speech.md has the keys.
// On Linux: speech [JSON [FILE]] writes the sound to standard output.
#include <optional>
#include <string>
#include <string_view>

#include "../program.hpp"
#include "../url.hpp"
#include "options.hpp"
#include "sound.hpp"
#include "synthesizer.hpp"
#include "text.hpp"

namespace {

constexpr char usage[] =
    "Usage: speech [JSON [FILE]] >SOUND\n"
    "Speaks a text in UTF-8, from standard input or a file. Keys of the JSON:\n"
    "  voice     as espeak-ng --voices lists them: a language (de, en-us) or a name, with a variant (en+f3)\n"
    "  speed     80 to 450 words in a minute (175)\n"
    "  pitch     0 to 99 (50)\n"
    "  volume    0 to 200 (100)\n"
    "  gap       between words, in 10 ms\n"
    "  format    wav (default) or opus\n"
    "  bitrate   of Opus, 6 to 256 kbit/s (32)\n"
    "  max_text  characters (5000)\n";

std::string text_of(const kvm::Request& request) {
    if (!request.text().empty()) {
        speech::want_utf8(request.content_type());
        return std::string(request.text());
    }
    if (const auto said = gallery::query_value(request.url(), "text")) return *said;
    return gallery::last_segment(request.url());
}

class Speech : public gallery::Program {
  public:
    const char* name() const override { return "speech"; }
    const char* usage() const override { return ::usage; }

    void configure(std::string_view argument) override {
        defaults_ = speech::parse_options(argument, {});
        synthesizer_.emplace();
        synthesizer_->choose(defaults_.voice);
    }

    // The encoder makes its tables when it is used for the first time.
    void warm_up() override {
        const std::int16_t silence[4096] = {};
        const auto sound = speech::make_opus(synthesizer_->rate(), defaults_.bitrate);
        sound->add(silence, std::size(silence));
        (void)sound->finish();
    }

    kvm::Response answer(const kvm::Request& request) override {
        const speech::Options options = speech::parse_options(request.argument(), defaults_);
        return kvm::Response(200, speech::content_type_of(options.format), spoken(text_of(request), options));
    }

    std::string convert(const std::string& input) override { return spoken(input, defaults_); }

  private:
    std::string spoken(const std::string& text, const speech::Options& options) {
        speech::check_text(text, options.max_text);
        synthesizer_->choose(options.voice);
        const auto sound = speech::make_sound(synthesizer_->rate(), options);
        synthesizer_->speak(text, options, *sound);
        return sound->finish();
    }

    speech::Options defaults_;
    std::optional<speech::Synthesizer> synthesizer_;
};

}  // namespace

int main(int argc, char** argv) {
    Speech program;
    return gallery::run(program, argc, argv);
}
