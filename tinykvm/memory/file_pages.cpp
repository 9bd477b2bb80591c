#include "tinykvm/memory/file_pages.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

namespace tinykvm {

const FilePages::File* FilePages::look(FileId file) const {
    return file < files_.size() ? files_[file].get() : nullptr;
}

FilePages::File& FilePages::change(FileId file) {
    if (file >= files_.size()) files_.resize(file + 1);
    std::shared_ptr<File>& entry = files_[file];
    if (!entry) {
        entry = std::make_shared<File>();
    } else if (entry.use_count() > 1) {
        entry = std::make_shared<File>(*entry);
    }
    return *entry;
}

std::uint64_t FilePages::size(FileId file) const {
    const File* found = look(file);
    return found ? found->size : 0;
}

void FilePages::set_size(FileId file, std::uint64_t size) {
    if (size != this->size(file)) change(file).size = size;
}

std::uint64_t FilePages::count(FileId file) const {
    const File* found = look(file);
    return found ? found->count : 0;
}

std::optional<FilePages::Run> FilePages::next(FileId file, std::uint64_t page) const {
    const File* found = look(file);
    if (!found) return std::nullopt;
    auto run = found->runs.upper_bound(page);
    if (run != found->runs.begin() && std::prev(run)->second.end() > page) --run;
    if (run == found->runs.end()) return std::nullopt;
    Run result = run->second;
    if (result.page < page) {
        const std::uint64_t skipped = page - result.page;
        result = {page, result.area_page + skipped, result.count - skipped};
    }
    return result;
}

std::optional<FilePages::Run> FilePages::find(FileId file, std::uint64_t page) const {
    const auto run = next(file, page);
    return run && run->page == page ? run : std::nullopt;
}

std::uint64_t FilePages::take_lowest() {
    while (first_free_word_ < used_.size() && used_[first_free_word_] == ~std::uint64_t{0}) ++first_free_word_;
    if (first_free_word_ == used_.size()) used_.push_back(0);
    std::uint64_t& word = used_[first_free_word_];
    const int bit = std::countr_one(word);
    word |= std::uint64_t{1} << bit;
    ++used_count_;
    return first_free_word_ * 64 + static_cast<std::uint64_t>(bit);
}

void FilePages::give_back(std::uint64_t area_page, std::uint64_t count) {
    for (std::uint64_t page = area_page; page < area_page + count; ++page)
        used_[page / 64] &= ~(std::uint64_t{1} << page % 64);
    first_free_word_ = std::min<std::size_t>(first_free_word_, area_page / 64);
    used_count_ -= count;
}

// Joins the run with those before and after it where they continue each other.
void FilePages::insert(File& file, Run run) {
    auto after = file.runs.lower_bound(run.page);
    if (after != file.runs.begin()) {
        const auto before = std::prev(after);
        const Run& known = before->second;
        if (known.end() == run.page && known.area_page + known.count == run.area_page) {
            run = {known.page, known.area_page, known.count + run.count};
            after = file.runs.erase(before);
            --runs_;
        }
    }
    if (after != file.runs.end() && run.end() == after->first && run.area_page + run.count == after->second.area_page) {
        run.count += after->second.count;
        after = file.runs.erase(after);
        --runs_;
    }
    file.runs.emplace_hint(after, run.page, run);
    ++runs_;
}

std::uint64_t FilePages::add(FileId file, std::uint64_t page) {
    const std::uint64_t area_page = take_lowest();
    File& changed = change(file);
    insert(changed, {page, area_page, 1});
    ++changed.count;
    return area_page;
}

std::vector<FilePages::Run> FilePages::remove(FileId file, std::uint64_t first, std::uint64_t last) {
    std::vector<Run> removed;
    auto run = next(file, first);
    if (!run || run->page >= last) return removed;
    File& changed = change(file);
    while (run && run->page < last) {
        Run cut = *run;
        cut.count = std::min(cut.count, last - cut.page);
        const auto whole = std::prev(changed.runs.upper_bound(cut.page));
        const Run old = whole->second;
        changed.runs.erase(whole);
        --runs_;
        if (old.page < cut.page) insert(changed, {old.page, old.area_page, cut.page - old.page});
        if (cut.end() < old.end()) insert(changed, {cut.end(), cut.area_page + cut.count, old.end() - cut.end()});
        changed.count -= cut.count;
        give_back(cut.area_page, cut.count);
        removed.push_back(cut);
        run = next(file, cut.end());
    }
    return removed;
}

void FilePages::forget(FileId file) {
    if (file < files_.size()) files_[file].reset();
}

std::string FilePages::why_impossible(std::uint64_t area_pages) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 62;
    constexpr const char* problem = "its in-memory files are at impossible places";
    std::vector<std::uint64_t> used(used_.size());
    std::uint64_t used_count = 0;
    std::size_t runs = 0;
    for (const std::shared_ptr<File>& file : files_) {
        if (!file) continue;
        std::uint64_t end = 0, count = 0;
        for (const auto& [page, run] : file->runs) {
            const bool fits = page == run.page && run.page >= end && run.page < most && run.count > 0 &&
                              run.count <= area_pages && run.area_page <= area_pages - run.count &&
                              run.area_page + run.count <= used_.size() * 64;
            if (!fits) return problem;
            for (std::uint64_t at = run.area_page; at < run.area_page + run.count; ++at) {
                if (used[at / 64] >> at % 64 & 1) return problem;
                used[at / 64] |= std::uint64_t{1} << at % 64;
            }
            end = run.end();
            count += run.count;
        }
        if (file->size >= most || count != file->count) return problem;
        used_count += count;
        runs += file->runs.size();
    }
    return used == used_ && used_count == used_count_ && runs == runs_ && first_free_word_ <= used_.size() ? ""
                                                                                                           : problem;
}

}  // namespace tinykvm
