// SPDX-License-Identifier: BSD-2-Clause
// Sound as the bytes of a file: one channel of 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "options.hpp"

namespace speech {

const char* content_type_of(Format format);

// Each function may throw std::bad_alloc or an Error.
class Sound {
  public:
    virtual ~Sound() = default;
    virtual void add(const std::int16_t* samples, std::size_t count) = 0;
    // The whole file. Nothing can be added after that.
    virtual std::string finish() = 0;
};

std::unique_ptr<Sound> make_wav(int rate);
std::unique_ptr<Sound> make_opus(int rate, int bitrate);
// What the options ask for.
std::unique_ptr<Sound> make_sound(int rate, const Options& options);

}  // namespace speech
