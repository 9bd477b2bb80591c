// Which system calls that have to do with files a piece of code makes, in order.
#pragma once

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "seccomp_filter.hpp"

namespace tinykvm::test {

// Each call of the recorded code traps; it is noted and then made with a sixth argument that no call for files has.
class HostCallRecorder {
  public:
    // Runs `work` in a child and returns its calls. "openat2 path" only takes a name (O_PATH), "openat2" opens what has
    // the name. What could not be recorded is "lost".
    template <typename Work>
    static std::vector<std::string> record(Work work) {
        log_ =
            static_cast<Log*>(::mmap(nullptr, sizeof(Log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        const pid_t child = ::fork();
        if (child == 0) {
            trap_calls();
            work();
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        std::vector<std::string> names;
        for (std::size_t i = 0; i < log_->count; ++i) names.push_back(name_of(log_->calls[i]));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) names.emplace_back("lost");
        ::munmap(log_, sizeof(Log));
        return names;
    }

  private:
    static constexpr std::uint32_t marker = 0x7e57ca11;
    struct Call {
        long number;
        bool only_name;
    };
    struct Log {
        std::size_t count;
        Call calls[1000];
    };
    static constexpr struct {
        long number;
        const char* name;
    } watched[] = {{SYS_open, "open"},           {SYS_openat, "openat"},
                   {SYS_openat2, "openat2"},     {SYS_stat, "stat"},
                   {SYS_lstat, "lstat"},         {SYS_fstat, "stat"},
                   {SYS_newfstatat, "stat"},     {SYS_statx, "statx"},
                   {SYS_statfs, "statfs"},       {SYS_fstatfs, "fstatfs"},
                   {SYS_access, "access"},       {SYS_faccessat, "access"},
                   {SYS_faccessat2, "access"},   {SYS_readlink, "readlink"},
                   {SYS_readlinkat, "readlink"}, {SYS_getdents64, "getdents64"},
                   {SYS_pread64, "pread"},       {SYS_lseek, "lseek"},
                   {SYS_close, "close"}};

    static std::string name_of(const Call& call) {
        for (const auto& entry : watched)
            if (entry.number == call.number) return std::string(entry.name) + (call.only_name ? " path" : "");
        return "?";
    }

    static void on_call(int, siginfo_t*, void* context) {
        auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        const long number = registers[REG_RAX];
        long flags = 0;
        if (number == SYS_openat2)
            flags = static_cast<long>(reinterpret_cast<const open_how*>(registers[REG_RDX])->flags);
        if (number == SYS_openat) flags = registers[REG_RDX];
        if (number == SYS_open) flags = registers[REG_RSI];
        if (log_->count < std::size(log_->calls)) log_->calls[log_->count++] = {number, (flags & O_PATH) != 0};
        long result = 0;
        register long r10 __asm__("r10") = registers[REG_R10];
        register long r8 __asm__("r8") = registers[REG_R8];
        register long r9 __asm__("r9") = marker;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(registers[REG_RDI]), "S"(registers[REG_RSI]), "d"(registers[REG_RDX]),
                           "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        registers[REG_RAX] = result;
    }

    static void trap_calls() {
        struct sigaction action {};
        action.sa_sigaction = on_call;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        ::sigaction(SIGSYS, &action, nullptr);
        std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[5])),
                                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, marker, 0, 1),
                                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                                         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
        for (const auto& entry : watched) {
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(entry.number), 0, 1));
            program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
        }
        install_filter(std::move(program));
    }

    static inline Log* log_ = nullptr;
};

}  // namespace tinykvm::test
