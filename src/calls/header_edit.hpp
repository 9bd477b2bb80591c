// The header of a message as a program sees and changes it through the sys_http_ calls. The message itself is
// untouched: changes are collected, and the owner of the message applies them when the program is done.
//
// Thread safety: one thread at a time. Borrows the original lines.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tinykvm::host {

struct HeaderChange {
    enum class Kind { append, set, unset };
    Kind kind = Kind::append;
    std::string line;  // "Name: value"; for unset the bare name
};

// What a change makes of the fields of a message, "Name: value" each.
void apply_change(std::vector<std::string>& lines, const HeaderChange& change);

class HeaderEdit {
  public:
    // The lines must live as long as they are looked at.
    void begin(std::span<const std::string_view> lines);

    // The first field of that name, "Name: value".
    std::optional<std::string_view> find(std::string_view name) const;

    // All fields, as they are now.
    std::vector<std::string> lines() const;

    // Adds a field. Returns its place among all, from 1; or -EINVAL (not a field a message may have) or -ENOSPC.
    long append(std::string_view line);
    // Sets a field, and returns the same. A bare name unsets all fields of that name, and returns the place of the
    // first, 0 when there was none.
    long set(std::string_view line);

    std::vector<HeaderChange> take_changes() { return std::move(changes_); }

  private:
    long change(HeaderChange::Kind kind, std::string_view line, std::string_view name);
    void copy_lines();
    std::size_t position(std::string_view name) const;  // from 1; 0: there is no such field

    std::span<const std::string_view> original_;
    std::vector<std::string> lines_;  // instead of original_ once something was changed
    bool copied_ = false;
    std::vector<HeaderChange> changes_;
    std::size_t changed_bytes_ = 0;
};

}  // namespace tinykvm::host
