#include "tinykvm/linux/start.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <vector>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/state.hpp"
#include "tinykvm/os/random.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::linux_abi {

namespace {

// Pushes values below one another. Guest memory is written once, at the end.
class StackBuilder {
  public:
    StackBuilder(GuestAddr end, std::size_t room) : end_(end), room_(room) {}

    GuestAddr push(const void* bytes, std::size_t size) {
        if (size > room_ - reversed_.size())
            throw LoadError("arguments and environment take more than a quarter of the stack");
        // The bytes are kept in reverse, so that pushing is appending.
        const auto* begin = static_cast<const std::byte*>(bytes);
        for (std::size_t i = size; i-- > 0;) reversed_.push_back(begin[i]);
        return end_ - reversed_.size();
    }
    GuestAddr push(const std::string& text) { return push(text.c_str(), std::strlen(text.c_str()) + 1); }
    void align(std::size_t alignment) {
        while ((end_ - reversed_.size()) % alignment != 0) reversed_.push_back(std::byte{0});
    }
    GuestAddr top() const { return end_ - reversed_.size(); }
    bool write(GuestMemory& memory) {
        const std::vector<std::byte> forward(reversed_.rbegin(), reversed_.rend());
        return memory.write(top(), forward.data(), forward.size());
    }

  private:
    GuestAddr end_;
    std::size_t room_;
    std::vector<std::byte> reversed_;
};

// With more than 0 the text has so much room, for another one to be written there.
GuestAddr push_with_room(StackBuilder& stack, std::string text, std::size_t room) {
    if (room == 0) return stack.push(text);
    if (text.size() >= room) throw LoadError("an argument is too long for its place");
    text.resize(room);
    return stack.push(text.data(), text.size());
}

}  // namespace

InitialStack build_initial_stack(GuestMemory& memory, const Options& options, const StartInfo& info) {
    StackBuilder stack(info.stack_end, (info.stack_end - info.stack_begin) / 4);
    const std::uint64_t nothing = 0;
    stack.push(&nothing, sizeof nothing);  // Linux leaves a null word at the very end
    const GuestAddr path = stack.push(info.program_path);
    const GuestAddr platform = stack.push("x86_64");
    std::array<std::byte, random_size> seed;
    fill_random(seed);
    const GuestAddr random = stack.push(seed.data(), seed.size());

    // Strings lie in the order in which Linux leaves them, because some programs treat argv as one block of memory.
    std::vector<std::string> arguments{options.program_name};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    std::vector<GuestAddr> argument_pointers(arguments.size()), environment_pointers(options.environment.size());
    if (options.environment_slots != 0) {
        const GuestAddr filler = push_with_room(stack, options.environment_filler, options.environment_room);
        environment_pointers.insert(environment_pointers.end(), options.environment_slots, filler);
    }
    for (std::size_t i = options.environment.size(); i-- > 0;)
        environment_pointers[i] = stack.push(options.environment[i]);
    for (std::size_t i = arguments.size(); i-- > 0;)
        argument_pointers[i] = push_with_room(stack, arguments[i], i > 0 ? options.argument_room : 0);

    const std::uint64_t auxiliary[][2] = {
        {AT_SYSINFO_EHDR, x86::vdso},
        {AT_MINSIGSTKSZ, info.signal_stack_size},
        {AT_HWCAP, info.hwcap},
        {AT_PAGESZ, page_size},
        {AT_CLKTCK, 100},
        {AT_PHDR, info.headers},
        {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, info.header_count},
        {AT_BASE, info.interpreter_base},
        {AT_FLAGS, 0},
        {AT_ENTRY, info.entry},
        {AT_UID, user_id},
        {AT_EUID, user_id},
        {AT_GID, user_id},
        {AT_EGID, user_id},
        {AT_SECURE, 0},
        {AT_RANDOM, random},
        {AT_HWCAP2, info.hwcap2},
        {AT_EXECFN, path},
        {AT_PLATFORM, platform},
        {AT_NULL, 0},
    };
    // argc, argv..., NULL, envp..., NULL, auxv: the stack pointer at argc must be a multiple of 16.
    std::vector<std::uint64_t> words{argument_pointers.size()};
    words.insert(words.end(), argument_pointers.begin(), argument_pointers.end());
    words.push_back(0);
    words.insert(words.end(), environment_pointers.begin(), environment_pointers.end());
    words.push_back(0);
    const auto* const at_entry =
        std::find_if(std::begin(auxiliary), std::end(auxiliary), [](const auto& one) { return one[0] == AT_ENTRY; });
    const std::size_t entry_word = words.size() + 2 * static_cast<std::size_t>(at_entry - std::begin(auxiliary)) + 1;
    for (const auto& entry : auxiliary) words.insert(words.end(), {entry[0], entry[1]});

    stack.align(16);
    if (words.size() % 2 != 0) stack.push(&nothing, sizeof nothing);
    stack.push(words.data(), words.size() * sizeof words[0]);
    if (!stack.write(memory)) throw LoadError("the stack is not mapped");
    return {stack.top(), stack.top() + entry_word * sizeof words[0], random,
            std::string(reinterpret_cast<const char*>(auxiliary), sizeof auxiliary)};
}

}  // namespace tinykvm::linux_abi
