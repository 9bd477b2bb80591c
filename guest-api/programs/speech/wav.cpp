// SPDX-License-Identifier: BSD-2-Clause
#include <cstring>
#include <limits>

#include "../program.hpp"
#include "sound.hpp"

namespace speech {
namespace {

constexpr std::size_t header_size = 44;

// Numbers of a WAV are little-endian, as the CPU has them.
template <typename Number>
void put(std::string& to, std::size_t at, Number number) {
    std::memcpy(to.data() + at, &number, sizeof(number));
}

class Wav : public Sound {
  public:
    explicit Wav(int rate) : file_("RIFF....WAVEfmt ") {
        constexpr std::uint16_t pcm = 1, channels = 1, bytes = 2;
        file_.resize(header_size);
        put(file_, 16, std::uint32_t{16});  // the size of what comes until "data"
        put(file_, 20, pcm);
        put(file_, 22, channels);
        put(file_, 24, static_cast<std::uint32_t>(rate));
        put(file_, 28, static_cast<std::uint32_t>(rate) * bytes);
        put(file_, 32, bytes);
        put(file_, 34, std::uint16_t{8 * bytes});
        file_.replace(36, 4, "data");
    }

    void add(const std::int16_t* samples, std::size_t count) override {
        file_.append(reinterpret_cast<const char*>(samples), count * sizeof(*samples));
        if (file_.size() > std::numeric_limits<std::uint32_t>::max()) {
            throw gallery::Error(gallery::too_large, "A WAV has at most 4 GiB.");
        }
    }

    std::string finish() override {
        put(file_, 4, static_cast<std::uint32_t>(file_.size() - 8));
        put(file_, 40, static_cast<std::uint32_t>(file_.size() - header_size));
        return std::move(file_);
    }

  private:
    std::string file_;
};

}  // namespace

const char* content_type_of(Format format) { return format == Format::wav ? "audio/wav" : "audio/ogg; codecs=opus"; }

std::unique_ptr<Sound> make_wav(int rate) { return std::make_unique<Wav>(rate); }

std::unique_ptr<Sound> make_sound(int rate, const Options& options) {
    return options.format == Format::wav ? make_wav(rate) : make_opus(rate, options.bitrate);
}

}  // namespace speech
