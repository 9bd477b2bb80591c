// Configurations, and libraries of them. The first byte says which.
#include "src/base/config_error.hpp"
#include "src/config/config_layer.hpp"
#include "tests/fuzz/input.hpp"
#include "tinykvm/printable.hpp"

namespace {

void require_one_line(std::string_view message) {
    if (tinykvm::printable(message, std::string::npos) != message)
        tinykvm::fuzz::found("a message that does not print");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace tinykvm;
    fuzz::Input input(bytes, size);
    const bool is_library = input.byte() % 2 != 0;
    const auto rest = input.take(size);
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    try {
        host::ProgramConfig config;
        if (is_library) {
            for (const auto& [name, layer] : host::parse_library(text)) {
                layer.apply(config);
                require_one_line(layer.mistake());
            }
        } else {
            host::ConfigLayer::parse("fuzz", text).apply(config);
        }
    } catch (const host::ConfigError& error) {
        require_one_line(error.what());
    }
    return 0;
}
