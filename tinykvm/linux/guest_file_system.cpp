#include "tinykvm/linux/guest_file_system.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <optional>

#include "tinykvm/errors.hpp"
#include "tinykvm/linux/host_tree.hpp"
#include "tinykvm/linux/memory_files.hpp"
#include "tinykvm/linux/seen_files.hpp"

namespace tinykvm::linux_abi {

namespace {

// The path the operator wrote, as the host resolves it now.
std::optional<std::string> real_path(const std::string& path) {
    std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    return resolved ? std::optional<std::string>(resolved.get()) : std::nullopt;
}

}  // namespace

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

GuestFileSystem::GuestFileSystem(const Options& options) {
    for (const PathRule& rule : options.allowed_paths) add(rule, options);
    for (const std::string& directory : options.memory_directories) add_memory_mount(directory);
}

void GuestFileSystem::add_memory_mount(const std::string& given) {
    std::string path;
    for (std::string_view component : path_components(given)) {
        if (component == "..") throw LoadError("writable_memory: \"" + given + "\" contains ..");
        path.append("/").append(component);
    }
    if (given.empty() || given[0] != '/') throw LoadError("writable_memory: \"" + given + "\" is not an absolute path");
    if (path.empty() || (is_pseudo_path(path) && path != "/dev/shm"))
        throw LoadError("writable_memory: \"" + given + "\" cannot be in memory");
    if (rules_.contains(path) || std::find(memory_mounts_.begin(), memory_mounts_.end(), path) != memory_mounts_.end())
        return;
    memory_mounts_.push_back(std::move(path));
}

// Nothing where a rule counts more.
std::optional<GuestFileSystem::MemoryPlace> GuestFileSystem::memory_place(std::string_view path) const {
    const std::string* mount = nullptr;
    FileId root = 0;
    for (std::size_t i = 0; i < memory_mounts_.size(); ++i) {
        const std::string& candidate = memory_mounts_[i];
        const bool covers =
            path.starts_with(candidate) && (path.size() == candidate.size() || path[candidate.size()] == '/');
        if (covers && (!mount || candidate.size() > mount->size())) {
            mount = &candidate;
            root = static_cast<FileId>(i + 1);
        }
    }
    if (!mount) return std::nullopt;
    for (std::string_view prefix = longest_candidate(path); prefix.size() > mount->size(); prefix = parent_path(prefix))
        if (rules_.contains(prefix)) return std::nullopt;
    return MemoryPlace{root, path.substr(mount->size())};
}

void GuestFileSystem::look_in_memory(const ProcessState& process, const MemoryPlace& place, Location& found) const {
    const MemoryTree& tree = *process.memory_tree;
    FileId parent = 0, here = place.root;
    const auto components = path_components(place.rest);
    for (std::size_t i = 0; i < components.size(); ++i) {
        const MemoryInode& inode = *tree.find(here);
        found.error = !inode.is_directory()             ? (inode.is_link() ? -ELOOP : -ENOTDIR)
                      : !may_access(inode, X_OK)        ? -EACCES
                      : components[i].size() > max_name ? -ENAMETOOLONG
                                                        : -ENOENT;
        if (found.error != -ENOENT) return;
        parent = here;
        here = tree.find(parent, components[i]);
        if (here == 0 && i + 1 < components.size()) return;
    }
    found.parent = parent;
    if (here == 0) return;
    const MemoryInode& inode = *tree.find(here);
    found.kind = Location::Kind::memory;
    found.inode = here;
    found.mode = inode.mode;
    found.target = inode.target;
}

void GuestFileSystem::add(const PathRule& given, const Options& options) {
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
        rule.for_everybody = given.for_everybody;
        open_root(rule, real, options);
    }
    longest_rule_ = std::max(longest_rule_, path.size());
    rules_.insert_or_assign(std::move(path), std::move(rule));
}

// The operator has named this object, so links in its path are the operator's and are followed, now.
void GuestFileSystem::open_root(Rule& rule, const std::string& real, const Options& options) {
    auto resolved = real_path(real);
    struct stat status {};
    const bool exists = resolved && ::lstat(resolved->c_str(), &status) == 0;
    if (exists && !S_ISDIR(status.st_mode)) rule.tree = false;
    if (!exists && !rule.tree) {  // a file that may be made later, in a directory that exists
        if (auto directory = real_path(std::string(parent_path(real))))
            resolved = join_path(*directory, real.substr(real.rfind('/') + 1));
    }
    if (!resolved) {
        if (options.log) options.log("allowed_paths: " + real + " is not there");
        return;
    }
    std::string directory = *resolved;
    if (!rule.tree) {
        rule.leaf = directory == "/" ? "." : directory.substr(directory.rfind('/') + 1);
        directory = parent_path(directory);
    }
    // These paths are refused even where they are not mounts of their own, such as /dev in a simple chroot.
    int fd = is_pseudo_path(*resolved) ? -EXDEV : open_on_host(directory, O_PATH | O_DIRECTORY);
    if (fd == -EXDEV && !rule.tree) {
        FileDescriptor parent(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        rule.of_sysfs = parent && is_on_sysfs(parent.get()) && !(exists && S_ISDIR(status.st_mode));
        if (rule.of_sysfs) fd = parent.release();
        rule.writable = false;
    }
    rule.root = FileDescriptor(fd);
    const auto& tell = options.warn ? options.warn : options.log;
    if (fd == -EXDEV && tell)
        tell("allowed_paths: " + real +
             " is the host kernel's and not for guests: they find a /proc, /sys and /dev made for them");
    if (fd < 0 && fd != -EXDEV && options.log) options.log("allowed_paths: " + real + " is not there");
}

// The longest leading part of a path that can be a rule's: guests may make paths of thousands of components.
std::string_view GuestFileSystem::longest_candidate(std::string_view path) const {
    return path.size() <= longest_rule_ ? path : parent_path(path.substr(0, longest_rule_ + 1));
}

const GuestFileSystem::Rule* GuestFileSystem::find_rule(const std::string& path, std::string& path_in_rule) const {
    const int tree = pseudo_tree(path);
    for (std::string_view prefix = longest_candidate(path);; prefix = parent_path(prefix)) {
        // A rule for a directory above /proc, /sys and /dev does not cover what is in them.
        if (pseudo_tree(prefix) != tree) return nullptr;
        if (auto found = rules_.find(prefix); found != rules_.end()) {
            const Rule& rule = found->second;
            const bool exact = prefix.size() == path.size();
            if (!exact && !rule.tree) return nullptr;
            if (rule.tree) {
                path_in_rule = exact ? "." : path.substr(prefix == "/" ? 1 : prefix.size() + 1);
            } else {
                path_in_rule = rule.leaf;
            }
            return &rule;
        }
        if (prefix == "/") return nullptr;
    }
}

const GuestFileSystem::Rule* GuestFileSystem::link_on_the_way(const std::string& path) const {
    for (std::string_view prefix = longest_candidate(path); prefix != "/"; prefix = parent_path(prefix))
        if (auto found = rules_.find(prefix); found != rules_.end() && found->second.link) return &found->second;
    return nullptr;
}

bool GuestFileSystem::is_ancestor(const std::string& path) const {
    if (path == "/") return true;
    const std::string prefix = path + "/";
    for (const std::string& mount : memory_mounts_)
        if (mount.starts_with(prefix)) return true;
    auto next = rules_.lower_bound(prefix);
    return next != rules_.end() && next->first.starts_with(prefix);
}

bool GuestFileSystem::is_rule_root(const std::string& path) const {
    auto found = rules_.find(path);
    return (found != rules_.end() && (found->second.tree || found->second.link)) || is_ancestor(path) ||
           std::find(memory_mounts_.begin(), memory_mounts_.end(), path) != memory_mounts_.end();
}

std::vector<GuestFileSystem::Child> GuestFileSystem::children(const ProcessState& process,
                                                              const std::string& directory) const {
    std::map<std::string, Child> result;
    const std::string prefix = directory == "/" ? directory : directory + "/";
    for (const std::string& name : list_pseudo_files(process, directory)) {
        const PseudoFile::Kind kind = find_pseudo_file(process, prefix + name).kind;
        result[name] = {.name = name,
                        .is_link = kind == PseudoFile::Kind::link || kind == PseudoFile::Kind::descriptor,
                        .is_directory = kind == PseudoFile::Kind::directory};
    }
    for (auto entry = rules_.lower_bound(prefix); entry != rules_.end() && entry->first.starts_with(prefix); ++entry) {
        const auto& [path, rule] = *entry;
        const std::string name = path.substr(prefix.size(), path.find('/', prefix.size()) - prefix.size());
        if (name.empty()) continue;
        const bool exact = path.size() == prefix.size() + name.size();
        const auto [child, is_new] = result.try_emplace(name, Child{.name = name, .exists = false});
        child->second.exists = child->second.exists || !exact || rule.link || rule.root;
        child->second.is_directory = child->second.is_directory || !exact;
        child->second.is_link = is_new ? exact && rule.link : child->second.is_link;
    }
    for (const std::string& mount : memory_mounts_) {
        if (!mount.starts_with(prefix)) continue;
        const std::string name = mount.substr(prefix.size(), mount.find('/', prefix.size()) - prefix.size());
        result[name] = {.name = name, .is_directory = true};
    }
    std::vector<Child> children;
    children.reserve(result.size());
    for (auto& [name, child] : result) children.push_back(std::move(child));
    return children;
}

// Looks at what the host has at `found.path`, by the rule that covers it. False when there is nothing; found.error says
// why.
bool GuestFileSystem::look_at_host(const Rule& rule, Location& found) const {
    found.rule = &rule;
    const int fd = open_below(rule.root.get(), found.path_in_rule, O_PATH | O_NOFOLLOW);
    if (fd < 0) {
        found.error = fd == -EXDEV ? -ENOENT : fd;
        if (fd == -EXDEV) {
            found.refusal = Location::Refusal::of_kernel;
            found.rule = nullptr;
        }
        return false;
    }
    found.handle = FileDescriptor(fd);
    if (::fstat(fd, &found.status) != 0) {
        found.error = -errno;
        return false;
    }
    if (rule.for_everybody && !everybody_may_read(rule, found)) {
        found.error = -EACCES;
        return false;
    }
    return !rule.of_sysfs || S_ISREG(found.status.st_mode);
}

// May users that are neither owner nor in the group read it, and enter all directories on the way?
bool GuestFileSystem::everybody_may_read(const Rule& rule, const Location& found) {
    const mode_t wanted = S_ISDIR(found.status.st_mode) ? S_IXOTH : S_IROTH;
    if (!S_ISLNK(found.status.st_mode) && (found.status.st_mode & wanted) == 0) return false;
    for (auto slash = found.path_in_rule.find('/'); slash != std::string::npos;
         slash = found.path_in_rule.find('/', slash + 1)) {
        const FileDescriptor directory(
            std::max(open_below(rule.root.get(), found.path_in_rule.substr(0, slash), O_PATH | O_NOFOLLOW), -1));
        struct stat status {};
        if (!directory || ::fstat(directory.get(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    }
    return true;
}

GuestFileSystem::Location GuestFileSystem::look(const ProcessState& process, const std::string& path) const {
    Location found;
    found.path = path;
    found.error = -ENOENT;
    if (const auto place = memory_place(path)) {
        look_in_memory(process, *place, found);
        if (found.exists() || !is_ancestor(path)) return found;
        found.parent = 0;
        found.kind = Location::Kind::directory;
        return found;
    }
    const Rule* rule = find_rule(path, found.path_in_rule);
    const bool named = rule && (rule->root || rule->link) && rules_.contains(path);
    if (!named && is_pseudo_path(path)) {
        found.file = find_pseudo_file(process, path);
        switch (found.file.kind) {
            case PseudoFile::Kind::none: break;
            case PseudoFile::Kind::directory: found.kind = Location::Kind::directory; return found;
            case PseudoFile::Kind::link:
                found.kind = Location::Kind::link;
                found.target = found.file.target;
                return found;
            case PseudoFile::Kind::text:
            case PseudoFile::Kind::device:
            case PseudoFile::Kind::descriptor: found.kind = Location::Kind::pseudo; return found;
        }
    }
    if (rule && rule->link) {
        found.kind = Location::Kind::link;
        found.target = rule->target;
        return found;
    }
    // A path above those of rules is a directory, whatever the host has there.
    const bool ancestor = is_ancestor(path);
    const bool is_on_host = rule && rule->root && look_at_host(*rule, found);
    // What the kernel tells by files changes all the time, and so do their times. A link on the way is followed, and
    // what it leads to looked at then.
    if (process.seen_files && rule && rule->root && !rule->of_sysfs && found.error != -ELOOP)
        process.seen_files->look(path, is_on_host ? &found.status : nullptr);
    if (is_on_host && (!ancestor || S_ISDIR(found.status.st_mode))) {
        found.kind = Location::Kind::host;
    } else if (ancestor) {
        found.kind = Location::Kind::directory;
        found.rule = nullptr;
        found.handle = FileDescriptor();
    } else if (!rule) {
        found.refusal = is_pseudo_path(path) ? Location::Refusal::not_made : Location::Refusal::not_covered;
    }
    return found;
}

GuestFileSystem::Location GuestFileSystem::resolve(const ProcessState& process, std::string_view base,
                                                   std::string_view path, Last last) const {
    const auto components = path_components(path);
    const bool plain = std::find(components.begin(), components.end(), "..") == components.end();
    if (plain) {
        // Nearly always there is no link in the path, and one host call is enough.
        std::string whole(path[0] == '/' ? "/" : base);
        for (std::string_view component : components) whole = join_path(whole, component);
        if (whole.size() >= longest_resolved_path) return Location::missing(-ENAMETOOLONG);
        // Links among pseudo files are unknown to the host's kernel.
        if (!link_on_the_way(whole) && !is_pseudo_path(whole)) {
            Location found = look(process, whole);
            const bool must_be_directory = path.ends_with("/") || path.ends_with("/.") || path == ".";
            found.ended_with_slash = must_be_directory;
            if (found.exists() && !found.is_link()) {
                if (must_be_directory && !found.is_directory()) return Location::missing(-ENOTDIR);
                return found;
            }
            if (found.exists() && last == Last::keep_link && !must_be_directory) return found;
            // The kernel found that something is missing before it met a link, so no link can change that.
            if (!found.exists() && found.error != -ELOOP) return found;
        }
    }
    return walk(process, base, path, last);
}

int GuestFileSystem::open(const Location& location, int flags, unsigned mode) const {
    if (!location.rule || !location.rule->root) return -ENOENT;
    const int fd = open_below(location.rule->root.get(), location.path_in_rule, flags | O_NONBLOCK | O_NOCTTY, mode);
    return fd == -EXDEV ? -ENOENT : fd;
}

GuestFileSystem::Parent GuestFileSystem::open_parent(const Location& location) const {
    Parent parent;
    if (!location.rule || !location.rule->root || location.path_in_rule == ".") {
        parent.error = -EBUSY;
        return parent;
    }
    const auto slash = location.path_in_rule.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : location.path_in_rule.substr(0, slash);
    parent.name = slash == std::string::npos ? location.path_in_rule : location.path_in_rule.substr(slash + 1);
    const int fd = open_below(location.rule->root.get(), directory, O_PATH | O_DIRECTORY);
    if (fd < 0) {
        parent.error = fd == -EXDEV ? -ENOENT : fd;
    } else {
        parent.handle = FileDescriptor(fd);
    }
    return parent;
}

}  // namespace tinykvm::linux_abi
