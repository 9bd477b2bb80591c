// SPDX-License-Identifier: BSD-2-Clause
// Text to samples, with libespeak-ng.
#pragma once

#include <string>

#include "options.hpp"
#include "sound.hpp"

namespace speech {

// There is one for the whole process: the library keeps its state in variables of its own. What it says depends on what
// it has said before, so it says nothing before the program is frozen, and each request hears what a new process says.
class Synthesizer {
  public:
    // Reads the data that all languages share, and the list of voices. Throws an Error when they cannot be read.
    Synthesizer();

    // Reads the voice and its dictionary, unless it is the one that is chosen. Throws an Error when there is none.
    void choose(const std::string& voice);

    // By the chosen voice. `text` is UTF-8. Throws an Error.
    void speak(const std::string& text, const Options& options, Sound& sound);

    int rate() const;

  private:
    std::string voice_;
};

}  // namespace speech
