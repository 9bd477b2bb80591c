// The names of flags and numbers in the arguments of system calls, as Linux' headers have them, for lines about them.
//
// Thread safety: constants.
#pragma once

#include <cstdint>
#include <string>

namespace tinykvm::linux_abi {

// "O_RDONLY|O_CLOEXEC". What has no name is a number.
std::string open_flag_names(std::uint64_t flags);
std::string protection_names(std::uint64_t flags);
std::string mapping_flag_names(std::uint64_t flags);
std::string clone_flag_names(std::uint64_t flags);
std::string at_flag_names(std::uint64_t flags);
std::string message_flag_names(std::uint64_t flags);
std::string access_mode_names(std::uint64_t mode);
std::string poll_event_names(std::uint64_t events);
std::string epoll_event_names(std::uint64_t events);
std::string file_mode_names(std::uint64_t mode);  // "S_IFREG|0644"
std::string descriptor_flag_names(std::uint64_t flags);
std::string futex_operation_name(std::uint64_t operation);
std::string clock_name(std::uint64_t clock);
std::string signal_name(std::uint64_t signal);  // "SIGTERM"
std::string mask_change_name(std::uint64_t how);
std::string whence_name(std::uint64_t whence);
std::string fcntl_name(std::uint64_t command);
std::string ioctl_name(std::uint64_t request);
std::string advice_name(std::uint64_t advice);
std::string socket_domain_name(std::uint64_t domain);
std::string socket_type_name(std::uint64_t type);
std::string shutdown_name(std::uint64_t how);
std::string epoll_operation_name(std::uint64_t operation);
std::string resource_name(std::uint64_t resource);
std::string process_control_name(std::uint64_t option);
std::string architecture_control_name(std::uint64_t option);
std::string random_flag_names(std::uint64_t flags);

// "0x1f".
std::string hexadecimal(std::uint64_t value);

}  // namespace tinykvm::linux_abi
