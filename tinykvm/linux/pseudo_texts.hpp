// The texts of pseudo files. Each is what Linux would show on a machine with the processors of the VM, each a core
// with one thread, the memory limit of the program as its memory, and no other process.
//
// `thread` is the id of the thread whose directory the file is in; for /proc/PID it is that of the first thread.
// `cpu` is the number of the processor whose directory the file is in.
//
// Thread safety: the thread that runs the guest.
#pragma once

#include <cstdint>
#include <string>

namespace tinykvm::linux_abi {

struct SyscallContext;

// process_texts.cpp: /proc/PID
std::string auxv_text(const SyscallContext&, int thread);
std::string cgroup_text(const SyscallContext&, int thread);
std::string cmdline_text(const SyscallContext&, int thread);
std::string comm_text(const SyscallContext&, int thread);
std::string environ_text(const SyscallContext&, int thread);
std::string limits_text(const SyscallContext&, int thread);
std::string maps_text(const SyscallContext&, int thread);
std::string mountinfo_text(const SyscallContext&, int thread);
std::string mounts_text(const SyscallContext&, int thread);
std::string process_stat_text(const SyscallContext&, int thread);
std::string smaps_text(const SyscallContext&, int thread);
std::string smaps_rollup_text(const SyscallContext&, int thread);
std::string statm_text(const SyscallContext&, int thread);
std::string status_text(const SyscallContext&, int thread);

// processor_texts.cpp
std::string cpuinfo_text(const SyscallContext&, int);
std::string processors_text(const SyscallContext&, int);  // as a list: "0-1"
std::string processors_mask_text(const SyscallContext&, int);
std::string last_processor_text(const SyscallContext&, int);
std::string own_processor_text(const SyscallContext&, int cpu);
std::string own_processor_mask_text(const SyscallContext&, int cpu);
// Of a set of processors: "0-1", "0,2".
std::string processor_list(std::uint64_t processors);

// system_texts.cpp: the machine and its kernel
std::string loadavg_text(const SyscallContext&, int thread);
std::string meminfo_text(const SyscallContext&, int thread);
std::string stat_text(const SyscallContext&, int thread);
std::string uptime_text(const SyscallContext&, int thread);
std::string version_text(const SyscallContext&, int thread);
std::string boot_id_text(const SyscallContext&, int thread);
std::string uuid_text(const SyscallContext&, int thread);
std::string node_meminfo_text(const SyscallContext&, int thread);
std::string mapping_limit_text(const SyscallContext&, int thread);
std::string thread_limit_text(const SyscallContext&, int thread);

}  // namespace tinykvm::linux_abi
