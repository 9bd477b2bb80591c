// Small programs that try many calls (tests/guests/cases) print the same inside as natively, in the same run. The lines
// that may differ are listed here, each with the reason.
#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/booted_guest.hpp"

namespace tinykvm {
namespace {

using test::patience;
using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
    Lines lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

std::string path_of(const std::string& name) { return TINYKVM_BUILD_DIR "/guests/case_" + name; }

Lines natively(const std::string& name) {
    std::string text;
    std::FILE* output = ::popen(("exec " + path_of(name) + " < /dev/null 2>&1").c_str(), "r");
    char buffer[4096];
    while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, output)) text.append(buffer, got);
    ::pclose(output);
    return lines_of(text);
}

Lines inside(const std::string& name) {
    std::string text;
    Options options;
    options.program_name = path_of(name);
    for (const char* path : {"/lib", "/lib64", "/usr/lib", "/etc/passwd", TINYKVM_BUILD_DIR "/guests"})
        options.allowed_paths.push_back({path, ""});
    options.output = [&](int, std::string_view more) { text += more; };
    Machine machine(Program::from_file(path_of(name)), std::move(options));
    try {
        machine.run(nullptr, patience());
    } catch (const GuestFault&) {  // maps.c ends with a fault
    }
    return lines_of(text);
}

TEST(CasesTest, AlarmsPrintTheSame) { EXPECT_EQ(inside("alarm"), natively("alarm")); }

// Without the numbers of files that exist nowhere, and the blanks after them.
Lines without_inodes(Lines lines) {
    for (std::string& line : lines) {
        const auto device = line.find(" 00:01 ");
        if (device != std::string::npos) line.erase(device, line.find('/') - device);
    }
    return lines;
}

TEST(CasesTest, MappingsPrintTheSame) { EXPECT_EQ(without_inodes(inside("maps")), without_inodes(natively("maps"))); }

// Calls of which the outcome may be another one inside, by how their lines begin.
const std::map<std::string, std::string> reasons{
    {"inotify_init1", "no other process changes files, and nothing reports changes of the host's"},
    {"getsid", "ids are those of another process"},
    {"getpgid", "ids are those of another process"},
    {"getppid", "ids are those of another process"},
    {"getuid", "programs are an ordinary user inside"},
    {"setsid", "the process leads its session inside; natively it depends on the caller"},
    {"setpgid", "the process leads its session inside; natively it depends on the caller"},
    {"getpriority", "the caller may have another priority"},
    {"nice", "the caller may have another priority"},
    {"setpriority", "natively it depends on the caller"},
    {"syscall(SYS_io_uring_setup", "asynchronous input and output is left out, as in most containers"},
    {"syscall(SYS_io_setup", "asynchronous input and output is left out"},
    {"syscall(SYS_shmget", "there is no other process to share memory with"},
    {"syscall(SYS_userfaultfd", "left out, as in most containers"},
    {"syscall(SYS_rseq", "ENOSYS is right for one that is not needed; natively the C library has registered it"},
    {"syscall(SYS_process_vm_readv", "left out, as in most containers"},
    {"syscall(SYS_seccomp", "a program that could run less than it may has nothing to gain here"},
    {"syscall(SYS_membarrier", "the host may know more commands"},
    {"syscall(SYS_kcmp", "the order of descriptions is arbitrary"},
    {"acct", "only for root"},
    {"mlock", "natively it depends on the caller's limits"},
    {"open(\"/dev/tty\"", "natively it depends on the caller's terminal"},
    {"open(\"/sys/fs/cgroup", "a container without one"},
    {"memfd_create", "depends on the file system the program is given"},
    {"statvfs", "depends on the file system the program is given"},
    {"blocks", "depends on the file system the program is given"},
    {"type", "depends on the file system the program is given"},
    {"open(\"/tmp\"", "depends on the file system the program is given"},
    {"mkdir", "natively the directory may be there from the run before"},
    {"shm_open", "depends on the file system the program is given"},
};

const std::string* reason_for(const std::string& line) {
    for (const auto& [begin, reason] : reasons)
        if (line.starts_with(begin)) return &reason;
    return nullptr;
}

// Numbers of new descriptors depend on how many there are already.
std::string without_descriptor(const std::string& line) {
    for (const char* maker : {"create", "signalfd", "open", "socket", "timer_create"}) {
        if (line.find(maker) == std::string::npos) continue;
        std::istringstream words(line.substr(std::min<std::size_t>(line.size(), 60)));
        long result = -1;
        words >> result;
        if (result >= 0) return line.substr(0, 60) + " is open";
    }
    return line;
}

TEST(CasesTest, CallsPrintTheSame) {
    const Lines native = natively("calls"), own = inside("calls");
    ASSERT_EQ(native.size(), own.size());
    for (std::size_t i = 0; i < native.size(); ++i) {
        if (reason_for(native[i])) continue;
        EXPECT_EQ(without_descriptor(own[i]), without_descriptor(native[i]));
    }
}

}  // namespace
}  // namespace tinykvm
