// `tinykvm probe`: can this machine run guests, how, and what to do about what is missing.
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "src/cli/command.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/kvm/system.hpp"
#include "tinykvm/platform/platform.hpp"

namespace tinykvm::cli {

namespace {

constexpr const char* device = "/dev/kvm";
// Debian's account for the process of varnishd that serves requests.
constexpr const char* varnish_worker = "vcache";

// The lines of `text` in the second column.
void line(const char* what, const std::string& text) {
    const char* first_column = what;
    std::istringstream lines(text);
    for (std::string one; std::getline(lines, one); first_column = "")
        std::printf("%-14s %s\n", first_column, one.c_str());
}

std::string name_of_group(gid_t id) {
    const group* entry = ::getgrgid(id);
    return entry != nullptr ? entry->gr_name : std::to_string(id);
}

bool is_member(const passwd& user, gid_t id) {
    gid_t groups[256];
    int count = 256;
    if (::getgrouplist(user.pw_name, user.pw_gid, groups, &count) < 0) return false;
    for (int i = 0; i < count; ++i)
        if (groups[i] == id) return true;
    return false;
}

bool may_open(const passwd& user, const struct stat& file) {
    constexpr mode_t read_write = 6;
    if (user.pw_uid == file.st_uid) return (file.st_mode >> 6 & read_write) == read_write;
    if (is_member(user, file.st_gid)) return (file.st_mode >> 3 & read_write) == read_write;
    return (file.st_mode & read_write) == read_write;
}

// Whether a Varnish installed from Debian's package could use it as it is started there.
void report_varnish() {
    struct stat file {};
    const passwd* user = ::getpwnam(varnish_worker);
    if (user == nullptr || ::stat(device, &file) < 0) return;
    if (may_open(*user, file)) {
        line("Varnish", std::string("its user ") + varnish_worker + " may open " + device);
        return;
    }
    char mode[8];
    std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(file.st_mode & 07777));
    line("Varnish", std::string("its user ") + varnish_worker + " may not open " + device + " (group " +
                        name_of_group(file.st_gid) + ", mode " + mode + ")");
    line("", "as root: groupadd -f -r kvm; chgrp kvm /dev/kvm; chmod 0660 /dev/kvm; usermod -aG kvm vcache");
    line("", "then restart it, and see docs/getting-started.md for the systemd unit");
}

void report_instructions(const x86::Platform& platform) {
    std::string working, missing;
    for (const x86::Instructions& set : platform.instructions()) {
        if (set.in_guest) {
            working += (working.empty() ? "" : " ") + set.name;
        } else if (set.on_host) {
            missing += (missing.empty() ? "" : " ") + set.name;
        }
    }
    line("Instructions", "beyond x86-64 with SSE2, guests have: " + (working.empty() ? "none" : working));
    if (!missing.empty()) line("", "this CPU has them, guests do not: " + missing);
}

int report() {
    utsname kernel{};
    ::uname(&kernel);
    line("Kernel", std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine);

    const kvm::System& system = kvm::System::instance();
    line("KVM", std::string(device) + " opens and speaks the right API");
    for (const kvm::Capability& capability : system.capabilities()) {
        std::printf("  %-3s %-26s %s\n", capability.present ? "yes" : "NO", capability.name.c_str(),
                    capability.purpose.c_str());
    }

    const x86::Platform& platform = x86::Platform::instance();
    line("Flavour", platform.syscall_at_cpl0() ? "hardware: a guest's SYSCALL enters CPL0 (kvm_intel, kvm_amd)"
                                               : "no hardware underneath: a guest's SYSCALL stays at CPL3 (kvm_pvm)");
    line("Clock", platform.guest_has_host_tsc() ? "guests read the time without leaving their VM"
                                                : "guests leave their VM to read the time");
    report_instructions(platform);
    report_varnish();
    std::puts("\nGuests can run here.");
    return exit_ok;
}

int run(const std::vector<std::string>& operands) {
    if (!operands.empty()) throw Usage{"probe takes no arguments", operands[0]};
    try {
        return report();
    } catch (const MachineError& error) {
        line("KVM", error.what());
        report_varnish();
        std::puts("\nGuests can not run here.");
        return 1;
    }
}

}  // namespace

const Command probe_command = {
    "probe", "Can guests run on this machine, and how",
    "Usage: tinykvm probe\n"
    "\n"
    "Prints what this machine's KVM is and can do, as found out by running small tests in a guest, and what to\n"
    "do about what is missing. Exit status: 0 when guests can run, 1 when not.\n",
    "", [](OptionParser&) { return Command::Run(run); }};

}  // namespace tinykvm::cli
