// Absolute paths as texts.
//
// Thread safety: pure functions.
#pragma once

#include <string_view>

namespace tinykvm::host {

// Is it the path of the tree, which may end in a slash, or of something in it?
inline bool is_at_or_below(std::string_view path, std::string_view tree) {
    return path.starts_with(tree) && (path.size() == tree.size() || tree.ends_with('/') || path[tree.size()] == '/');
}

// Is one of its parts ".."?
inline bool climbs(std::string_view path) {
    return path.find("/../") != std::string_view::npos || path.ends_with("/..");
}

}  // namespace tinykvm::host
