// The long way to resolve a path: one component at a time, following links in the guest's namespace.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>

#include "tinykvm/linux/guest_file_system.hpp"

namespace tinykvm::linux_abi {

namespace {

constexpr int max_links = 40;  // as Linux
// Links can multiply components; this bounds the host calls one path may cost.
constexpr int max_steps = 512;

void put_before(std::deque<std::string>& pending, std::string_view path) {
    const auto components = path_components(path);
    pending.insert(pending.begin(), components.begin(), components.end());
}

bool asks_for_directory(std::string_view path) {
    return path.ends_with("/") || path.ends_with("/.") || path == "." || path.ends_with("/..") || path == "..";
}

}  // namespace

std::string GuestFileSystem::read_target(const Location& link) {
    if (link.kind == Location::Kind::link || link.kind == Location::Kind::memory) return link.target;
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat(link.handle.get(), "", target, sizeof target);
    return length > 0 && length < PATH_MAX ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

GuestFileSystem::Location GuestFileSystem::walk(const ProcessState& process, std::string_view base,
                                                std::string_view path, Last last) const {
    std::string here(path[0] == '/' ? "/" : base);
    std::deque<std::string> pending;
    put_before(pending, path);
    const bool wants_directory = asks_for_directory(path);
    bool directory = wants_directory;
    int links = 0;

    Location found;
    bool fresh = false;  // `found` is what is at `here`
    for (int steps = 0; !pending.empty(); ++steps) {
        if (steps == max_steps) return Location::missing(-ELOOP);
        const std::string component = std::move(pending.front());
        pending.pop_front();
        if (component == "..") {
            here = std::string(parent_path(here));
            fresh = false;
            continue;
        }
        std::string next = join_path(here, component);
        if (next.size() >= longest_resolved_path) return Location::missing(-ENAMETOOLONG);
        found = look(process, next);
        fresh = true;
        const bool is_last = pending.empty();

        if (found.is_link() && (!is_last || directory || last == Last::follow)) {
            if (++links > max_links) return Location::missing(-ELOOP);
            const std::string target = read_target(found);
            if (target.empty()) return Location::missing(-ENOENT);
            if (target[0] == '/') here = "/";
            if (is_last && asks_for_directory(target)) directory = true;
            put_before(pending, target);
            fresh = false;
            continue;
        }
        if (!found.exists()) {
            if (is_last) {
                found.ended_with_slash = directory;
                return found;
            }
            Location missing = Location::missing(found.error);
            missing.path = std::move(found.path);
            missing.refusal = found.refusal;
            return missing;
        }
        if (!is_last && !found.is_directory()) {
            return Location::missing(-ENOTDIR);
        }
        here = std::move(next);
    }
    if (!fresh) found = look(process, here);
    found.ended_with_slash = directory;
    if (directory && found.exists() && !found.is_directory()) return Location::missing(-ENOTDIR);
    return found;
}

GuestFileSystem::Verdict GuestFileSystem::judge(const ProcessState& process, std::string_view base,
                                                std::string_view path) const {
    std::string here(!path.empty() && path[0] == '/' ? "/" : base);
    std::deque<std::string> pending;
    put_before(pending, path);
    for (int links = 0; !pending.empty();) {
        const std::string component = std::move(pending.front());
        pending.pop_front();
        if (component == "..") {
            here = std::string(parent_path(here));
            continue;
        }
        std::string next = join_path(here, component);
        if (next.size() >= longest_resolved_path) return Verdict::nowhere;
        const auto rule = rules_.find(next);
        const std::string target =
            rule != rules_.end() && rule->second.link ? rule->second.target : find_pseudo_file(process, next).target;
        if (!target.empty()) {
            if (++links > max_links) return Verdict::nowhere;
            if (target[0] == '/') here = "/";
            put_before(pending, target);
            continue;
        }
        here = std::move(next);
    }
    if (memory_place(here)) return Verdict::writable;
    // Devices may be written to, and each system call refuses what cannot be done with the other pseudo files.
    if (find_pseudo_file(process, here).kind != PseudoFile::Kind::none) return Verdict::writable;
    std::string path_in_rule;
    const Rule* rule = find_rule(here, path_in_rule);
    if (!rule || !rule->root) {
        if (is_ancestor(here)) return Verdict::read_only;
        return is_ancestor(std::string(parent_path(here))) ? Verdict::not_in_directory : Verdict::nowhere;
    }
    return rule->writable ? Verdict::writable : Verdict::read_only;
}

}  // namespace tinykvm::linux_abi
