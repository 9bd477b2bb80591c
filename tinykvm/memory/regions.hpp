// The mapping list of a guest: which addresses exist, with which protection. It is what /proc/self/maps shows.
//
// A plain value, copied into snapshots and back. Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tinykvm/types.hpp"

namespace tinykvm {

class FileCopy;

struct Region {
    GuestAddr begin = 0, end = 0;  // [begin, end), page aligned
    Protection protection;
    std::string name;                        // "[stack]", a file's path, or empty
    std::shared_ptr<const FileCopy> file{};  // what pages show until they are written; null: zero

    bool operator==(const Region&) const = default;
};

class Regions {
  public:
    // Replaces whatever was in [begin, end). Neighbours that are alike become one.
    void insert(Region region);
    void erase(GuestAddr begin, GuestAddr end);
    void protect(GuestAddr begin, GuestAddr end, Protection protection);

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
    bool operator==(const Regions&) const = default;

  private:
    void split(GuestAddr at);
    void merge_around(GuestAddr begin, GuestAddr end);

    std::map<GuestAddr, Region> regions_;  // by begin
};

}  // namespace tinykvm
