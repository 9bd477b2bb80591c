// The names of in-memory files, and their locks.
#include "tinykvm/linux/memory_tree.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tinykvm/linux/file_locks.hpp"

namespace tinykvm::linux_abi {
namespace {

TEST(MemoryTree, NamesLinksAndDirectories) {
    MemoryTree tree(2);
    EXPECT_EQ(tree.count(), 2u);
    const FileId folder = tree.create(S_IFDIR | 0755, 1), file = tree.create(S_IFREG | 0644, 1);
    tree.add_name(1, "folder", folder);
    tree.add_name(folder, "file", file);
    tree.add_name(1, "same", file);
    EXPECT_EQ(tree.find(1, "folder"), folder);
    EXPECT_EQ(tree.find(folder, "file"), file);
    EXPECT_EQ(tree.find(2, "folder"), 0u);
    EXPECT_EQ(tree.find(1)->links, 3u);
    EXPECT_EQ(tree.find(file)->links, 2u);
    EXPECT_TRUE(tree.contains(1, folder));
    EXPECT_FALSE(tree.contains(folder, 1));
    EXPECT_FALSE(tree.contains(2, folder));
    tree.remove_name(1, "same");
    tree.remove_name(folder, "file");
    EXPECT_EQ(tree.next_without_links(1), file);
    tree.forget(file);
    tree.remove_name(1, "folder");
    tree.forget(folder);
    EXPECT_EQ(tree.host_bytes(), 0u);
    EXPECT_EQ(tree.count(), 2u);
}

TEST(MemoryTree, CopiesDoNotChangeEachOther) {
    MemoryTree first(1);
    const FileId file = first.create(S_IFREG | 0644, 1);
    first.add_name(1, "file", file);
    MemoryTree second = first;
    second.change(file).mode = S_IFREG | 0600;
    second.remove_name(1, "file");
    second.forget(file);
    EXPECT_EQ(first.find(1, "file"), file);
    EXPECT_EQ(first.find(file)->mode, static_cast<mode_t>(S_IFREG | 0644));
    EXPECT_EQ(second.find(file), nullptr);
}

TEST(FileLocks, RangesAreSplitAndReplaced) {
    FileLocks locks;
    EXPECT_EQ(locks.set({.inode = 1, .owner = 5, .exclusive = true, .begin = 0, .end = 10}), 0);
    EXPECT_EQ(locks.clear({.inode = 1, .owner = 5, .begin = 4, .end = 6}), 0);
    EXPECT_EQ(locks.set({.inode = 1, .owner = 6, .exclusive = true, .begin = 4, .end = 6}), 0);
    EXPECT_EQ(locks.set({.inode = 1, .owner = 6, .begin = 4, .end = 7}), -EAGAIN);
    EXPECT_EQ(locks.set({.inode = 2, .owner = 6, .begin = 4, .end = 7}), 0);
    EXPECT_EQ(locks.conflict({.inode = 1, .owner = 6, .begin = 0, .end = 100})->end, 4u);
    locks.close(1, 5);
    EXPECT_EQ(locks.set({.inode = 1, .owner = 6, .begin = 0, .end = 100}), 0);
    EXPECT_FALSE(locks.conflict({.inode = 1, .owner = 7, .begin = 0, .end = 100}));
    EXPECT_TRUE(locks.conflict({.inode = 1, .owner = 7, .exclusive = true, .begin = 50, .end = 51}));
}

}  // namespace
}  // namespace tinykvm::linux_abi
