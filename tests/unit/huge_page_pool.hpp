// The host's pool of reserved huge pages, which belongs to one test at a time, is set by it and restored.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::test {

class HugePagePool {
  public:
    ~HugePagePool() {
        if (lock_) set(before_);
    }

    // Takes the pool for this test. Otherwise why it cannot.
    std::string take() {
        if (number("/proc/meminfo", "Hugepagesize:") != 2048) return "huge pages are not of 2 MiB here";
        FileDescriptor file(::open(pages, O_RDWR | O_CLOEXEC));
        if (!file) return std::string(pages) + " is not writable";
        ::flock(file.get(), LOCK_EX);
        before_ = number(pages);
        if (unused() != before_) return "somebody uses huge pages";
        lock_ = std::move(file);
        return "";
    }
    // False when the host has no room for so many.
    bool set(long count) {
        std::ofstream(pages) << count << std::flush;
        return number(pages) == count;
    }
    static long unused() { return number("/proc/meminfo", "HugePages_Free:"); }

  private:
    static constexpr const char* pages = "/proc/sys/vm/nr_hugepages";

    static long number(const char* file, const std::string& key = "") {
        std::ifstream in(file);
        for (std::string word; in >> word;)
            if (key.empty())
                return std::stol(word);
            else if (word == key && in >> word)
                return std::stol(word);
        return -1;
    }

    FileDescriptor lock_;
    long before_ = 0;
};

}  // namespace tinykvm::test
