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
    // The one that was begun last; null: there is none.
    std::shared_ptr<StorageVm> last() const;

  private:
    struct Entry {
        std::shared_ptr<const Program> binary;
        ProgramConfig config;
        std::weak_ptr<StorageVm> storage;
    };

    Mutex begin_mutex_;  // of who begins one; taken before the other
    mutable Mutex mutex_;
    std::vector<Entry> entries_ TINYKVM_GUARDED_BY(mutex_);       // some of them have ended
    std::shared_ptr<StorageVm> last_ TINYKVM_GUARDED_BY(mutex_);  // stays, though no program that has booted uses it
};

}  // namespace tinykvm::host
