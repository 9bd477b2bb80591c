// Lines about system calls, as strace writes them.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tinykvm/linux/signal_state.hpp"
#include "tinykvm/linux/socket_address.hpp"
#include "tinykvm/linux/syscall_table.hpp"
#include "tinykvm/linux/trace_names.hpp"

namespace tinykvm::linux_abi {

namespace {

// As strace: so much is shown of a text, and of a list.
constexpr std::size_t shown_bytes = 32, shown_entries = 16;

std::string pointer(std::uint64_t value) { return value == 0 ? "NULL" : hexadecimal(value); }

std::string quoted(std::string_view text, bool more) {
    std::string result = "\"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        constexpr std::string_view special = "\n\t\r\"\\\v\f", letters = "ntr\"\\vf";
        if (const std::size_t at = special.find(text[i]); at != std::string_view::npos) {
            result += '\\';
            result += letters[at];
        } else if (c >= 0x20 && c < 0x7f) {
            result += text[i];
        } else {
            char escape[8];
            const bool digit_follows = i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '7';
            std::snprintf(escape, sizeof escape, digit_follows ? "\\%03o" : "\\%o", c);
            result += escape;
        }
    }
    return result + (more ? "\"..." : "\"");
}

// One argument of a call. `result` is what the call returned, when it has.
struct Argument {
    const SyscallContext& call;
    std::size_t index;
    std::int64_t result;

    std::uint64_t value() const { return call.args[index]; }
    std::uint64_t next() const { return index + 1 < call.args.size() ? call.args[index + 1] : 0; }
    std::uint64_t previous() const { return call.args[index - 1]; }

    std::string bytes(GuestAddr at, std::uint64_t size) const {
        const auto text = call.memory.read_bytes(at, std::min<std::uint64_t>(size, shown_bytes));
        return text ? quoted(*text, size > shown_bytes) : pointer(at);
    }
    std::string path() const {
        const auto text = call.memory.read_string(value(), max_path);
        return text ? quoted(*text, false) : pointer(value());
    }
    // A structure, when it can be read; else its address.
    template <typename T, typename Describe>
    std::string structure(Describe describe) const {
        T content;
        return value() != 0 && call.memory.read(value(), content) ? describe(content) : pointer(value());
    }
    // "[...]" of structures.
    template <typename T, typename Describe>
    std::string list(std::uint64_t count, Describe describe) const {
        std::string text = "[";
        for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, shown_entries); ++i) {
            T content;
            if (!call.memory.read(value() + i * sizeof content, content)) return pointer(value());
            text += (i == 0 ? "" : ", ") + describe(content);
        }
        return text + (count > shown_entries ? ", ...]" : "]");
    }
    // Of which `size` bytes matter.
    std::string vectors(std::uint64_t count, std::uint64_t size) const {
        return list<iovec>(count, [&](const iovec& vector) {
            const std::uint64_t used = std::min<std::uint64_t>(vector.iov_len, size);
            size -= used;
            return "{iov_base=" + bytes(reinterpret_cast<GuestAddr>(vector.iov_base), used) +
                   ", iov_len=" + std::to_string(vector.iov_len) + "}";
        });
    }
    std::string time() const {
        return structure<TimeSpec>([](const TimeSpec& time) {
            return "{tv_sec=" + std::to_string(time.seconds) + ", tv_nsec=" + std::to_string(time.nanoseconds) + "}";
        });
    }
    std::string signals() const {
        return structure<SignalSet>([](SignalSet set) {
            const bool most = __builtin_popcountll(set) > 40;
            std::string text;
            for (int signal = 1; signal <= signal_count; ++signal)
                if (((most ? ~set : set) & signal_bit(signal)) != 0)
                    text += (text.empty() ? "" : " ") + signal_name(static_cast<unsigned>(signal));
            return (most ? "~[" : "[") + text + "]";
        });
    }
    std::string action() const {
        return structure<SignalAction>([](const SignalAction& action) {
            const std::string handler = action.handler == 0   ? "SIG_DFL"
                                        : action.handler == 1 ? "SIG_IGN"
                                                              : hexadecimal(action.handler);
            return "{sa_handler=" + handler + ", sa_flags=" + hexadecimal(action.flags) + "}";
        });
    }
    std::string file_status() const {
        return structure<struct stat>([](const struct stat& status) {
            return "{st_mode=" + file_mode_names(status.st_mode) + ", st_size=" + std::to_string(status.st_size) +
                   ", ...}";
        });
    }
    std::string address(std::uint64_t size) const {
        std::uint16_t family = 0;
        SocketAddress address;
        if (value() == 0 || size > INT32_MAX || !call.memory.read(value(), family) ||
            read_socket_address(call.memory, value(), static_cast<std::int32_t>(size), family, address) != 0)
            return pointer(value());
        return "{sa_family=" + socket_domain_name(family) + ", " + quoted(address.text(), false) + "}";
    }
    std::string address_out() const {
        std::uint32_t size = 0;
        return next() != 0 && call.memory.read(next(), size) ? address(size) : pointer(value());
    }
    std::string polled(std::uint64_t count, bool returned) const {
        return list<pollfd>(count, [&](const pollfd& entry) {
            const auto events = static_cast<std::uint16_t>(returned ? entry.revents : entry.events);
            return "{fd=" + std::to_string(entry.fd) + (returned ? ", revents=" : ", events=") +
                   poll_event_names(events) + "}";
        });
    }
    static std::string event(const epoll_event& event) {
        return "{events=" + epoll_event_names(event.events) + ", data=" + hexadecimal(event.data.u64) + "}";
    }
    std::string limit() const {
        return structure<ResourceLimit>([](const ResourceLimit& limit) {
            const auto text = [](std::uint64_t value) {
                return value == RLIM_INFINITY ? std::string("RLIM64_INFINITY") : std::to_string(value);
            };
            return "{rlim_cur=" + text(limit.current) + ", rlim_max=" + text(limit.maximum) + "}";
        });
    }
    std::string pair() const {
        struct Pair {
            std::int32_t first, second;
        };
        return structure<Pair>([](const Pair& pair) {
            return "[" + std::to_string(pair.first) + ", " + std::to_string(pair.second) + "]";
        });
    }
    std::string number() const {
        return structure<std::int32_t>([](std::int32_t number) { return "[" + std::to_string(number) + "]"; });
    }
};

// Letters of arguments that the call fills in, so that they are read when it has returned.
constexpr std::string_view filled_in = "BVKUGNDPQHJX";

std::string octal(std::uint64_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "%#o", static_cast<unsigned>(value));
    return text;
}

// Numbers and names.
std::string value_of(char letter, std::uint64_t value) {
    switch (letter) {
        case 'd': return std::to_string(static_cast<std::int32_t>(value));
        case 'l': return std::to_string(static_cast<std::int64_t>(value));
        case 'u': return std::to_string(value);
        case 'o': return octal(value);
        case 'a': return pointer(value);
        case '@': return static_cast<std::int32_t>(value) == -100 ? "AT_FDCWD" : value_of('d', value);
        case 'f': return open_flag_names(static_cast<std::uint32_t>(value));
        case 'p': return protection_names(value);
        case 'm': return mapping_flag_names(value);
        case 'F': return futex_operation_name(static_cast<std::uint32_t>(value));
        case 'c': return clock_name(static_cast<std::uint32_t>(value));
        case 'g': return signal_name(static_cast<std::uint32_t>(value));
        case 'h': return mask_change_name(static_cast<std::uint32_t>(value));
        case 'w': return whence_name(static_cast<std::uint32_t>(value));
        case 't': return at_flag_names(static_cast<std::uint32_t>(value));
        case 'r': return access_mode_names(static_cast<std::uint32_t>(value));
        case 'y': return fcntl_name(static_cast<std::uint32_t>(value));
        case 'i': return ioctl_name(static_cast<std::uint32_t>(value));
        case 'M': return advice_name(static_cast<std::uint32_t>(value));
        case 'q': return socket_domain_name(static_cast<std::uint32_t>(value));
        case 'j': return socket_type_name(static_cast<std::uint32_t>(value));
        case 'k': return clone_flag_names(value);
        case 'e': return epoll_operation_name(static_cast<std::uint32_t>(value));
        case 'R': return resource_name(static_cast<std::uint32_t>(value));
        case 'C': return process_control_name(static_cast<std::uint32_t>(value));
        case 'A': return architecture_control_name(value);
        case 'L': return message_flag_names(static_cast<std::uint32_t>(value));
        case 'O': return descriptor_flag_names(static_cast<std::uint32_t>(value));
        case 'Y': return random_flag_names(static_cast<std::uint32_t>(value));
        case 'Z': return shutdown_name(static_cast<std::uint32_t>(value));
        default: return hexadecimal(value);
    }
}

// What an argument points at.
std::string content_of(char letter, const Argument& argument) {
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(argument.result, 0));
    switch (letter) {
        case 's': return argument.path();
        case 'b': return argument.bytes(argument.value(), argument.next());
        case 'v': return argument.vectors(argument.next(), UINT64_MAX);
        case 'T': return argument.time();
        case 'S': return argument.signals();
        case 'I': return argument.action();
        case 'n': return argument.address(argument.next());
        case 'E': return argument.structure<epoll_event>(Argument::event);
        case 'z': return argument.limit();
        case 'B': return argument.bytes(argument.value(), size);
        case 'V': return argument.vectors(argument.next(), size);
        case 'X': return argument.bytes(argument.value(), size);
        case 'K': return argument.file_status();
        case 'U': return argument.time();
        case 'G': return argument.signals();
        case 'N': return argument.address_out();
        case 'D': return argument.list<epoll_event>(size, Argument::event);
        case 'P': return argument.polled(argument.next(), true);
        case 'Q': return argument.pair();
        case 'H': return argument.limit();
        case 'J': return argument.number();
        default: return value_of(letter, argument.value());
    }
}

}  // namespace

CallTrace::CallTrace(const SyscallContext& call, const SystemCall& entry) : call_(call), entry_(entry) {
    if (!call.state.parked.empty()) thread_ = "[pid " + std::to_string(call.state.thread.id) + "] ";
    for (std::size_t i = 0; entry.arguments[i] != '\0' && i < call.args.size(); ++i) {
        const bool unknown_yet = filled_in.find(entry.arguments[i]) != std::string_view::npos;
        arguments_.push_back(unknown_yet ? pointer(call.args[i]) : content_of(entry.arguments[i], {call, i, 0}));
    }
}

std::string CallTrace::line(std::optional<std::int64_t> result) {
    for (std::size_t i = 0; i < arguments_.size(); ++i)
        if (result && *result >= 0 && filled_in.find(entry_.arguments[i]) != std::string_view::npos)
            arguments_[i] = content_of(entry_.arguments[i], {call_, i, *result});
    return begin() + ") = " + (result ? describe_result(*result) : "?");
}

std::string CallTrace::unfinished() const { return begin() + " <unfinished ...>"; }

std::string CallTrace::begin() const {
    std::string text = thread_ + entry_.name + "(";
    for (std::size_t i = 0; i < arguments_.size(); ++i) text += (i == 0 ? "" : ", ") + arguments_[i];
    return text;
}

std::string describe_result(std::int64_t result) {
    if (result >= 0) return result < 65536 ? std::to_string(result) : hexadecimal(static_cast<std::uint64_t>(result));
    if (result == restart_call) return "? ERESTARTSYS (To be restarted)";
    if (result < -4095) return hexadecimal(static_cast<std::uint64_t>(result));
    const char* name = ::strerrorname_np(static_cast<int>(-result));
    if (name == nullptr) return "-1 " + std::to_string(-result);
    return "-1 " + std::string(name) + " (" + ::strerrordesc_np(static_cast<int>(-result)) + ")";
}

}  // namespace tinykvm::linux_abi
