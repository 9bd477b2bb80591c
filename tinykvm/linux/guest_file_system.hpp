// The file system a guest sees: path rules over directories and files of the host, in-memory files, and pseudo files.
//
// A guest path is resolved in the guest's namespace, component by component where there are links. The host never
// follows a link for us: every host object is opened below the root of a rule by open_below() (host_tree.hpp), and a
// link on the way is read and followed in the guest's namespace. So neither a link nor one that is replaced meanwhile
// can lead outside of the rules. Paths that no rule covers cost no host call.
//
// What is in /proc, /sys and /dev is made for the guest (pseudo_files.hpp). A rule for a directory above them does not
// cover them; a rule for a name among them adds that name. The host's own are refused by open_below(), whatever name a
// rule gives them, but for single files of sysfs that a rule names.
//
// Immutable after construction; shared by a snapshot and all its forks. Thread safety: any number of threads.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/linux/pseudo_files.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::linux_abi {

// The longest absolute path an object may have, with its NUL. Longer ones than those of system calls come about by
// relative paths, in memory and below rules.
inline constexpr std::size_t longest_resolved_path = std::size_t{64} << 10;

class GuestFileSystem {
  public:
    struct Rule {
        bool writable = false;
        bool tree = false;           // everything below too
        bool link = false;           // a symbolic link to `target`
        bool of_sysfs = false;       // a single file of sysfs
        bool for_everybody = false;  // only what every user of the host may read
        std::string target;
        FileDescriptor root;  // O_PATH: the directory of a tree, or the directory that holds `leaf`
        std::string leaf;     // of a rule for a single path
    };

    // Opens the roots of the rules. A root that does not exist, or belongs to the host's kernel, is logged, and its
    // rule covers nothing. Throws LoadError for a rule that makes no sense.
    explicit GuestFileSystem(const Options& options);

    // What a path leads to.
    struct Location {
        enum class Kind {
            nothing,    // `error` says why; with `rule` or `parent`: it could be created there
            host,       // an object of the host: `handle`, `status`, `rule`
            directory,  // exists only in the guest: because rules lie below it, or for pseudo files
            pseudo,     // `file`
            link,       // exists only in the guest: `target`
            memory,     // an in-memory file, directory or link: `inode`, and of a link `target`
        };
        // Why a guest may not have what it named, if it is not just missing.
        enum class Refusal {
            none,
            not_covered,  // no rule covers `path`
            of_kernel,    // the host has a file system of its kernel there
            not_made,     // it is in /proc, /sys or /dev, and no guest has it
        };
        Kind kind = Kind::nothing;
        int error = 0;  // of Kind::nothing, a negative errno
        Refusal refusal = Refusal::none;
        std::string path;  // absolute, free of links, "." and ".."; of a refusal: what was refused
        const Rule* rule = nullptr;
        std::string path_in_rule;  // `path` relative to the rule's root; "." is the root
        FileDescriptor handle;     // O_PATH | O_NOFOLLOW
        struct stat status {};
        PseudoFile file;
        std::string target;
        FileId inode = 0;
        FileId parent = 0;  // the in-memory directory that has or could have the name `name()`
        mode_t mode = 0;    // of Kind::memory
        bool ended_with_slash = false;

        static Location missing(int error) {
            Location location;
            location.error = error;
            return location;
        }
        bool exists() const { return kind != Kind::nothing; }
        bool in_memory() const { return kind == Kind::memory || parent != 0; }
        bool is_directory() const {
            return kind == Kind::directory || (kind == Kind::host && S_ISDIR(status.st_mode)) ||
                   (kind == Kind::memory && S_ISDIR(mode));
        }
        bool is_link() const {
            return kind == Kind::link || (kind == Kind::host && S_ISLNK(status.st_mode)) ||
                   (kind == Kind::memory && S_ISLNK(mode));
        }
        bool writable() const { return in_memory() || (rule && rule->writable); }
        // The last component of the path.
        std::string_view name() const { return std::string_view(path).substr(path.rfind('/') + 1); }
    };
    enum class Last { follow, keep_link };

    // Resolves `path` (not empty) starting at the directory `base` (a resolved path). Which pseudo files there are
    // depends on `process`.
    Location resolve(const ProcessState& process, std::string_view base, std::string_view path, Last last) const;

    // Could the path, as written and with the rules' own links applied, be something a guest may change?
    // Makes no host call, so that what is certain to be refused costs none.
    enum class Verdict {
        nowhere,
        not_in_directory,  // nothing is there, and its directory exists in the guest only and takes no names
        read_only,
        writable,
    };
    Verdict judge(const ProcessState& process, std::string_view base, std::string_view path) const;

    // Opens what a location denotes, below its rule's root and without following links. Returns a descriptor of the
    // host, which the caller closes, or a negative errno. `flags` as open(2); O_CLOEXEC, O_NONBLOCK and O_NOCTTY are
    // added.
    [[nodiscard]] int open(const Location& location, int flags, unsigned mode = 0) const;
    // Opens the directory that holds a location, with O_PATH; and the location's name in it.
    struct Parent {
        FileDescriptor handle;
        std::string name;
        int error = 0;  // a negative errno: there is no handle
    };
    Parent open_parent(const Location& location) const;

    // What a link points to; empty when it cannot be read.
    static std::string read_target(const Location& link);

    // The names in a directory that do not come from the host's directory: pseudo files, and names of rules, even when
    // nothing is there. In alphabetical order.
    struct Child {
        std::string name;
        bool exists = true;
        bool is_link = false, is_directory = false;  // as far as that is known without a look
    };
    std::vector<Child> children(const ProcessState& process, const std::string& directory) const;
    // Is the path the very root of a rule? Such a name cannot be removed or replaced.
    bool is_rule_root(const std::string& path) const;

    bool empty() const { return rules_.empty(); }
    // The directories of in-memory files, as normal paths. The first is inode 1 of the memory tree, and so on.
    const std::vector<std::string>& memory_mounts() const { return memory_mounts_; }

  private:
    // Where in the memory tree a path is: at `rest` below the directory `root`.
    struct MemoryPlace {
        FileId root = 0;
        std::string_view rest;
    };

    void add_memory_mount(const std::string& given);
    std::optional<MemoryPlace> memory_place(std::string_view path) const;
    void look_in_memory(const ProcessState& process, const MemoryPlace& place, Location& found) const;
    void add(const PathRule& rule, const Options& options);
    static void open_root(Rule& rule, const std::string& real, const Options& options);
    std::string_view longest_candidate(std::string_view path) const;
    const Rule* find_rule(const std::string& path, std::string& path_in_rule) const;
    const Rule* link_on_the_way(const std::string& path) const;
    bool is_ancestor(const std::string& path) const;
    static bool everybody_may_read(const Rule& rule, const Location& found);
    bool look_at_host(const Rule& rule, Location& found) const;
    Location look(const ProcessState& process, const std::string& path) const;
    Location walk(const ProcessState& process, std::string_view base, std::string_view path, Last last) const;

    std::map<std::string, Rule, std::less<>> rules_;  // by normal virtual path
    std::size_t longest_rule_ = 0;                    // bytes of the longest such path
    std::vector<std::string> memory_mounts_;
};

// "/a", "b" -> "/a/b". `directory` is a normal absolute path.
std::string join_path(std::string_view directory, std::string_view name);
// The directory a normal absolute path is in; "/" for "/". A part of `path`.
std::string_view parent_path(std::string_view path);
std::vector<std::string_view> path_components(std::string_view path);

}  // namespace tinykvm::linux_abi
