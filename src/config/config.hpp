// How a program is configured: the values. They come from layers (config_layer.hpp): the defaults here, its group, its
// own object.
//
// Thread safety: plain values.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "src/base/checksum.hpp"
#include "src/fetch/host_rules.hpp"
#include "tinykvm/options.hpp"

namespace tinykvm::host {

// Do VMs wait for their next request inside their guest, and how long?
struct Poll {
    bool automatic = false;
    std::chrono::microseconds time{0};  // unless automatic; 0: they do not

    bool operator==(const Poll&) const = default;
};

// Requests a program answers before it is frozen.
struct Warmup {
    unsigned num_requests = 0;
    bool exact = false;  // false: until num_requests in a row were no faster than the fastest
    std::string url = "/", method = "GET";
    std::vector<std::string> headers;  // "Name: value"

    template <typename Archive>
    void archive(Archive& archive) {
        archive(num_requests, exact, url, method, headers);
    }

    bool operator==(const Warmup&) const = default;
};

// What the exit status of a filter means.
struct ExitStatus {
    int exit_status = 0;  // 0 ... 255
    int status = 200;     // of the answer

    bool operator==(const ExitStatus&) const = default;
};

// A file that is there before the program starts, as a copy of what is at the URI.
struct Download {
    std::string uri, path;
    Checksums checksums;

    bool operator==(const Download&) const = default;
};

// The settings of one program, after its group and the defaults. Units are those of the members' types; what
// each means is said in the table of settings.cpp, which is also the documentation of their defaults and ranges.
struct ProgramConfig {
    // What is tried, in order, when a program fails: its error handler, and the body of the request as it came.
    enum class OnError { handler, original };

    // How it is asked: by kvm_api.h, as a filter, or as an HTTP server.
    enum class Protocol { callbacks, stdio, http };

    std::string group = "test";
    std::string filename;
    std::string key;  // of live updates; empty: no key is right
    std::string uri;  // empty: the program is at filename; else it is kept there, if there is a filename
    Checksums checksums;
    std::vector<Download> downloads;
    bool start = false;
    std::string cold_start_file;  // of its snapshot; empty: none
    unsigned concurrency = 2;
    std::chrono::microseconds max_boot_time = std::chrono::seconds(16);
    std::chrono::microseconds max_request_time = std::chrono::seconds(8);
    std::chrono::microseconds max_queue_time = std::chrono::seconds(60);
    std::size_t max_memory = std::size_t{256} << 20;
    std::size_t max_request_memory = std::size_t{64} << 20;
    std::size_t limit_workmem_after_req = 0;  // 0: no limit
    std::size_t shared_memory = 0;
    std::size_t address_space = std::size_t{3} << 30;  // as configured; effective_address_space() is what counts
    bool storage = false;
    std::string storage_file;  // empty: the program's own
    std::string state_file;    // of the storage; empty: it keeps none
    std::size_t max_state_file = std::size_t{16} << 20;
    std::chrono::microseconds max_storage_time = std::chrono::seconds(10);
    unsigned smp = 1;  // CPUs of a VM; 0 counts as 1
    unsigned max_threads = 64;
    unsigned max_open_files = 1024;
    std::vector<GuestRange> remapping, executable_remapping, blackout_area;
    bool relocate_fixed_mmap = false;
    bool executable_heap = false;
    bool mmap_backed_files = true;
    bool ephemeral_keep_working_memory = true;
    bool transparent_hugepages = false;
    bool hugepages = false;
    std::size_t hugepage_arena_size = 0;
    std::size_t request_hugepage_arena_size = 0;
    bool request_hugepages = false;
    Protocol protocol = Protocol::callbacks;
    std::string listen;        // of a server: a port, a path, or '@' and a name; empty: wherever it listens
    std::string content_type;  // of answers; empty: that of the request
    std::vector<ExitStatus> exit_statuses;
    bool websocket_server = false;  // a server that vcl_pipe may give connections
    std::chrono::microseconds max_connection_time = std::chrono::hours(1);
    std::chrono::microseconds max_idle_time = std::chrono::seconds(60);  // of such a connection
    bool cgi = false;           // of a filter: the environment and the header block of RFC 3875
    std::string input, output;  // of a filter: in-memory files instead of its standard streams; empty: these
    std::vector<std::string> main_arguments;
    unsigned max_argument = 4096;  // bytes, with the zero at its end; of an argument with a placeholder
    std::vector<std::string> environment;
    std::vector<PathRule> allowed_paths;
    std::vector<std::string> writable_memory;  // directories of in-memory files, besides /tmp and /dev/shm
    HostRules allowed_hosts;
    std::string current_working_directory = "/";
    bool ephemeral = true;
    bool soft_reset = true;
    bool control_ephemeral = false;
    Poll poll;
    std::vector<OnError> on_error = {OnError::handler};
    Warmup warmup;
    bool allow_debug = false;
    bool remote_debug_on_exception = false;
    unsigned debug_port = 2159;  // of 127.0.0.1; 0: any that is free
    std::chrono::microseconds max_debug_wait = std::chrono::seconds(30);
    std::chrono::microseconds max_debug_time = std::chrono::hours(1);
    bool debug_start = false;  // no setting: tinykvm.start() with debug; gdb is waited for before the first instruction
    bool is_storage = false;   // no setting: these are the settings of a program's storage
    bool verbose = false;
    bool verbose_syscalls = false;
    bool verbose_pagetables = false;
    bool standard_output = false;

    bool operator==(const ProgramConfig&) const = default;

    // What the program's storage runs with: one VM, which is never reset and may use all of the program's memory.
    ProgramConfig of_storage() const;

    // A filter ends with its request, so there is nothing that could stay.
    bool is_ephemeral() const { return ephemeral || protocol == Protocol::stdio; }
    // May the program change that?
    bool may_change_ephemeral() const { return control_ephemeral && protocol == Protocol::callbacks; }
    bool may_be_debugged() const { return allow_debug || remote_debug_on_exception; }
    // There is always room for the memory that may be used.
    std::size_t effective_address_space() const { return std::max(address_space, max_memory); }
};

}  // namespace tinykvm::host
