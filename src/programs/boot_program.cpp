#include "src/programs/boot_program.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/path.hpp"
#include "src/calls/cgi_environment.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/guest_output.hpp"
#include "src/programs/cold_start.hpp"
#include "src/programs/page_table_lines.hpp"
#include "src/programs/warmup.hpp"
#include "src/source/local_copy.hpp"
#include "src/source/program_source.hpp"
#include "src/vms/program_debugger.hpp"
#include "src/vms/state_file.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {

namespace {

using Protocol = ProgramConfig::Protocol;

// Where a storage sees its state_file. The directory is its own, so that it can make another file beside it and rename
// that.
constexpr char state_directory[] = "/var/lib/tinykvm", state_path[] = "/var/lib/tinykvm/state";

bool is_filter(const ProgramConfig& config) { return config.protocol == Protocol::stdio; }
bool is_server(const ProgramConfig& config) { return config.protocol == Protocol::http; }

// What a program does when it is ready, for messages.
std::string awaited(const ProgramConfig& config) {
    switch (config.protocol) {
        case Protocol::callbacks: return "call wait_for_requests()";
        case Protocol::stdio: return "read its standard input";
        case Protocol::http: break;
    }
    return config.listen.empty() ? "wait for a connection" : "wait for a connection at " + config.listen;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) {
        all += (all.empty() ? "" : ", ") + text;
    }
    return all;
}

// A port for IPv4 and the same one for IPv6 are one place to connect to.
std::size_t count_places(const std::vector<std::string>& names) {
    std::vector<std::string> places;
    for (const std::string& name : names) {
        const bool is_unix = name[0] == '/' || name[0] == '@';
        places.push_back(is_unix ? name : name.substr(name.rfind(':')));
    }
    std::sort(places.begin(), places.end());
    return static_cast<std::size_t>(std::unique(places.begin(), places.end()) - places.begin());
}

bool has_entry(const std::vector<std::string>& environment, std::string_view beginning) {
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& entry) { return entry.starts_with(beginning); });
}

bool reaches(const std::vector<PathRule>& rules, std::string_view path) {
    return std::any_of(rules.begin(), rules.end(), [&](const PathRule& rule) {
        return rule.prefix ? is_at_or_below(path, rule.virtual_path) : path == rule.virtual_path;
    });
}

// Programs may look for a user and a locale, as they are there on every other system. LC_ALL would win against each of
// the other names of a locale.
std::vector<std::string> environment_for(const std::string& name, const ProgramConfig& config) {
    const bool keeps_state = config.is_storage && !config.state_file.empty();
    std::vector<std::string> entries;
    if (!has_entry(config.environment, "LC_") && !has_entry(config.environment, "LANG=") &&
        !has_entry(config.environment, "LANGUAGE=")) {
        entries.emplace_back("LC_ALL=C");
    }
    if (!has_entry(config.environment, "USER=")) {
        entries.emplace_back("USER=nobody");
    }
    // Without a time zone the C library takes UTC, but others (ICU) look through all there are, for each request anew.
    if (!has_entry(config.environment, "TZ=") && !reaches(config.allowed_paths, "/etc/localtime")) {
        entries.emplace_back("TZ=UTC");
    }
    entries.insert(entries.end(), {"KVM_NAME=" + name, "KVM_GROUP=" + config.group,
                                   config.is_storage ? "KVM_TYPE=storage" : "KVM_TYPE=request",
                                   keeps_state ? std::string("KVM_STATE=") + state_path : "KVM_STATE=",
                                   config.debug_start ? "KVM_DEBUG=1" : "KVM_DEBUG=0"});
    entries.insert(entries.end(), config.environment.begin(), config.environment.end());
    return entries;
}

Options options_for(const std::string& name, const ProgramConfig& config) {
    Options options;
    options.program_name = name;  // no '/' in it: how older programs know that they are in a sandbox
    options.arguments = config.main_arguments;
    options.environment = environment_for(name, config);
    options.working_directory = config.current_working_directory;
    options.allowed_paths = config.allowed_paths;
    options.memory_directories.insert(options.memory_directories.end(), config.writable_memory.begin(),
                                      config.writable_memory.end());
    options.max_memory = config.max_memory;
    options.max_request_memory = config.max_request_memory;
    options.max_creation_time = config.max_boot_time;
    options.shared_memory = config.shared_memory;
    options.max_address_space = config.effective_address_space();
    options.cpus = std::max(config.smp, 1U);
    options.max_threads = config.max_threads;
    options.max_open_files = config.max_open_files;
    options.addresses_on_request = config.remapping;
    options.addresses_on_request.insert(options.addresses_on_request.end(), config.executable_remapping.begin(),
                                        config.executable_remapping.end());
    options.closed_addresses = config.blackout_area;
    options.relocate_fixed_mappings = config.relocate_fixed_mmap;
    options.executable_heap = config.executable_heap;
    options.share_mapped_files = config.mmap_backed_files;
    options.note_files = !config.cold_start_file.empty();
    if (!config.ephemeral_keep_working_memory) {
        options.max_kept_memory = 0;
    } else if (config.limit_workmem_after_req != 0) {
        options.max_kept_memory = config.limit_workmem_after_req;
    }
    options.transparent_huge_pages = config.transparent_hugepages;
    options.huge_page_arena = config.hugepage_arena_size;
    if (config.hugepages && config.hugepage_arena_size == 0) {
        options.huge_page_arena = config.max_memory;
    }
    options.request_huge_page_arena = config.request_hugepage_arena_size;
    if (config.request_hugepages && config.request_hugepage_arena_size == 0) {
        options.request_huge_page_arena = config.max_request_memory;
    }
    if (config.cgi) {
        options.environment_slots = max_cgi_variables;
        options.environment_room = max_cgi_bytes;
        options.environment_filler = cgi_interface;
    }
    GuestOutput::connect(options, config);
    options.listen = config.listen;
    return options;
}

std::string seconds_text(std::chrono::microseconds time) {
    std::string text = std::to_string(static_cast<double>(time.count()) / 1e6);
    text.erase(text.find_last_not_of('0') + 1);
    return (text.back() == '.' ? text.substr(0, text.size() - 1) : text) + " s";
}

GuestCalls::Environment environment_of(const ProgramConfig& config, const GuestServices& services,
                                       const BootControl& control) {
    GuestCalls::Environment environment = GuestCalls::environment_of(config);
    environment.services = services;
    environment.pool = &control;
    return environment;
}

// Attaches output to this thread as long as the program boots.
struct AttachedOutput {
    explicit AttachedOutput(GuestOutput& output) { GuestOutput::attach(&output); }
    ~AttachedOutput() { GuestOutput::attach(nullptr); }
};

// One program on its way to its snapshot, on the thread that boots it.
class ProgramBoot {
  public:
    ProgramBoot(const std::string& name, const ProgramConfig& config, const std::function<void(std::string_view)>& log,
                BootControl& control, const GuestServices& services, std::shared_ptr<StorageState> state,
                std::shared_ptr<const StorageBytes> handed_over)
        : name_(name),
          config_(config),
          control_(control),
          state_(std::move(state)),
          handed_over_(std::move(handed_over)),
          calls_(environment_of(config, services, control)),
          output_(log) {
        calls_.begin_boot(log);
        output_.log_output(config.standard_output);
        if (config.may_be_debugged()) {
            debugger_.emplace(config, log);
        }
        if (is_server(config)) {
            output_.use(connection_);
        }
        if (is_filter(config)) {
            output_.use(streams_);
            arguments_ = std::vector<ArgumentTemplate>(config.main_arguments.begin(), config.main_arguments.end());
            stops_at_entry_ = std::any_of(arguments_.begin(), arguments_.end(),
                                          [](const ArgumentTemplate& one) { return one.has_placeholder(); }) ||
                              !config.input.empty() || !config.output.empty() || config.cgi;
        }
    }

    // Throws what ends a boot.
    std::shared_ptr<BootedProgram> boot(const std::shared_ptr<const Program>& binary) {
        const AttachedOutput attached(output_);
        const Deadline deadline = Clock::now() + config_.max_boot_time;
        auto program = run(binary, deadline);
        if (!program) {
            calls_.note(
                "the program ended without reading its standard input, so each request runs it from its entry point");
            stops_at_entry_ = true;
            program = run(binary, deadline);
        }
        return program;
    }

    // Its end by the exception that is being handled.
    Failure failure();

  private:
    std::shared_ptr<BootedProgram> run(const std::shared_ptr<const Program>& binary, Deadline deadline);
    void keep_state(Options& options) const;
    void lay_out_state(Machine& machine) const;
    void take_over(Machine& machine, Deadline deadline);
    Stop run_until_ready(Machine& machine, Deadline deadline);
    void expect_ready(const Stop& stop);
    void expect_filter(const Stop& stop) const;
    void check_files(Machine& machine) const;
    void expect_server(const Stop& stop) const;
    std::vector<BootedProgram::ArgumentPlace> argument_places(const Machine& machine) const;

    const std::string& name_;
    const ProgramConfig& config_;
    BootControl& control_;
    const std::shared_ptr<StorageState> state_;              // null: it is no storage that keeps one
    const std::shared_ptr<const StorageBytes> handed_over_;  // by the program that it replaces; null: nothing
    GuestCalls calls_;
    ServerConnection connection_;         // of a server
    std::vector<std::string> listening_;  // of a server: where it does, when it stood still last
    StandardStreams streams_;             // of a filter, as `arguments_` and `stops_at_entry_`
    GuestOutput output_;
    std::vector<ArgumentTemplate> arguments_;
    bool stops_at_entry_ = false;  // it is frozen there
    std::string warmup_request_;   // that it is in, or another call of the host
    std::optional<ProgramDebugger> debugger_;
};

// Null: a filter that ended well without reading anything.
std::shared_ptr<BootedProgram> ProgramBoot::run(const std::shared_ptr<const Program>& binary, Deadline deadline) {
    streams_.begin({}, config_.max_memory, "max_memory");
    Options options = options_for(name_, config_);
    options.stop_at_entry = stops_at_entry_;
    options.argument_room = stops_at_entry_ ? config_.max_argument : 0;
    keep_state(options);
    auto owned = std::make_unique<Machine>(binary, std::move(options));
    Machine& machine = *owned;
    lay_out_state(machine);
    std::optional<RunningMachine> running(std::in_place, control_, machine);
    if (debugger_) {
        machine.debug(*debugger_);
    }
    const Stop stop = run_until_ready(machine, deadline + machine.debugged_time());
    output_.flush();
    if (is_filter(config_)) {
        if (stop.reason == Stop::Reason::exited && stop.exit_status == 0 && !stops_at_entry_) {
            machine.end_debugging();
            return nullptr;
        }
        expect_filter(stop);
        check_files(machine);
    } else {
        is_server(config_) ? expect_server(stop) : expect_ready(stop);
        take_over(machine, deadline + machine.debugged_time());
        warm_up({machine, calls_, is_server(config_) ? &connection_ : nullptr}, config_.warmup,
                deadline + machine.debugged_time(), warmup_request_);
        output_.flush();
    }
    running.reset();
    machine.end_debugging();
    if (config_.verbose_pagetables) {
        for (const std::string& line : page_table_lines(machine.memory().mapped_ranges(), max_log_lines_of_calls)) {
            calls_.note(line);
        }
    }
    const auto written = streams_.output();
    auto places = argument_places(machine);
    const EnvironmentPlaces environment = config_.cgi ? machine.environment_places() : EnvironmentPlaces{};
    auto snapshot = std::move(machine).freeze();
    control_.keep(std::move(owned));
    return std::make_shared<BootedProgram>(BootedProgram{.name = name_,
                                                         .config = config_,
                                                         .registration = calls_.registration(),
                                                         .snapshot = std::move(snapshot),
                                                         .services = calls_.services(),
                                                         .binary = binary,
                                                         .state = state_,
                                                         .arguments = std::move(places),
                                                         .environment = environment,
                                                         .output = {written.begin(), written.end()},
                                                         .connection = connection_.kept()});
}

void ProgramBoot::keep_state(Options& options) const {
    if (state_) {
        options.memory_directories.emplace_back(state_directory);
        options.kept_file = {state_path, state_->max_size(),
                             [state = state_](StorageBytes bytes, const std::function<void()>& check) {
                                 return state->save(std::move(bytes), check);
                             }};
    }
}

void ProgramBoot::lay_out_state(Machine& machine) const {
    const auto bytes = state_ ? state_->read() : std::nullopt;
    if (const int error = bytes ? machine.append_to_file(state_path, *bytes) : 0; error != 0) {
        throw Failure(FailureKind::not_ready, "its state_file cannot be put at " + std::string(state_path) + ": " +
                                                  std::strerror(-error) +
                                                  (error == -EROFS ? "; that must not be one of allowed_paths" : ""));
    }
}

void ProgramBoot::take_over(Machine& machine, Deadline deadline) {
    const GuestAddr function = calls_.registration().callback(abi::Callback::live_restore);
    if (!handed_over_ || function == 0 || calls_.registration().waiting != Registration::Waiting::callbacks) {
        return;
    }
    warmup_request_ = "in on_live_restore";
    calls_.begin_restore(*handed_over_);
    const std::array<std::uint64_t, 1> arguments{handed_over_->size()};
    const Stop stop = machine.call(function, arguments, calls_, deadline);
    if (stop.reason == Stop::Reason::exited) {
        throw Failure(FailureKind::not_ready,
                      "the program ended itself with status " + std::to_string(stop.exit_status));
    }
    warmup_request_.clear();
    output_.flush();
}

Stop ProgramBoot::run_until_ready(Machine& machine, Deadline deadline) {
    try {
        const Stop stop = machine.run(&calls_, deadline);
        listening_ = machine.listening();
        return stop;
    } catch (const Timeout&) {
        listening_ = machine.listening();
        throw;
    }
}

void ProgramBoot::expect_server(const Stop& stop) const {
    if (stop.reason == Stop::Reason::exited) {
        throw Failure(FailureKind::not_ready, "the program exited with status " + std::to_string(stop.exit_status) +
                                                  " instead of waiting for connections");
    }
    if (stop.reason != Stop::Reason::needs_input) {
        throw Failure(
            FailureKind::not_ready,
            "the program calls wait_for_requests(), which is for the protocol \"callbacks\"; its is \"http\"");
    }
    if (config_.listen.empty() && count_places(listening_) > 1) {
        throw Failure(FailureKind::not_ready, "the program waits for connections in several places (" +
                                                  joined(listening_) +
                                                  "); \"listen\" has to say which is for requests");
    }
}

void ProgramBoot::expect_ready(const Stop& stop) {
    if (stop.reason == Stop::Reason::exited) {
        throw Failure(FailureKind::not_ready, "the program exited with status " + std::to_string(stop.exit_status) +
                                                  " instead of calling wait_for_requests()");
    }
    const Registration& registration = calls_.registration();
    if (registration.waiting == Registration::Waiting::callbacks && !config_.is_storage &&
        std::all_of(registration.callbacks.begin(), registration.callbacks.end(),
                    [](GuestAddr address) { return address == 0; })) {
        calls_.note("the program waits for requests but registered no callback: each of them gets a 501");
    }
}

void ProgramBoot::expect_filter(const Stop& stop) const {
    if (stop.reason == Stop::Reason::exited) {
        throw Failure(FailureKind::not_ready, "the program exited with status " + std::to_string(stop.exit_status) +
                                                  " instead of reading its standard input");
    }
    if (stop.reason != Stop::Reason::needs_input && stop.reason != Stop::Reason::at_entry) {
        throw Failure(
            FailureKind::not_ready,
            "the program calls wait_for_requests(), which is for the protocol \"callbacks\"; its is \"stdio\"");
    }
    if (config_.warmup.num_requests != 0) {
        throw Failure(FailureKind::not_ready,
                      "\"warmup\" is for programs that answer more than one request; with the protocol \"stdio\" none "
                      "does");
    }
}

// The input file is made, so that a body of no bytes is one, too.
void ProgramBoot::check_files(Machine& machine) const {
    if (config_.input.empty()) {
        return;
    }
    if (const int error = machine.append_to_file(config_.input, {}); error != 0) {
        throw Failure(FailureKind::not_ready,
                      "the file for its input, " + config_.input + ", cannot be made (" + std::strerror(-error) +
                          "); it has to be in /tmp, /dev/shm or a directory of writable_memory (input)");
    }
}

std::vector<BootedProgram::ArgumentPlace> ProgramBoot::argument_places(const Machine& machine) const {
    std::vector<BootedProgram::ArgumentPlace> places;
    if (!stops_at_entry_) {
        return places;
    }
    const std::vector<GuestAddr> addresses = machine.argument_addresses();
    for (std::size_t i = 0; i < arguments_.size(); i++) {
        if (arguments_[i].has_placeholder()) {
            places.push_back({i, arguments_[i], addresses.at(i + 1)});
        }
    }
    return places;
}

Failure ProgramBoot::failure() {
    const std::string where = warmup_request_.empty() ? "while it booted" : warmup_request_;
    std::string why, report;
    try {
        throw;
    } catch (const GuestFault& fault) {
        why = "the program crashed " + where + ": " + fault.what();
        report = fault.report();
    } catch (const Interrupted&) {
        why = "the boot was cancelled";
    } catch (const Timeout&) {
        why = (warmup_request_.empty() ? "the program did not " + awaited(config_) + " within max_boot_time ("
                                       : "the program was " + warmup_request_ + " at the end of max_boot_time (") +
              seconds_text(config_.max_boot_time) + ")";
        if (is_server(config_)) {
            why += listening_.empty() ? "; it listens nowhere" : "; it listens at " + joined(listening_);
        }
    } catch (const OutOfMemory& error) {
        why = where + ": " + error.what();
    } catch (const std::exception& error) {
        why = (warmup_request_.empty() ? "" : warmup_request_ + ": ") + error.what();
    }
    output_.flush();
    if (!output_.last_line().empty()) {
        why += "; its last words: " + printable(output_.last_line(), 200);
    }
    return {FailureKind::not_ready, why, report};
}

std::shared_ptr<const Program> obtain(const std::string& name, const ProgramConfig& config,
                                      const std::function<void(std::string_view)>& log, BootControl& control) {
    try {
        return obtain_program(name, config, log, [&control] { return control.cancelled(); });
    } catch (const std::exception& error) {
        throw Failure(FailureKind::not_ready, error.what());
    }
}

void read(const Program& binary, BootControl& control) {
    const CancellableDeadline until{{}, [&control] { return control.cancelled(); }};
    try {
        binary.read([&until] { until.require_wanted(); });
    } catch (const std::exception& error) {
        throw Failure(FailureKind::not_ready, error.what());
    }
}

// Boots one program, which is a storage when its settings say so; then with its state, if it keeps one.
std::shared_ptr<BootedProgram> boot_one(const std::string& name, const ProgramConfig& config,
                                        const std::shared_ptr<const Program>& binary,
                                        const std::function<void(std::string_view)>& log, BootControl& control,
                                        const GuestServices& services, const std::shared_ptr<StorageState>& state,
                                        const std::shared_ptr<const StorageBytes>& handed_over = nullptr) {
    ProgramBoot boot(name, config, log, control, services, state, handed_over);
    try {
        return boot.boot(binary);
    } catch (...) {
        throw boot.failure();
    }
}

// Boots a storage that has lost what it had in memory: with the state that it has saved.
class StorageReboot final : public StorageBoot {
  public:
    std::shared_ptr<const BootedProgram> boot(const BootedProgram& first,
                                              const std::function<void(std::string_view)>& log) override {
        auto booted = boot_one(first.name, first.config, first.binary, log, control_, first.services, first.state);
        control_.end_machine();
        return booted;
    }
    void cancel() override { control_.cancel(); }

  private:
    BootControl control_;
};

std::shared_ptr<StorageState> state_of(const std::string& name, const ProgramConfig& config,
                                       const GuestServices& services) {
    if (config.state_file.empty()) {
        return nullptr;
    }
    return std::make_shared<StorageState>(StateFile::at(config.state_file, name), config.max_state_file,
                                          [name, log = services.log](std::string_view line) {
                                              if (log != nullptr) {
                                                  log(name, "storage: " + std::string(line));
                                              }
                                          });
}

std::shared_ptr<StorageVm> begin_storage(const std::string& name, const ProgramConfig& config,
                                         const std::shared_ptr<const Program>& binary,
                                         const std::function<void(std::string_view)>& log, BootControl& control,
                                         const GuestServices& services) {
    const auto said = [&log](std::string_view line) { log("storage: " + std::string(line)); };
    const std::shared_ptr<StorageState> state = state_of(name, config, services);
    auto booted = boot_one(name, config, binary, said, control, services, state);
    std::unique_ptr<StorageBoot> again;
    if (state) {
        again = std::make_unique<StorageReboot>();
    }
    return std::make_shared<StorageVm>(std::move(booted), std::move(again));
}

// Null: it has to be booted.
std::shared_ptr<const BootedProgram> from_file(const std::string& name, const ProgramConfig& config,
                                               const std::shared_ptr<const Program>& binary,
                                               const GuestServices& services,
                                               const std::function<void(std::string_view)>& log) {
    if (config.cold_start_file.empty()) {
        return nullptr;
    }
    if (const std::string why = why_no_cold_start(config); !why.empty()) {
        log("is not loaded from a file or saved (cold_start_file): " + why);
        return nullptr;
    }
    return load_cold_start(name, config, binary, options_for(name, config), services, log);
}

std::shared_ptr<StorageVm> storage_of(const std::string& name, const ProgramConfig& config,
                                      std::shared_ptr<const Program> binary,
                                      const std::function<void(std::string_view)>& log, BootControl& control,
                                      const GuestServices& services, StoragePlace& place, bool is_update) {
    const ProgramConfig own = config.of_storage();
    if (!config.storage_file.empty()) {
        binary = obtain(name, own, log, control);
    }
    const auto begin = [&] { return begin_storage(name, own, binary, log, control, services); };
    return is_update ? place.find_or_try(binary, own, begin) : place.find_or_begin(binary, own, begin);
}

}  // namespace

std::shared_ptr<const BootedProgram> boot_program(const std::string& name, const ProgramConfig& config,
                                                  std::shared_ptr<const Program> binary,
                                                  const std::function<void(std::string_view)>& log,
                                                  BootControl& control, const GuestServices& services,
                                                  StoragePlace* place, const LiveUpdate* update) {
    if (!binary) {
        binary = obtain(name, config, log, control);
        if (auto program = update == nullptr ? from_file(name, config, binary, services, log) : nullptr) {
            return program;
        }
        read(*binary, control);
    }
    GuestServices with_storage = services;
    std::shared_ptr<StorageVm> storage;
    if (config.storage && place != nullptr) {
        try {
            storage = storage_of(name, config, binary, log, control, services, *place, update != nullptr);
            with_storage.storage = storage;
        } catch (const Failure& failure) {
            throw Failure(failure.kind(), std::string("its storage: ") + failure.what(), failure.report());
        } catch (const std::exception& error) {
            throw Failure(FailureKind::not_ready, std::string("its storage: ") + error.what());
        }
    }
    auto booted = boot_one(name, config, binary, log, control, with_storage, nullptr,
                           update != nullptr ? update->state : nullptr);
    booted->storage = std::move(storage);
    return booted;
}

}  // namespace tinykvm::host
