// Where the programs of one name find their storage: one for all VCLs that run the same file with the same settings. It
// outlives the VCL that began it, because every program of that name keeps the place.
//
// Thread safety: any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/config/config.hpp"
#include "src/vms/storage_vm.hpp"
#include "tinykvm/os/mutex.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {

class StoragePlace {
  public:
    // The place of that name in this process.
    static std::shared_ptr<StoragePlace> of(const std::string& name);

    // The storage that was begun with this file and these settings, which are those of a storage; or what `begin`
    // makes. Others that want one wait meanwhile. Throws what `begin` throws.
    std::shared_ptr<StorageVm> find_or_begin(const std::shared_ptr<const Program>& binary, const ProgramConfig& config,
                                             const std::function<std::shared_ptr<StorageVm>()>& begin);
    // The same for a live update, for which the one that was begun last counts alone: others are behind. What `begin`
    // makes is not that of the name before it is adopted.
    std::shared_ptr<StorageVm> find_or_try(const std::shared_ptr<const Program>& binary, const ProgramConfig& config,
                                           const std::function<std::shared_ptr<StorageVm>()>& begin);
    // Does nothing when it is that of the name already.
    void adopt(const std::shared_ptr<StorageVm>& storage);
    bool is_adopted(const std::shared_ptr<StorageVm>& storage) const;
    // The one that was begun last; null: there is none.
    std::shared_ptr<StorageVm> last() const;

  private:
    std::shared_ptr<StorageVm> find(const Program& binary, const ProgramConfig& config);

    Mutex begin_mutex_;  // of who begins one; taken before the other
    mutable Mutex mutex_;
    std::vector<std::weak_ptr<StorageVm>> storages_ TINYKVM_GUARDED_BY(mutex_);  // some of them have ended
    std::shared_ptr<StorageVm> last_ TINYKVM_GUARDED_BY(mutex_);  // stays, though no program that has booted uses it
};

}  // namespace tinykvm::host
