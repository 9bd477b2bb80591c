// What the in-memory files of a guest hold: for each file its size, and which pages of the file area (AddressSpace)
// have its data. Pages of a file without one are holes, which read as zero.
//
// A plain value, of which snapshots keep a copy; files that are alike in two copies are shared. Thread safety: one
// thread at a time. Pages are counted from the begin of a file and of the area.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tinykvm/types.hpp"

namespace tinykvm {

class FilePages {
  public:
    // Neighbouring pages of a file that are neighbours in the area, too.
    struct Run {
        std::uint64_t page = 0, area_page = 0, count = 0;

        std::uint64_t end() const { return page + count; }
        template <typename Archive>
        void archive(Archive& archive) {
            archive(page, area_page, count);
        }
        bool operator==(const Run&) const = default;
    };

    // 0 for files that were never written.
    std::uint64_t size(FileId file) const;
    void set_size(FileId file, std::uint64_t size);
    // Pages of the file that are in the area.
    std::uint64_t count(FileId file) const;

    // The run with this page of the file, from the page on; nullopt: the page is a hole.
    std::optional<Run> find(FileId file, std::uint64_t page) const;
    // The same, or else the first run after the page.
    std::optional<Run> next(FileId file, std::uint64_t page) const;

    // Gives a hole of the file the lowest free page of the area, and returns that.
    std::uint64_t add(FileId file, std::uint64_t page);
    // Makes [first, last) of the file a hole. Returns the runs that were there; their pages of the area are free.
    std::vector<Run> remove(FileId file, std::uint64_t first, std::uint64_t last);
    // Forgets the file, which must have no pages.
    void forget(FileId file);

    // Pages of the area that files have.
    std::uint64_t used() const { return used_count_; }
    // Roughly what all this takes of the host's memory; bytes.
    std::size_t host_bytes() const { return runs_ * bytes_per_run; }

    template <typename Archive>
    void archive(Archive& archive) {
        archive(files_, used_, first_free_word_, used_count_, runs_);
    }
    // Why this cannot be the pages of files in an area of so many pages. Empty: it can be.
    std::string why_impossible(std::uint64_t area_pages) const;

  private:
    static constexpr std::size_t bytes_per_run = 80;  // a node of a map, and what the allocator adds

    struct File {
        std::uint64_t size = 0, count = 0;
        std::map<std::uint64_t, Run> runs;  // by page; neighbours that continue each other are one

        template <typename Archive>
        void archive(Archive& archive) {
            archive(size, count, runs);
        }
    };

    const File* look(FileId file) const;
    File& change(FileId file);
    std::uint64_t take_lowest();
    void give_back(std::uint64_t area_page, std::uint64_t count);
    void insert(File& file, Run run);

    std::vector<std::shared_ptr<File>> files_;  // by number; null: neither size nor pages
    std::vector<std::uint64_t> used_;           // a bit for each page of the area
    std::size_t first_free_word_ = 0;           // none before it has a free page
    std::uint64_t used_count_ = 0;
    std::size_t runs_ = 0;
};

}  // namespace tinykvm
