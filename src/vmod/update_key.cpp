#include "src/vmod/update_key.hpp"

#include <openssl/crypto.h>

namespace tinykvm::host {

bool is_update_key(std::string_view configured, std::string_view given) {
    return !configured.empty() && configured.size() == given.size() &&
           CRYPTO_memcmp(configured.data(), given.data(), given.size()) == 0;
}

}  // namespace tinykvm::host
