#include "src/programs/storage_place.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "src/vms/state_file.hpp"

namespace tinykvm::host {

namespace {

bool runs(const StorageVm& storage, const Program& binary, const ProgramConfig& config) {
    const BootedProgram& program = storage.program();
    return std::ranges::equal(program.binary->bytes(), binary.bytes()) && program.config == config;
}

}  // namespace

std::shared_ptr<StoragePlace> StoragePlace::of(const std::string& name) {
    static Mutex mutex;
    static std::map<std::string, std::weak_ptr<StoragePlace>> places;
    const MutexLock lock(mutex);
    std::erase_if(places, [](const auto& one) { return one.second.expired(); });
    std::shared_ptr<StoragePlace> place = places[name].lock();
    if (!place) {
        place = std::make_shared<StoragePlace>();
        places[name] = place;
    }
    return place;
}

std::shared_ptr<StorageVm> StoragePlace::find(const Program& binary, const ProgramConfig& config) {
    const MutexLock lock(mutex_);
    std::erase_if(storages_, [](const auto& one) { return one.expired(); });
    for (auto one = storages_.rbegin(); one != storages_.rend(); ++one) {
        std::shared_ptr<StorageVm> storage = one->lock();
        if (storage && runs(*storage, binary, config)) {
            return storage;
        }
    }
    return nullptr;
}

std::shared_ptr<StorageVm> StoragePlace::find_or_begin(const std::shared_ptr<const Program>& binary,
                                                       const ProgramConfig& config,
                                                       const std::function<std::shared_ptr<StorageVm>()>& begin) {
    const MutexLock beginning(begin_mutex_);
    std::shared_ptr<StorageVm> storage = find(*binary, config);
    if (!storage) {
        storage = begin();
        adopt(storage);
    }
    return storage;
}

std::shared_ptr<StorageVm> StoragePlace::find_or_try(const std::shared_ptr<const Program>& binary,
                                                     const ProgramConfig& config,
                                                     const std::function<std::shared_ptr<StorageVm>()>& begin) {
    const MutexLock beginning(begin_mutex_);
    std::shared_ptr<StorageVm> storage = last();
    return storage && runs(*storage, *binary, config) ? storage : begin();
}

bool StoragePlace::is_adopted(const std::shared_ptr<StorageVm>& storage) const {
    const MutexLock lock(mutex_);
    return std::any_of(storages_.begin(), storages_.end(), [&](const auto& one) { return one.lock() == storage; });
}

void StoragePlace::adopt(const std::shared_ptr<StorageVm>& storage) {
    std::shared_ptr<StorageVm> last = storage;
    if (is_adopted(storage)) {
        return;
    }
    {
        const MutexLock lock(mutex_);
        storages_.push_back(storage);
        std::swap(last_, last);  // what was the last one ends after the mutex is free, if no program uses it
    }
    if (const auto& state = storage->program().state) {
        state->take_over();
    }
}

std::shared_ptr<StorageVm> StoragePlace::last() const {
    const MutexLock lock(mutex_);
    return last_;
}

}  // namespace tinykvm::host
