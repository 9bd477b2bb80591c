// A guest process without a guest: system calls are made on its memory directly, as the run loop would.
#pragma once

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/folder.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/vm.hpp"
#include "tinykvm/linux/process.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::test {

// Vector registers that are only an image.
class PlainVectors final : public linux_abi::VectorState {
  public:
    std::vector<std::byte> image = std::vector<std::byte>(832);
    int loads = 0;

    std::size_t size() const override { return image.size(); }
    void save(std::span<std::byte> to) override { std::memcpy(to.data(), image.data(), image.size()); }
    bool load(std::span<const std::byte> from) override {
        std::uint64_t compacted = 0;
        std::memcpy(&compacted, from.data() + 520, sizeof compacted);
        if (compacted != 0) return false;
        image.assign(from.begin(), from.end());
        ++loads;
        return true;
    }
    std::uint64_t features() const override { return 7; }
};

class LinuxProcess {
  public:
    // What the program has: a stack, a heap, and `arena` bytes to play with, filled with `pattern`.
    static constexpr GuestAddr arena = 0x100000, heap = 0x800000, stack = 0x40000000;
    static constexpr std::size_t arena_size = 0x40000, stack_size = 0x40000;
    static constexpr unsigned char pattern = 0xA5;

    explicit LinuxProcess(Options options = {})
        : options(std::move(options)),
          memory(vm, {std::size_t{64} << 20, "max_memory", std::size_t{1} << 30}),
          process(memory, this->options, linux_abi::ProcessState::at_start(this->options, heap, "/bin/program")) {
        EXPECT_EQ(memory.map(arena, arena_size, {true, true, false}), 0);
        EXPECT_EQ(memory.map(stack - stack_size, stack_size, {true, true, false}, "[stack]"), 0);
        fill(arena, arena_size);
        registers.rsp = stack - 0x10000;
        registers.rip = 0x400000;
    }

    std::int64_t call(std::uint64_t number, std::vector<std::uint64_t> arguments = {}) {
        arguments.resize(6);
        registers.rax = number;
        registers.rdi = arguments[0];
        registers.rsi = arguments[1];
        registers.rdx = arguments[2];
        registers.r10 = arguments[3];
        registers.r8 = arguments[4];
        registers.r9 = arguments[5];
        outcome = process.system_call(registers, pointers, vectors, deadline ? *deadline : Clock::now() + patience);
        return static_cast<std::int64_t>(registers.rax);
    }

    // Arguments in guest memory.
    GuestAddr put(const std::string& text, GuestAddr at = arena + 0x3F000) {
        EXPECT_TRUE(memory.write(at, text.c_str(), text.size() + 1));
        return at;
    }
    template <typename T>
    GuestAddr put_value(const T& value, GuestAddr at = arena + 0x3E000) {
        EXPECT_TRUE(memory.write(at, value));
        return at;
    }
    template <typename T>
    T get(GuestAddr at) {
        T value{};
        EXPECT_TRUE(memory.read(at, value));
        return value;
    }
    std::string bytes(GuestAddr at, std::size_t size) { return memory.read_bytes(at, size).value(); }
    void fill(GuestAddr at, std::size_t size) {
        const std::vector<unsigned char> filler(size, pattern);
        EXPECT_TRUE(memory.write(at, filler.data(), size));
    }
    bool untouched(GuestAddr at, std::size_t size) {
        return bytes(at, size) == std::string(size, static_cast<char>(pattern));
    }

    std::int64_t open(const std::string& path, int flags, unsigned mode = 0644) {
        return call(SYS_open, {put(path), static_cast<std::uint64_t>(flags), mode});
    }

    std::chrono::milliseconds patience{20000};
    std::optional<Deadline> deadline;
    Options options;
    kvm::Vm vm;
    GuestMemory memory;
    linux_abi::Process process;
    Registers registers;
    linux_abi::ThreadPointers pointers;
    PlainVectors vectors;
    linux_abi::Outcome outcome;
};

inline std::size_t host_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

}  // namespace tinykvm::test
