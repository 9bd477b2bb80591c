#include "tinykvm/linux/refused_paths.hpp"

namespace tinykvm::linux_abi {

RefusedPaths::Told RefusedPaths::note(const std::string& path) {
    const MutexLock lock(mutex_);
    if (full_ || paths_.contains(path)) return Told::before;
    if (paths_.size() == most) {
        full_ = true;
        return Told::too_many;
    }
    paths_.insert(path);
    return Told::first;
}

}  // namespace tinykvm::linux_abi
