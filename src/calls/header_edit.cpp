#include "src/calls/header_edit.hpp"

#include <algorithm>
#include <cerrno>

#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

// The original lines come from an HTTP parser: "Name: value", perhaps without the space.

template <typename Lines>
std::optional<std::string_view> find_in(const Lines& lines, std::string_view name) {
    for (const std::string_view line : lines) {
        if (is_field(line, name)) {
            return line;
        }
    }
    return std::nullopt;
}

void remove_from(std::vector<std::string>& lines, std::string_view name) {
    std::erase_if(lines, [&](const std::string& line) { return is_field(line, name); });
}

}  // namespace

void apply_change(std::vector<std::string>& lines, const HeaderChange& change) {
    if (change.kind != HeaderChange::Kind::append) {
        remove_from(lines, name_of(change.line));
    }
    if (change.kind != HeaderChange::Kind::unset) {
        lines.push_back(change.line);
    }
}

void HeaderEdit::begin(std::span<const std::string_view> lines) {
    original_ = lines;
    lines_.clear();
    copied_ = false;
    changes_.clear();
    changed_bytes_ = 0;
}

std::optional<std::string_view> HeaderEdit::find(std::string_view name) const {
    return copied_ ? find_in(lines_, name) : find_in(original_, name);
}

std::vector<std::string> HeaderEdit::lines() const {
    return copied_ ? lines_ : std::vector<std::string>(original_.begin(), original_.end());
}

void HeaderEdit::copy_lines() {
    if (!copied_) {
        lines_.assign(original_.begin(), original_.end());
        copied_ = true;
    }
}

long HeaderEdit::change(HeaderChange::Kind kind, std::string_view line, std::string_view name) {
    if (is_framing_field(name)) {
        return -EINVAL;
    }
    if (changes_.size() >= max_fields || changed_bytes_ + line.size() > max_fields_bytes) {
        return -ENOSPC;
    }
    copy_lines();
    const std::size_t before = position(name);
    changes_.push_back({kind, std::string(line)});
    apply_change(lines_, changes_.back());
    changed_bytes_ += line.size();
    return static_cast<long>(kind == HeaderChange::Kind::unset ? before : lines_.size());
}

std::size_t HeaderEdit::position(std::string_view name) const {
    const auto found =
        std::find_if(lines_.begin(), lines_.end(), [&](const std::string& line) { return is_field(line, name); });
    return found == lines_.end() ? 0 : static_cast<std::size_t>(found - lines_.begin()) + 1;
}

long HeaderEdit::append(std::string_view line) {
    std::string why;
    const auto parts = parse_field(line, why);
    return parts ? change(HeaderChange::Kind::append, line, parts->name) : -EINVAL;
}

long HeaderEdit::set(std::string_view line) {
    std::string why;
    if (!HttpField::split(line)) {
        return is_field_name(line) ? change(HeaderChange::Kind::unset, line, line) : -EINVAL;
    }
    const auto parts = parse_field(line, why);
    return parts ? change(HeaderChange::Kind::set, line, parts->name) : -EINVAL;
}

}  // namespace tinykvm::host
