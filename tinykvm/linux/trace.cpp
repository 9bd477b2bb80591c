// Lines for Options::log_system_calls, as strace writes them.
#include <cstdio>
#include <cstring>

#include "tinykvm/linux/syscall_table.hpp"

namespace tinykvm::linux_abi {

namespace {

std::string hexadecimal(std::uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

std::string argument(const SyscallContext& call, char format, std::uint64_t value) {
    switch (format) {
        case 'd': return std::to_string(static_cast<std::int32_t>(value));
        case 'l': return std::to_string(static_cast<std::int64_t>(value));
        case 'u': return std::to_string(value);
        case 's': {
            const auto text = call.memory.read_string(value, max_path);
            return text ? in_quotes(*text) : hexadecimal(value);
        }
        case 'o': {
            char text[16];
            std::snprintf(text, sizeof text, "%#o", static_cast<unsigned>(value));
            return text;
        }
        case 'a': return value == 0 ? "NULL" : hexadecimal(value);
        default: return hexadecimal(value);
    }
}

}  // namespace

std::string describe_call(const SyscallContext& call, const SystemCall& entry) {
    std::string text = std::string(entry.name) + "(";
    for (std::size_t i = 0; entry.arguments[i] && i < call.args.size(); ++i) {
        if (i) text += ", ";
        text += argument(call, entry.arguments[i], call.args[i]);
    }
    return text + ")";
}

std::string describe_result(std::int64_t result) {
    if (result >= 0) return result < 65536 ? std::to_string(result) : hexadecimal(static_cast<std::uint64_t>(result));
    if (result < -4095) return hexadecimal(static_cast<std::uint64_t>(result));
    const char* name = ::strerrorname_np(static_cast<int>(-result));
    return "-1 " + (name ? std::string(name) : std::to_string(-result));
}

}  // namespace tinykvm::linux_abi
