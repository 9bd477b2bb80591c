// The mapping list of a guest: which addresses exist, with which protection. It is what /proc/self/maps shows.
//
// A plain value, copied into snapshots and back. Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tinykvm/types.hpp"

namespace tinykvm {

class FileCopy;

// What Linux remembers of a mapping besides its addresses, rights and name.
struct MappingTraits {
    bool shared = false;          // MAP_SHARED
    bool never_writable = false;  // mprotect() cannot make it writable, because its file may not be written
    bool zero_in_forks = false;   // MADV_WIPEONFORK
    bool was_writable = false;    // of a mapping with a file's name: its bytes may differ from the file's
    // The file it shows as fstat() names it, and from where on; zero without one. For /proc/self/maps.
    std::uint64_t device = 0, inode = 0, offset = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(shared, never_writable, zero_in_forks, was_writable, device, inode, offset);
    }
    bool operator==(const MappingTraits&) const = default;
};

struct Region {
    GuestAddr begin = 0, end = 0;  // [begin, end), page aligned
    Protection protection;
    std::string name;                        // "[stack]", a file's path, or empty
    std::shared_ptr<const FileCopy> file{};  // what pages show until they are written; null: zero
    MappingTraits traits{};
    // The in-memory file whose own pages are mapped here, from `file_offset` on. 0: the memory is the mapping's own.
    FileId shared_file = 0;
    std::uint64_t file_offset = 0;

    bool names_file() const { return !name.empty() && name[0] != '['; }

    // All but `file`, which only forks have.
    template <typename Archive>
    void archive(Archive& archive) {
        archive(begin, end, protection, name, traits, shared_file, file_offset);
    }
    bool operator==(const Region&) const = default;
};

class Regions {
  public:
    // Replaces whatever was in [begin, end). Neighbours that are alike become one.
    void insert(Region region);
    void erase(GuestAddr begin, GuestAddr end);
    void protect(GuestAddr begin, GuestAddr end, Protection protection);
    // Sets what `change` sets in the traits of all that is mapped there.
    void mark(GuestAddr begin, GuestAddr end, const std::function<void(MappingTraits&)>& change);

    // The region that contains `address`; null when there is none.
    const Region* find(GuestAddr address) const;
    // Is every byte of [begin, end) mapped?
    bool covered(GuestAddr begin, GuestAddr end) const;
    bool overlaps(GuestAddr begin, GuestAddr end) const;
    // Highest free range of `size` bytes inside [low, high), aligned to `alignment`.
    std::optional<GuestAddr> find_free(std::size_t size, GuestAddr low, GuestAddr high,
                                       std::size_t alignment = page_size) const;

    std::size_t size() const { return regions_.size(); }
    auto begin() const { return regions_.begin(); }
    // The first one that ends after `address`.
    std::map<GuestAddr, Region>::const_iterator first_ending_after(GuestAddr address) const;
    auto end() const { return regions_.end(); }
    template <typename Archive>
    void archive(Archive& archive) {
        archive(regions_);
    }
    bool operator==(const Regions&) const = default;

  private:
    void split(GuestAddr at);
    void merge_around(GuestAddr begin, GuestAddr end);

    std::map<GuestAddr, Region> regions_;  // by begin
};

}  // namespace tinykvm
