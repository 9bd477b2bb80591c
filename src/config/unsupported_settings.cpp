#include "src/config/unsupported_settings.hpp"

#include <nlohmann/json.hpp>

namespace tinykvm::host {

namespace {

using nlohmann::json;

bool is_false(const json& v) { return v == false; }
// NOLINTNEXTLINE(readability-container-size-empty): empty() of a JSON value asks about lists and objects, not strings.
bool is_false_or_empty(const json& v) { return is_false(v) || v == "" || (v.is_structured() && v.empty()); }
bool is_false_or_zero(const json& v) { return is_false(v) || v == 0; }

constexpr Alias other_names[] = {
    {"req_mem_limit_after_reset", "limit_workmem_after_req"},
    {"experimental_keep_working_memory", "ephemeral_keep_working_memory"},
};

constexpr UnsupportedSetting unsupported[] = {
    {"default", "false", is_false},
    {"profiling", "false or 0", is_false_or_zero},
    {"server", "{}", is_false_or_empty},
};

constexpr IgnoredSetting ignored[] = {
    {"dylink_address_hint", "where a dynamic loader goes: a free place is found"},
    {"heap_address_hint", "where the heap goes: a free place is found"},
    {"double_buffered", "two VMs for each that serves: `concurrency` is how many there are"},
    {"max_storage_memory", "how much `storage` may use: `max_memory` counts"},
    {"storage_memory", "how much `storage` may use: `max_memory` counts"},
    {"storage_arguments", "arguments of `storage`: it gets `main_arguments`"},
    {"storage_filename", "the file of `storage`: `storage` names it"},
    {"storage_dylink_address_hint", "where a dynamic loader goes in `storage`: a free place is found"},
    {"storage_1_to_1", "one storage for each request VM: there is one for all"},
    {"storage_serialized", "calls one after the other: they always are"},
};

}  // namespace

std::span<const Alias> aliases() { return other_names; }

std::span<const UnsupportedSetting> unsupported_settings() { return unsupported; }

std::span<const IgnoredSetting> ignored_settings() { return ignored; }

}  // namespace tinykvm::host
