// How a program is configured: values, and the layers they come from (defaults, its group, its own object).
//
// Thread safety: plain values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/checksum.hpp"
#include "src/base/config_error.hpp"
#include "src/fetch/host_rules.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::host {

// Do VMs wait for their next request inside their guest, and how long?
struct Poll {
    bool automatic = false;
    std::chrono::microseconds time{0};  // unless automatic; 0: they do not
};

// Requests a program answers before it is frozen.
struct Warmup {
    unsigned num_requests = 0;
    bool exact = false;  // else num_requests is how many in a row must be no faster than one before
    std::string url = "/", method = "GET";
    std::vector<std::string> headers;  // "Name: value"
};

// A file that is there before the program starts, as a copy of what is at the URI.
struct Download {
    std::string uri, path;
    Checksums checksums;
};

// The settings of one program, after its group and the defaults. Units are those of the members' types; what
// each means is said in the table of settings.cpp, which is also the documentation.
struct ProgramConfig {
    // What is tried, in order, when a program fails: its error handler, and the body of the request as it came.
    enum class OnError { handler, original };

    std::string group = "test";
    std::string filename;
    std::string key;  // of live updates; empty: none fits
    std::string uri;  // empty: the program is at filename; else it is kept there, if there is a filename
    Checksums checksums;
    std::vector<Download> downloads;
    bool start = false;
    unsigned concurrency = 2;
    std::chrono::microseconds max_boot_time = std::chrono::seconds(16);
    std::chrono::microseconds max_request_time = std::chrono::seconds(8);
    std::chrono::microseconds max_queue_time = std::chrono::seconds(60);
    std::size_t max_memory = std::size_t{256} << 20;
    std::size_t max_request_memory = std::size_t{64} << 20;
    std::size_t limit_workmem_after_req = 0;  // 0: no limit
    std::size_t shared_memory = 0;
    std::size_t address_space = std::size_t{3} << 30;  // as it was said: effective_address_space() is what counts
    unsigned max_threads = 64;
    std::vector<AddressRange> remapping, executable_remapping, blackout_area;
    bool relocate_fixed_mmap = false;
    bool executable_heap = false;
    bool mmap_backed_files = true;
    bool ephemeral_keep_working_memory = true;
    bool transparent_hugepages = false;
    bool hugepages = false;
    std::size_t hugepage_arena_size = 0;
    std::size_t request_hugepage_arena_size = 0;
    bool request_hugepages = false;
    std::vector<std::string> main_arguments;
    std::vector<std::string> environment;
    std::vector<PathRule> allowed_paths;
    HostRules allowed_hosts;
    std::string current_working_directory = "/";
    bool ephemeral = true;
    bool soft_reset = true;
    bool control_ephemeral = false;
    Poll poll;
    std::vector<OnError> on_error = {OnError::handler};
    Warmup warmup;
    bool verbose = false;
    bool standard_output = false;

    // Room for what may be used.
    std::size_t effective_address_space() const { return std::max(address_space, max_memory); }
};

// What is wrong with the settings together, as "key ...: value ...: why"; empty: nothing.
std::string combination_problem(const ProgramConfig& config);

// What one JSON object sets, checked but not yet applied.
class ConfigLayer {
  public:
    // Comments are allowed. `name` is the program or group it is for. Throws ConfigError.
    static ConfigLayer parse(std::string_view name, std::string_view json);
    // Throws nothing: what is wrong with the object is the layer's mistake.
    static ConfigLayer from(std::string_view name, const nlohmann::json& object);
    // The first thing that is wrong with what the object sets, as ConfigError says it; empty: nothing. A layer with a
    // mistake still tells which group it names and whether it is that of a program.
    const std::string& mistake() const { return mistake_; }

    void apply(ProgramConfig& config) const;
    // Empty when the object does not name one.
    const std::string& group() const { return group_; }
    // Does it say where a program is? Else it is a group, or adds to what was said elsewhere.
    bool defines_program() const { return defines_program_; }
    // `newer` on top of this.
    void add(ConfigLayer newer);

  private:
    std::vector<std::function<void(ProgramConfig&)>> assignments_;
    friend std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view json);
    void take(std::string_view name, std::string_view key, nlohmann::json value);

    std::string group_;
    bool defines_program_ = false;
    std::string mistake_;
};

// The objects of a library, an object of such objects, under their names. What is wrong with one of them is the mistake
// of its layer. Throws ConfigError when the document as a whole is not of that form.
std::map<std::string, ConfigLayer, std::less<>> parse_library(std::string_view json);

}  // namespace tinykvm::host
