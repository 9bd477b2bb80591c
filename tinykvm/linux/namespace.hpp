// The file system a guest sees: path rules over directories and files of the host, and a few built-in files.
//
// A guest path is resolved in the guest's namespace, component by component where links are met. The host
// never follows a link for us: every host object is opened below the root of a rule with
// openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS), and a link found on the way is read
// and continued in the namespace. So neither a link nor a swap of one while we look can lead outside the
// rules. Paths no rule covers cost no host call.
//
// Immutable after construction; shared by a snapshot and all its forks. Thread safety: any number of threads.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tinykvm/kvm/file_descriptor.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::linux_abi {

// A file that exists without any rule.
enum class BuiltIn { none, null, zero, random, own_program, own_maps, descriptor };

class Namespace {
  public:
    struct Rule {
        bool writable = false;
        bool tree = false;  // everything below too
        bool link = false;  // a symbolic link to `target`
        std::string target;
        FileDescriptor root;  // O_PATH: the directory of a tree, or the directory that holds `leaf`
        std::string leaf;     // of a rule for a single path
    };

    // Opens the roots of the rules. A root that is not there is logged and its rule covers nothing.
    // Throws LoadError for a rule that makes no sense.
    explicit Namespace(const Options& options);

    // What a path leads to.
    struct Location {
        enum class Kind {
            nothing,    // `error` says why; with `rule`: it could be created there
            host,       // an object of the host: `handle`, `status`, `rule`
            directory,  // exists only because rules lie below it
            built_in,   // `file`
            link,       // a rule's link itself: `target`
        };
        Kind kind = Kind::nothing;
        int error = 0;
        std::string path;  // absolute, free of links, "." and ".."
        const Rule* rule = nullptr;
        std::string below;      // `path` relative to the rule's root; "." is the root
        FileDescriptor handle;  // O_PATH | O_NOFOLLOW
        struct stat status {};
        BuiltIn file = BuiltIn::none;
        std::string target;
        bool ended_with_slash = false;

        static Location missing(int why) {
            Location location;
            location.error = why;
            return location;
        }
        bool exists() const { return kind != Kind::nothing; }
        bool is_directory() const {
            return kind == Kind::directory || (kind == Kind::host && S_ISDIR(status.st_mode));
        }
        bool is_link() const { return kind == Kind::link || (kind == Kind::host && S_ISLNK(status.st_mode)); }
        bool writable() const { return rule && rule->writable; }
    };
    enum class Last { follow, keep_link };

    // Resolves `path` (not empty) starting at the directory `base` (a resolved path).
    Location resolve(std::string_view base, std::string_view path, Last last) const;

    // Could the path, as written and with the rules' own links applied, be something a guest may change?
    // Without a host call, so that what is certain to be refused is refused without one.
    enum class Verdict { nowhere, read_only, writable };
    Verdict judge(std::string_view base, std::string_view path) const;

    // Opens what a location denotes, below its rule's root and without following links. A descriptor of the
    // host or -errno. `flags` as open(2); O_CLOEXEC, O_NONBLOCK and O_NOCTTY are added.
    int open(const Location& location, int flags, unsigned mode = 0) const;
    // The directory that holds it, O_PATH; and the name in it.
    struct Parent {
        FileDescriptor handle;
        std::string name;
        int error = 0;
    };
    Parent open_parent(const Location& location) const;

    // What a link points to; empty when it cannot be read.
    static std::string read_target(const Location& link);

    // Names that exist in a directory because of rules. `is_link` tells rules' links from directories and
    // files.
    struct Child {
        std::string name;
        bool is_link = false;
    };
    std::vector<Child> children(const std::string& directory) const;
    // Is the path the very root of a rule? Such a name cannot be removed or replaced.
    bool is_rule_root(const std::string& path) const;

    bool empty() const { return rules_.empty(); }

  private:
    void add(const PathRule& rule, const Options& options);
    std::string_view longest_candidate(std::string_view path) const;
    const Rule* find_rule(const std::string& path, std::string& below) const;
    const Rule* link_on_the_way(const std::string& path) const;
    bool is_ancestor(const std::string& path) const;
    Location look(const std::string& path) const;
    Location walk(std::string_view base, std::string_view path, Last last) const;

    std::map<std::string, Rule, std::less<>> rules_;  // by normal virtual path
    std::size_t longest_rule_ = 0;                    // bytes of the longest such path
};

// "/a", "b" -> "/a/b". `directory` is a normal absolute path.
std::string join_path(std::string_view directory, std::string_view name);
// The directory a normal absolute path is in; "/" for "/". A part of `path`.
std::string_view parent_path(std::string_view path);
std::vector<std::string_view> path_components(std::string_view path);
BuiltIn find_built_in(std::string_view path);
// Of BuiltIn::descriptor (/dev/stdout, /dev/fd/1, /proc/self/fd/1): which one; -1 for other paths.
int descriptor_named(std::string_view path);

}  // namespace tinykvm::linux_abi
