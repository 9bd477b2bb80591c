// SPDX-License-Identifier: BSD-2-Clause
#include "synthesizer.hpp"

#include <espeak-ng/espeak_ng.h>
#include <espeak-ng/speak_lib.h>

#include <exception>

#include "../options.hpp"
#include "../program.hpp"

namespace speech {
namespace {

std::string message_of(espeak_ng_STATUS status) {
    char message[512] = "";
    espeak_ng_GetStatusCodeMessage(status, message, sizeof(message));
    return message;
}

void check(espeak_ng_STATUS status) {
    if (status != ENS_OK) throw gallery::Error(500, "The voices cannot be used: " + message_of(status) + ".");
}

// Where the samples go, and what went wrong with them: an exception must not pass through C.
struct Receiver {
    Sound* sound = nullptr;
    std::exception_ptr trouble;
};
Receiver receiver;

int receive(short* samples, int count, espeak_EVENT*) {
    if (samples == nullptr || count <= 0) return 0;
    try {
        receiver.sound->add(samples, static_cast<std::size_t>(count));
        return 0;
    } catch (...) {
        receiver.trouble = std::current_exception();
        return 1;
    }
}

void set(espeak_PARAMETER parameter, std::optional<int> value) {
    if (value) check(espeak_ng_SetParameter(parameter, *value, 0));
}

}  // namespace

Synthesizer::Synthesizer() {
    espeak_ng_InitializePath(nullptr);
    check(espeak_ng_Initialize(nullptr));
    check(espeak_ng_InitializeOutput(ENOUTPUT_MODE_SYNCHRONOUS, 0, nullptr));
    espeak_SetSynthCallback(receive);
    espeak_ListVoices(nullptr);
}

void Synthesizer::choose(const std::string& voice) {
    if (voice == voice_) return;
    // A name may be that of a file: not one from elsewhere.
    const bool is_name = !voice.empty() && voice.front() != '/' && voice.find('.') == voice.npos;
    espeak_VOICE language{};
    language.languages = voice.c_str();
    if (!is_name ||
        (espeak_ng_SetVoiceByName(voice.c_str()) != ENS_OK && espeak_ng_SetVoiceByProperties(&language) != ENS_OK)) {
        gallery::refuse("voice", "names no voice: " + gallery::json(voice).dump());
    }
    voice_ = voice;
}

void Synthesizer::speak(const std::string& text, const Options& options, Sound& sound) {
    set(espeakRATE, options.speed);
    set(espeakPITCH, options.pitch);
    set(espeakVOLUME, options.volume);
    set(espeakWORDGAP, options.gap);
    receiver = {&sound, nullptr};
    const espeak_ng_STATUS status = espeak_ng_Synthesize(text.c_str(), text.size() + 1, 0, POS_CHARACTER, 0,
                                                         espeakCHARS_UTF8 | espeakENDPAUSE, nullptr, nullptr);
    if (receiver.trouble) std::rethrow_exception(receiver.trouble);
    check(status);
}

int Synthesizer::rate() const { return espeak_ng_GetSampleRate(); }

}  // namespace speech
