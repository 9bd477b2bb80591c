// Files that exist in the guest only: all it finds in /proc, /sys and /dev. They are made when they are opened, from
// the state of the process and its limits, and contain nothing of the host or of other requests. The tables in
// pseudo_files.cpp list them; a new one takes one line there and a function that makes its text.
//
// Thread safety: functions of their arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/linux/file_table.hpp"

namespace tinykvm::linux_abi {

struct SyscallContext;
struct ProcessState;

struct PseudoFile {
    enum class Kind : std::uint8_t {
        none,  // there is no such file
        directory,
        text,
        device,
        link,        // `target`
        descriptor,  // a link to what descriptor `number` refers to, followed without going by a name
    };
    using Text = std::string (*)(const SyscallContext& call, int thread);

    Kind kind = Kind::none;
    const FileKind* device = nullptr;
    unsigned minor = 0;           // the number of a device, whose major one is 1
    std::string_view constant{};  // of a text of one line: that line
    Text text = nullptr;          // makes the other texts
    int number = 0;               // of a text: the thread it describes
    std::string target{};         // never empty
};

// The names whose content is made here, whatever path rules say of the directories above them: /proc, /sys, /dev and
// everything below.
bool is_pseudo_path(std::string_view path);
// 1, 2 or 3 for what is in /proc, /sys or /dev; 0 for other paths.
int pseudo_tree(std::string_view path);

// The file at `path`, which is absolute and without ".." and links; one of Kind::none when there is none.
PseudoFile find_pseudo_file(const ProcessState& state, std::string_view path);
// What a file of Kind::text contains now.
std::string make_text(const PseudoFile& file, const SyscallContext& call);
// The names in a directory of that kind, and in "/".
std::vector<std::string> list_pseudo_files(const ProcessState& state, std::string_view directory);

}  // namespace tinykvm::linux_abi
