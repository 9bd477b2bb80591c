#include "src/config/config.hpp"

namespace tinykvm::host {

ProgramConfig ProgramConfig::of_storage() const {
    ProgramConfig config = *this;
    if (!storage_file.empty()) {
        config.filename = storage_file;
        config.uri.clear();
        config.checksums = {};
        config.downloads.clear();
    }
    config.is_storage = true;
    config.start = false;
    config.concurrency = 1;
    config.max_request_time = max_storage_time;
    config.max_request_memory = max_memory;
    config.address_space = effective_address_space() + max_memory;
    config.ephemeral = false;
    config.control_ephemeral = false;
    config.poll = {};
    config.warmup = {};
    config.allow_debug = config.remote_debug_on_exception = config.debug_start = false;
    return config;
}

}  // namespace tinykvm::host
