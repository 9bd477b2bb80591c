#include "src/programs/storage_place.hpp"

#include <algorithm>
#include <map>

namespace tinykvm::host {

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

std::shared_ptr<StorageVm> StoragePlace::find_or_begin(const std::shared_ptr<const Program>& binary,
                                                       const ProgramConfig& config,
                                                       const std::function<std::shared_ptr<StorageVm>()>& begin) {
    const MutexLock beginning(begin_mutex_);
    {
        const MutexLock lock(mutex_);
        std::erase_if(entries_, [](const Entry& entry) { return entry.storage.expired(); });
        for (const Entry& entry : entries_) {
            if (std::ranges::equal(entry.binary->bytes(), binary->bytes()) && entry.config == config) {
                if (std::shared_ptr<StorageVm> storage = entry.storage.lock()) {
                    return storage;
                }
            }
        }
    }
    std::shared_ptr<StorageVm> storage = begin();
    const MutexLock lock(mutex_);
    entries_.push_back({binary, config, storage});
    std::swap(last_, storage);
    return last_;  // what was the last one ends after the mutex is free, if no program uses it
}

std::shared_ptr<StorageVm> StoragePlace::last() const {
    const MutexLock lock(mutex_);
    return last_;
}

}  // namespace tinykvm::host
