// The names of the system, as uname() and /proc/sys/kernel give them. The same in every guest and on every host.
#pragma once

namespace tinykvm::linux_abi {

inline constexpr char system_type[] = "Linux";
inline constexpr char system_host[] = "tinykvm";
inline constexpr char system_release[] = "6.1.0-tinykvm";
inline constexpr char system_version[] = "#1 SMP tinykvm";
inline constexpr char system_domain[] = "(none)";

}  // namespace tinykvm::linux_abi
