#include "src/config/json_text.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

using nlohmann::json;

// No setting needs more; copying and printing a value are recursive, on a server's stack.
constexpr int max_depth = 32;

// Makes a whole number of one like 64.0. Beyond most_exact a number has no exact value.
void make_whole(json& value) {
    constexpr double most_exact = std::uint64_t{1} << 53;
    if (!value.is_number_float()) {
        return;
    }
    const double number = value.get<double>();
    if (std::trunc(number) != number || std::abs(number) > most_exact) {
        return;
    }
    if (number < 0) {
        value = static_cast<std::int64_t>(number);
    } else {
        value = static_cast<std::uint64_t>(number);
    }
}

// Looks at a text while it is parsed. Keeps the keys of every object that is open, because json itself lets the last of
// several win.
class TextCheck {
  public:
    TextCheck(const ConfigErrorContext& context, const DuplicateKey& duplicate)
        : context_(context), duplicate_(duplicate) {}

    bool operator()(int depth, json::parse_event_t event, json& parsed) {
        const bool is_object = event == json::parse_event_t::object_start;
        if (depth >= max_depth && (is_object || event == json::parse_event_t::array_start)) {
            context_.about_text("objects and lists are more than " + std::to_string(max_depth) + " deep");
        }
        if (event == json::parse_event_t::value) {
            make_whole(parsed);
        } else if (is_object) {
            open_.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
            open_.pop_back();
        } else if (event == json::parse_event_t::key) {
            take_key(parsed.get_ref<const std::string&>());
        }
        return true;
    }

  private:
    void take_key(const std::string& key) {
        if (open_.size() == 1) {
            outermost_ = key;
        }
        if (!open_.empty() && !open_.back().insert(key).second) {
            duplicate_(key, open_.size() == 1 ? std::string() : outermost_);
        }
    }

    const ConfigErrorContext& context_;
    const DuplicateKey& duplicate_;
    std::vector<std::set<std::string>> open_;
    std::string outermost_;
};

}  // namespace

json parse_json(std::string_view text, const ConfigErrorContext& context, const DuplicateKey& duplicate) {
    try {
        return json::parse(text, TextCheck(context, duplicate), true, true);
    } catch (const json::exception& error) {
        // After "[json.exception.parse_error.101] " the library says where and what.
        std::string_view what = error.what();
        if (const std::size_t end = what.find("] "); end != std::string_view::npos) {
            what.remove_prefix(end + 2);
        }
        context.about_text("it is not JSON: " + printable(what, 300));
    }
}

}  // namespace tinykvm::host
