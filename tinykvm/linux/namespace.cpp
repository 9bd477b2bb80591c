#include "tinykvm/linux/namespace.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "tinykvm/errors.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr struct {
    std::string_view path;
    BuiltIn file;
} built_in_files[] = {
    {"/dev/null", BuiltIn::null},
    {"/dev/zero", BuiltIn::zero},
    {"/dev/random", BuiltIn::random},
    {"/dev/urandom", BuiltIn::random},
    {"/proc/self/exe", BuiltIn::own_program},
    {"/proc/self/maps", BuiltIn::own_maps},
};

int open_beneath(int root, const std::string& path, int flags, unsigned mode) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    for (int attempt = 0;; ++attempt) {
        const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
        if (fd >= 0) return static_cast<int>(fd);
        // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
        if ((errno != EAGAIN && errno != EINTR) || attempt == 8) return -errno;
    }
}

// What the operator wrote, as the host understands it now.
std::optional<std::string> real_path(const std::string& path) {
    std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    return resolved ? std::optional<std::string>(resolved.get()) : std::nullopt;
}

}  // namespace

BuiltIn find_built_in(std::string_view path) {
    for (const auto& entry : built_in_files)
        if (entry.path == path) return entry.file;
    return descriptor_named(path) >= 0 ? BuiltIn::descriptor : BuiltIn::none;
}

int descriptor_named(std::string_view path) {
    if (path == "/dev/stdin") return 0;
    if (path == "/dev/stdout") return 1;
    if (path == "/dev/stderr") return 2;
    for (std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
        if (!path.starts_with(folder)) continue;
        const std::string_view digits = path.substr(folder.size());
        int number = -1;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
    }
    return -1;
}

std::string join_path(std::string_view directory, std::string_view name) {
    std::string path(directory);
    if (path.empty() || path.back() != '/') path += '/';
    return path.append(name);
}

std::string_view parent_path(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == 0 || slash == path.npos ? std::string_view("/") : path.substr(0, slash);
}

std::vector<std::string_view> path_components(std::string_view path) {
    std::vector<std::string_view> components;
    while (!path.empty()) {
        const auto slash = std::min(path.find('/'), path.size());
        if (slash > 0 && path.substr(0, slash) != ".") components.push_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return components;
}

Namespace::Namespace(const Options& options) {
    for (const PathRule& rule : options.allowed_paths) add(rule, options);
}

void Namespace::add(const PathRule& given, const Options& options) {
    if (given.virtual_path.empty() || given.virtual_path[0] != '/')
        throw LoadError("allowed_paths: \"" + given.virtual_path + "\" is not an absolute path");
    std::string path = "/";
    for (std::string_view component : path_components(given.virtual_path)) {
        if (component == "..") throw LoadError("allowed_paths: \"" + given.virtual_path + "\" contains ..");
        path = join_path(path, component);
    }

    Rule rule;
    const std::string& real = given.real_path.empty() ? given.virtual_path : given.real_path;
    if (given.symlink) {
        if (given.real_path.empty() || given.real_path == given.virtual_path)
            throw LoadError("allowed_paths: the link \"" + given.virtual_path + "\" needs a target");
        rule.link = true;
        rule.target = given.real_path;
    } else {
        if (real[0] != '/') throw LoadError("allowed_paths: \"" + real + "\" is not an absolute path");
        rule.writable = given.writable;
        rule.tree = given.prefix;
        // The operator named this very object, so links in its name are the operator's and are followed now.
        auto resolved = real_path(real);
        struct stat status {};
        const bool exists = resolved && ::lstat(resolved->c_str(), &status) == 0;
        if (exists && !S_ISDIR(status.st_mode)) rule.tree = false;
        if (!exists && !rule.tree) {  // a file that may come later, in a directory that is there
            if (auto directory = real_path(std::string(parent_path(real))))
                resolved = join_path(*directory, real.substr(real.rfind('/') + 1));
        }
        if (resolved && rule.tree) {
            rule.root = FileDescriptor(::open(resolved->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        } else if (resolved && *resolved == "/") {
            rule.root = FileDescriptor(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
            rule.leaf = ".";
        } else if (resolved) {
            rule.root = FileDescriptor(
                ::open(std::string(parent_path(*resolved)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
            rule.leaf = resolved->substr(resolved->rfind('/') + 1);
        }
        if (!rule.root && options.log) options.log("allowed_paths: " + real + " is not there");
    }
    longest_rule_ = std::max(longest_rule_, path.size());
    rules_.insert_or_assign(std::move(path), std::move(rule));
}

// The longest leading part of a path that can be a rule's: guests may make paths of thousands of components.
std::string_view Namespace::longest_candidate(std::string_view path) const {
    return path.size() <= longest_rule_ ? path : parent_path(path.substr(0, longest_rule_ + 1));
}

const Namespace::Rule* Namespace::find_rule(const std::string& path, std::string& below) const {
    for (std::string_view prefix = longest_candidate(path);; prefix = parent_path(prefix)) {
        if (auto found = rules_.find(prefix); found != rules_.end()) {
            const Rule& rule = found->second;
            const bool exact = prefix.size() == path.size();
            if (!exact && !rule.tree) return nullptr;
            if (rule.tree) {
                below = exact ? "." : path.substr(prefix == "/" ? 1 : prefix.size() + 1);
            } else {
                below = rule.leaf;
            }
            return &rule;
        }
        if (prefix == "/") return nullptr;
    }
}

const Namespace::Rule* Namespace::link_on_the_way(const std::string& path) const {
    for (std::string_view prefix = longest_candidate(path); prefix != "/"; prefix = parent_path(prefix))
        if (auto found = rules_.find(prefix); found != rules_.end() && found->second.link)
            return &found->second;
    return nullptr;
}

bool Namespace::is_ancestor(const std::string& path) const {
    if (path == "/") return !rules_.empty();
    const std::string prefix = path + "/";
    auto next = rules_.lower_bound(prefix);
    return next != rules_.end() && next->first.starts_with(prefix);
}

bool Namespace::is_rule_root(const std::string& path) const {
    auto found = rules_.find(path);
    return (found != rules_.end() && (found->second.tree || found->second.link)) || is_ancestor(path);
}

std::vector<Namespace::Child> Namespace::children(const std::string& directory) const {
    std::vector<Child> result;
    const std::string prefix = directory == "/" ? directory : directory + "/";
    for (auto rule = rules_.lower_bound(prefix); rule != rules_.end() && rule->first.starts_with(prefix);
         ++rule) {
        const std::string name =
            rule->first.substr(prefix.size(), rule->first.find('/', prefix.size()) - prefix.size());
        if (name.empty() || (!result.empty() && result.back().name == name)) continue;
        result.push_back({name, rule->second.link && rule->first.size() == prefix.size() + name.size()});
    }
    return result;
}

Namespace::Location Namespace::look(const std::string& path) const {
    Location found;
    found.path = path;
    found.error = ENOENT;
    if (found.file = find_built_in(path); found.file != BuiltIn::none) {
        found.kind = Location::Kind::built_in;
        return found;
    }
    // What rules lie below is a directory, whatever the host has there.
    const bool ancestor = is_ancestor(path);
    if (const Rule* rule = find_rule(path, found.below)) {
        if (rule->link) {
            found.kind = Location::Kind::link;
            found.target = rule->target;
            return found;
        }
        if (rule->root) {
            found.rule = rule;
            const int fd = open_beneath(rule->root.get(), found.below, O_PATH | O_NOFOLLOW, 0);
            if (fd >= 0) {
                found.handle = FileDescriptor(fd);
                if (::fstat(fd, &found.status) == 0) {
                    if (!ancestor || S_ISDIR(found.status.st_mode)) found.kind = Location::Kind::host;
                } else {
                    found.error = errno;
                }
            } else {
                found.error = -fd;
            }
        }
    }
    if (ancestor && !found.exists()) {
        found.kind = Location::Kind::directory;
        found.rule = nullptr;
        found.handle = FileDescriptor();
    }
    return found;
}

Namespace::Location Namespace::resolve(std::string_view base, std::string_view path, Last last) const {
    const auto components = path_components(path);
    const bool plain = std::find(components.begin(), components.end(), "..") == components.end();
    if (plain) {
        // Nearly always no link is in the way, and one host call answers.
        std::string whole(path[0] == '/' ? "/" : base);
        for (std::string_view component : components) whole = join_path(whole, component);
        if (whole.size() >= PATH_MAX) return Location::missing(ENAMETOOLONG);
        if (!link_on_the_way(whole)) {
            Location found = look(whole);
            const bool must_be_directory = path.ends_with("/") || path.ends_with("/.") || path == ".";
            found.ended_with_slash = must_be_directory;
            if (found.exists() && !found.is_link()) {
                if (must_be_directory && !found.is_directory()) return Location::missing(ENOTDIR);
                return found;
            }
            if (found.exists() && last == Last::keep_link && !must_be_directory) return found;
            // The kernel met no link before it found something missing: that is final.
            if (!found.exists() && found.error != ELOOP) return found;
        }
    }
    return walk(base, path, last);
}

int Namespace::open(const Location& location, int flags, unsigned mode) const {
    if (!location.rule || !location.rule->root) return -ENOENT;
    return open_beneath(location.rule->root.get(), location.below, flags | O_NONBLOCK | O_NOCTTY, mode);
}

Namespace::Parent Namespace::open_parent(const Location& location) const {
    Parent parent;
    if (!location.rule || !location.rule->root || location.below == ".") {
        parent.error = EBUSY;
        return parent;
    }
    const auto slash = location.below.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : location.below.substr(0, slash);
    parent.name = slash == std::string::npos ? location.below : location.below.substr(slash + 1);
    const int fd = open_beneath(location.rule->root.get(), directory, O_PATH | O_DIRECTORY, 0);
    if (fd < 0) {
        parent.error = -fd;
    } else {
        parent.handle = FileDescriptor(fd);
    }
    return parent;
}

}  // namespace tinykvm::linux_abi
