#include "src/programs/boot_program.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/calls/guest_calls.hpp"
#include "src/calls/guest_output.hpp"
#include "src/programs/warmup.hpp"
#include "src/source/program_source.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::host {

// Makes a machine known to its control as long as it runs.
class RunningMachine {
  public:
    RunningMachine(BootControl& control, Machine& machine) : control_(control) {
        const MutexLock lock(control_.mutex_);
        if (control_.cancelled_) {
            throw Failure(FailureKind::shutting_down, "the boot was cancelled");
        }
        control_.machine_ = &machine;
    }
    ~RunningMachine() {
        const MutexLock lock(control_.mutex_);
        control_.machine_ = nullptr;
    }

  private:
    BootControl& control_;
};

void BootControl::cancel() {
    const MutexLock lock(mutex_);
    cancelled_ = true;
    if (machine_ != nullptr) {
        machine_->interrupt();
    }
}

bool BootControl::cancelled() {
    const MutexLock lock(mutex_);
    return cancelled_;
}

namespace {

bool has_entry(const std::vector<std::string>& environment, std::string_view beginning) {
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& entry) { return entry.starts_with(beginning); });
}

// Programs may look for a user and a locale, as they are there on every other system. LC_ALL would win against each of
// the other names of a locale.
std::vector<std::string> environment_for(const std::string& name, const ProgramConfig& config) {
    std::vector<std::string> entries;
    if (!has_entry(config.environment, "LC_") && !has_entry(config.environment, "LANG=") &&
        !has_entry(config.environment, "LANGUAGE=")) {
        entries.emplace_back("LC_ALL=C");
    }
    if (!has_entry(config.environment, "USER=")) {
        entries.emplace_back("USER=nobody");
    }
    entries.insert(entries.end(),
                   {"KVM_NAME=" + name, "KVM_GROUP=" + config.group, "KVM_TYPE=request", "KVM_STATE=", "KVM_DEBUG=0"});
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
    options.max_memory = config.max_memory;
    options.max_request_memory = config.max_request_memory;
    options.max_creation_time = config.max_boot_time;
    options.shared_memory = config.shared_memory;
    options.max_address_space = config.effective_address_space();
    options.max_threads = config.max_threads;
    options.addresses_on_request = config.remapping;
    options.addresses_on_request.insert(options.addresses_on_request.end(), config.executable_remapping.begin(),
                                        config.executable_remapping.end());
    options.closed_addresses = config.blackout_area;
    options.relocate_fixed_mappings = config.relocate_fixed_mmap;
    options.executable_heap = config.executable_heap;
    options.share_mapped_files = config.mmap_backed_files;
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
    GuestOutput::connect(options, config.verbose);
    return options;
}

std::string seconds_text(std::chrono::microseconds time) {
    std::string text = std::to_string(static_cast<double>(time.count()) / 1e6);
    text.erase(text.find_last_not_of('0') + 1);
    return (text.back() == '.' ? text.substr(0, text.size() - 1) : text) + " s";
}

// Attaches output to this thread as long as the program boots.
struct AttachedOutput {
    explicit AttachedOutput(GuestOutput& output) { GuestOutput::attach(&output); }
    ~AttachedOutput() { GuestOutput::attach(nullptr); }
};

std::shared_ptr<const BootedProgram> run_to_wait(const std::string& name, const ProgramConfig& config,
                                                 const std::shared_ptr<const Program>& binary, GuestCalls& calls,
                                                 GuestOutput& output, BootControl& control,
                                                 std::string& warmup_request) {
    const AttachedOutput attached(output);
    const Deadline deadline = Clock::now() + config.max_boot_time;
    Machine machine(binary, options_for(name, config));
    std::optional<RunningMachine> running(std::in_place, control, machine);
    const Stop stop = machine.run(&calls, deadline);
    output.flush();
    const Registration& registration = calls.registration();
    if (stop.reason == Stop::Reason::exited) {
        throw Failure(FailureKind::not_ready, "the program exited with status " + std::to_string(stop.exit_status) +
                                                  " instead of calling wait_for_requests()");
    }
    if (registration.waiting == Registration::Waiting::callbacks &&
        std::all_of(registration.callbacks.begin(), registration.callbacks.end(),
                    [](GuestAddr address) { return address == 0; })) {
        calls.note("the program waits for requests but registered no callback: each of them gets a 501");
    }
    warm_up(machine, calls, config.warmup, deadline, warmup_request);
    output.flush();
    running.reset();
    return std::make_shared<BootedProgram>(BootedProgram{name, config, registration, std::move(machine).freeze(),
                                                         binary->bytes().size(), binary->type(), calls.services()});
}

}  // namespace

std::shared_ptr<const BootedProgram> boot_program(const std::string& name, const ProgramConfig& config,
                                                  std::shared_ptr<const Program> binary,
                                                  const std::function<void(std::string_view)>& log,
                                                  BootControl& control, const GuestServices& services) {
    GuestCalls calls({config.max_memory, config.max_request_memory, config.verbose, config.ephemeral,
                      config.control_ephemeral, &config.allowed_hosts, services, &control});
    calls.begin_boot(log);
    GuestOutput output(log);
    output.log_output(config.standard_output);
    std::string why, report, warmup_request;
    const auto where = [&] { return warmup_request.empty() ? std::string("while it booted") : warmup_request; };
    try {
        if (!binary) {
            binary = obtain_program(name, config, log, [&control] { return control.cancelled(); });
        }
        return run_to_wait(name, config, binary, calls, output, control, warmup_request);
    } catch (const GuestFault& fault) {
        why = "the program crashed " + where() + ": " + fault.what();
        report = fault.report();
    } catch (const Interrupted&) {
        why = "the boot was cancelled";
    } catch (const Timeout&) {
        why = (warmup_request.empty() ? "the program did not call wait_for_requests() within max_boot_time ("
                                      : "the program was " + warmup_request + " at the end of max_boot_time (") +
              seconds_text(config.max_boot_time) + ")";
    } catch (const OutOfMemory& error) {
        why = where() + ": " + error.what();
    } catch (const std::exception& error) {
        why = (warmup_request.empty() ? "" : warmup_request + ": ") + error.what();
    }
    output.flush();
    if (!output.last_line().empty()) {
        why += "; its last words: " + printable(output.last_line(), 200);
    }
    throw Failure(FailureKind::not_ready, why, report);
}

}  // namespace tinykvm::host
