#include "src/vmod/update_key.hpp"

#include <cstddef>

namespace tinykvm::host {

bool is_update_key(std::string_view configured, std::string_view given) {
    if (configured.empty()) {
        return false;
    }
    // volatile: the compiler must not find a way to end early.
    volatile std::size_t difference = configured.size() ^ given.size();
    for (std::size_t i = 0; i < given.size(); i++) {
        difference = difference | static_cast<std::size_t>(configured[i % configured.size()] ^ given[i]);
    }
    return difference == 0;
}

}  // namespace tinykvm::host
