#include "tests/bench/answered/bare_entry.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "src/cli/floor.hpp"
#include "tinykvm/os/mutex.hpp"

namespace {

using tinykvm::cli::Floor;

tinykvm::Mutex mutex;
// The last one in is the first one out, as with the VMs of a program. Never freed: Varnish may end while one is
// entered.
std::vector<std::unique_ptr<Floor>>& idle TINYKVM_GUARDED_BY(mutex) = *new std::vector<std::unique_ptr<Floor>>;

std::unique_ptr<Floor> take() {
    {
        const tinykvm::MutexLock lock(mutex);
        if (!idle.empty()) {
            std::unique_ptr<Floor> floor = std::move(idle.back());
            idle.pop_back();
            return floor;
        }
    }
    return std::make_unique<Floor>();
}

}  // namespace

int answered_enter_bare_guest(char* why, std::size_t size) {
    try {
        std::unique_ptr<Floor> floor = take();
        (*floor)();
        const tinykvm::MutexLock lock(mutex);
        idle.push_back(std::move(floor));
        return 0;
    } catch (const std::exception& error) {
        std::snprintf(why, size, "answered: %s", error.what());
        return -1;
    }
}
