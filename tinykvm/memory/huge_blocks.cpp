#include "tinykvm/memory/huge_blocks.hpp"

#include <linux/mman.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/memory/host_page.hpp"

namespace tinykvm {

HugeBlocks::HugeBlocks(std::byte* window, HugePages wanted)
    : window_(window), wanted_(std::move(wanted)), left_(wanted_.reserved & ~(large_page_size - 1)) {}

void HugeBlocks::use_huge_pages(std::uint64_t offset, std::size_t size) {
    const std::uint64_t begin = (offset + large_page_size - 1) & ~(large_page_size - 1);
    const std::uint64_t end = (offset + size) & ~(large_page_size - 1);
    if (begin >= end || left_ == 0) return;
    size = std::min<std::size_t>(end - begin, left_);
    const int error = take(begin, size);
    if (error == 0) {
        for (std::uint64_t block = begin; block < begin + size; block += large_page_size)
            blocks_[block] = {.read = true, .write = true};
        left_ -= size;
        return;
    }
    const std::string problem = wanted_.key + ": the host has too few reserved huge pages for another " +
                                std::to_string(size >> 20) + " MiB (" + std::strerror(-error) +
                                "; see /proc/sys/vm/nr_hugepages)";
    if (wanted_.required) throw MachineError(problem);
    left_ = 0;
    if (wanted_.log) wanted_.log(problem + "; small pages are used instead");
}

// Returns 0, or a negative errno when there are too few; nothing has changed then.
int HugeBlocks::take(std::uint64_t offset, std::size_t size) {
    // The pages are allocated at another address first: if they were only reserved, limits that are checked when a page
    // is touched (control groups, NUMA policies) would end in SIGBUS.
    void* pages =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
    if (pages == MAP_FAILED) return -errno;
    if (::madvise(pages, size, MADV_POPULATE_WRITE) == 0 &&
        ::mremap(pages, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, window_ + offset) != MAP_FAILED)
        return 0;
    const int error = -errno;
    ::munmap(pages, size);
    // Where mremap() failed half-way there may be nothing mapped.
    if (::mmap(window_ + offset, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
               -1, 0) == MAP_FAILED)
        throw MachineError::from_errno("cannot map guest memory", errno);
    return error;
}

HugeBlocks::Blocks::iterator HugeBlocks::first_ending_after(std::uint64_t offset) {
    return blocks_.lower_bound(offset & ~(large_page_size - 1));
}

void HugeBlocks::split_edges(std::uint64_t offset, std::size_t size) {
    for (const std::uint64_t edge : {offset, offset + size})
        if (auto block = blocks_.find(edge & ~(large_page_size - 1)); edge % large_page_size && block != blocks_.end())
            split(block);
}

void HugeBlocks::split(Blocks::iterator block) {
    const auto [offset, protection] = *block;
    if (!protection.accessible()) protect(offset, PROT_READ);
    const std::byte* from = window_ + offset;
    const std::vector<std::byte> contents(from, from + large_page_size);
    blocks_.erase(block);
    left_ += large_page_size;
    if (::mmap(window_ + offset, large_page_size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        throw MachineError::from_errno("cannot split a huge page", errno);
    for (std::size_t at = 0; at < large_page_size; at += page_size)
        if (!is_zero(&contents[at])) std::memcpy(window_ + offset + at, &contents[at], page_size);
    protect(offset, host_protection(protection));
}

void HugeBlocks::before_mapping(std::uint64_t offset, std::size_t size) {
    if (blocks_.empty()) return;
    split_edges(offset, size);
    for (auto block = first_ending_after(offset); block != blocks_.end() && block->first < offset + size;) {
        block = blocks_.erase(block);
        left_ += large_page_size;
    }
}

void HugeBlocks::before_protecting(std::uint64_t offset, std::size_t size, Protection protection) {
    if (blocks_.empty()) return;
    split_edges(offset, size);
    for (auto block = first_ending_after(offset); block != blocks_.end() && block->first < offset + size; ++block)
        block->second = protection;
}

void HugeBlocks::zero(const Blocks::value_type& block, std::uint64_t offset, std::size_t size) {
    // KVM reports a page once, until the host takes the mapping away. This is done first, so that what a guest writes
    // meanwhile, which goes on after its answer, is reported again.
    protect(block.first, PROT_NONE);
    protect(block.first, PROT_READ | PROT_WRITE);
    std::memset(window_ + offset, 0, size);
    if (!block.second.write) protect(block.first, host_protection(block.second));
}

void HugeBlocks::protect(std::uint64_t block, int protection) {
    if (::mprotect(window_ + block, large_page_size, protection) != 0)
        throw MachineError::from_errno("cannot protect guest memory", errno);
}

}  // namespace tinykvm
