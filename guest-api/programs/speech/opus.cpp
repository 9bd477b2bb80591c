// SPDX-License-Identifier: BSD-2-Clause
// Opus in Ogg, with libopusenc.
#include <opusenc.h>

#include "../program.hpp"
#include "sound.hpp"

namespace speech {
namespace {

void check(int result) {
    if (result == OPE_ALLOC_FAIL) throw std::bad_alloc();
    if (result != OPE_OK) throw gallery::Error(500, std::string("Opus: ") + ope_strerror(result) + ".");
}

class Opus : public Sound {
  public:
    Opus(int rate, int bitrate) {
        int result = OPE_OK;
        if (!comments_) throw std::bad_alloc();
        encoder_.reset(ope_encoder_create_pull(comments_.get(), rate, 1, 0, &result));
        check(result);
        check(ope_encoder_ctl(encoder_.get(), OPUS_SET_BITRATE(bitrate * 1000)));
        check(ope_encoder_ctl(encoder_.get(), OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE)));
        // The same text is the same file.
        check(ope_encoder_ctl(encoder_.get(), OPE_SET_SERIALNO(1)));
    }

    void add(const std::int16_t* samples, std::size_t count) override {
        check(ope_encoder_write(encoder_.get(), samples, static_cast<int>(count)));
        take_pages();
    }

    std::string finish() override {
        check(ope_encoder_drain(encoder_.get()));
        take_pages();
        return std::move(file_);
    }

  private:
    void take_pages() {
        unsigned char* page = nullptr;
        opus_int32 size = 0;
        while (ope_encoder_get_page(encoder_.get(), &page, &size, 0) != 0) {
            file_.append(reinterpret_cast<const char*>(page), static_cast<std::size_t>(size));
        }
    }

    std::unique_ptr<OggOpusComments, decltype(&ope_comments_destroy)> comments_{ope_comments_create(),
                                                                                &ope_comments_destroy};
    std::unique_ptr<OggOpusEnc, decltype(&ope_encoder_destroy)> encoder_{nullptr, &ope_encoder_destroy};
    std::string file_;
};

}  // namespace

std::unique_ptr<Sound> make_opus(int rate, int bitrate) { return std::make_unique<Opus>(rate, bitrate); }

}  // namespace speech
