#include "tinykvm/debug/gdb_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <vector>

#include "tinykvm/errors.hpp"

namespace tinykvm::debug {

namespace {

constexpr std::byte breakpoint_code{0xCC};
constexpr std::size_t max_packet = 0x4000;
// In the order of the packet `g` for x86-64: 17 registers of 8 bytes, then 7 of 4 bytes, and then x87 and SSE, which
// are not told.
constexpr std::array<std::uint64_t Registers::*, 17> general = {
    &Registers::rax, &Registers::rbx, &Registers::rcx, &Registers::rdx, &Registers::rsi, &Registers::rdi,
    &Registers::rbp, &Registers::rsp, &Registers::r8,  &Registers::r9,  &Registers::r10, &Registers::r11,
    &Registers::r12, &Registers::r13, &Registers::r14, &Registers::r15, &Registers::rip};
constexpr std::size_t flags_index = 17, code_index = 18, stack_index = 19, last_segment = 23;
constexpr std::uint32_t user_code = 0x33, user_data = 0x2B;

std::string hex(const void* data, std::size_t size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        const auto byte = static_cast<const unsigned char*>(data)[i];
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}
std::string hex(std::string_view text) { return hex(text.data(), text.size()); }

// Fewer bytes when a digit is wrong.
std::vector<std::byte> bytes_of(std::string_view text) {
    std::vector<std::byte> bytes;
    for (; text.size() >= 2; text.remove_prefix(2)) {
        unsigned value = 0;
        if (std::from_chars(text.data(), text.data() + 2, value, 16).ptr != text.data() + 2) break;
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

// Takes a hexadecimal number, and the character after it, off a text.
std::uint64_t take_number(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    text.remove_prefix(std::min<std::size_t>(static_cast<std::size_t>(end - text.data()) + 1, text.size()));
    return value;
}

std::string number(std::uint64_t value) {
    char text[20];
    return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

constexpr const char* wrong = "E01";

std::string part_of(const std::string& whole, std::string_view range) {
    const std::uint64_t offset = take_number(range), size = std::min<std::uint64_t>(take_number(range), max_packet / 4);
    if (offset >= whole.size()) return "l";
    std::string text = offset + size < whole.size() ? "m" : "l";
    for (const char c : std::string_view(whole).substr(offset, size)) {
        if (c == '#' || c == '$' || c == '}' || c == '*') {
            text += '}';
            text += static_cast<char>(c ^ 0x20);
        } else {
            text += c;
        }
    }
    return text;
}

}  // namespace

GdbServer::GdbServer(std::uint16_t port) : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (!listening_ || ::setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listening_.get(), 1) != 0 ||
        ::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw MachineError::from_errno("cannot wait for gdb at 127.0.0.1:" + std::to_string(port), errno);
    port_ = ntohs(address.sin_port);
}

void GdbServer::accept() {
    connection_ = FileDescriptor(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection_) throw MachineError::from_errno("cannot accept the connection of gdb", errno);
    const int on = 1;
    ::setsockopt(connection_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Debugger::Resume GdbServer::stopped(Target& target, int signal) {
    signal_ = signal;
    thread_ = 0;
    if (started_) send(stop_reply(target));  // at the beginning gdb asks
    started_ = true;
    while (connection_) {
        const auto packet = receive();
        if (!packet) break;
        const auto reply = answer(target, *packet);
        if (!reply) return resume_;
        send(*reply);
    }
    return Resume::kill;  // the debugger has gone, and nobody waits for the program
}

void GdbServer::exited(int status) {
    if (connection_) send("W" + hex(&status, 1));
}

void GdbServer::killed(int signal) {
    if (connection_) send("X" + hex(&signal, 1));
}

std::optional<std::string> GdbServer::answer(Target& target, std::string_view packet) {
    const std::string_view rest = packet.substr(std::min<std::size_t>(1, packet.size()));
    switch (packet.empty() ? '\0' : packet[0]) {
        case '?': return stop_reply(target);
        case 'g': return all_registers(target);
        case 'G': return set_all_registers(target, rest);
        case 'p': return one_register(target, rest);
        case 'P': return set_one_register(target, rest);
        case 'm': return read_memory(target, rest);
        case 'M': return write_memory(target, rest);
        case 'Z':
        case 'z': return change_breakpoint(target, packet);
        case 'H': {
            std::string_view digits = rest.substr(std::min<std::size_t>(1, rest.size()));
            const bool any = digits.starts_with('-');
            if (rest.starts_with('g')) thread_ = any ? 0 : static_cast<int>(take_number(digits));
            return "OK";
        }
        case 'T': {
            const auto threads = target.threads();
            std::string_view digits = rest;
            const auto id = static_cast<int>(take_number(digits));
            return std::find(threads.begin(), threads.end(), id) != threads.end() ? "OK" : wrong;
        }
        case 'c':
        case 's':
        case 'C':
        case 'S':
        case 'k':
        case 'D':
        case 'v': return resume(target, packet);
        case 'q':
        case 'Q': return query(target, packet);
        default: return "";
    }
}

std::optional<std::string> GdbServer::resume(Target& target, std::string_view packet) {
    if (packet == "vCont?") return "vCont;c;C;s;S";
    if (packet.starts_with("vCont;")) {
        packet.remove_prefix(6);
        // "s:7;c": thread 7 makes a step. Only one thread can, and then no other runs.
        std::string_view thread = packet.substr(0, packet.find(';'));
        thread.remove_prefix(std::min(thread.find(':'), thread.size() - 1) + 1);
        const auto id = static_cast<int>(take_number(thread));
        if (id > 0 && id != target.threads().front() && !target.switch_to(id)) return wrong;
    } else if (packet.starts_with("vKill")) {
        packet = "k";
    } else if (packet[0] == 'v') {
        return "";
    }
    switch (packet.empty() ? 'c' : packet[0]) {
        case 'D':
            send("OK");
            connection_ = {};
            resume_ = Resume::go_on;
            return std::nullopt;
        case 'k': resume_ = Resume::kill; return std::nullopt;
        case 's':
        case 'S': resume_ = Resume::step; return std::nullopt;
        case 'C': resume_ = signal_ == SIGTRAP ? Resume::go_on : Resume::deliver; return std::nullopt;
        default: resume_ = Resume::go_on; return std::nullopt;
    }
}

std::optional<std::string> GdbServer::query(Target& target, std::string_view packet) {
    if (packet.starts_with("qSupported"))
        return "PacketSize=" + number(max_packet) +
               ";QStartNoAckMode+;vContSupported+;swbreak+;qXfer:auxv:read+;qXfer:exec-file:read+";
    if (packet == "QStartNoAckMode") {
        acknowledges_ = false;
        return "OK";
    }
    if (packet == "qC") return "QC" + number(static_cast<unsigned>(target.threads().front()));
    if (packet == "qAttached") return "0";
    if (packet == "qfThreadInfo") {
        std::string text = "m";
        for (const int thread : target.threads())
            text += (text.size() > 1 ? "," : "") + number(static_cast<unsigned>(thread));
        return text;
    }
    if (packet == "qsThreadInfo") return "l";
    if (constexpr std::string_view what = "qThreadExtraInfo,"; packet.starts_with(what)) {
        packet.remove_prefix(what.size());
        return hex(target.thread_name(static_cast<int>(take_number(packet))));
    }
    if (constexpr std::string_view what = "qXfer:auxv:read::"; packet.starts_with(what))
        return part_of(target.auxiliary_vector(), packet.substr(what.size()));
    if (constexpr std::string_view what = "qXfer:exec-file:read:"; packet.starts_with(what))
        return part_of(target.program_path(), packet.substr(packet.find(':', what.size()) + 1));
    return "";
}

std::string GdbServer::stop_reply(const Target& target) const {
    return "T" + hex(&signal_, 1) + "thread:" + number(static_cast<unsigned>(target.threads().front())) + ";";
}

// --- Registers and memory

std::string GdbServer::all_registers(const Target& target) const {
    const int thread = thread_ != 0 ? thread_ : target.threads().front();
    const Registers registers = target.registers(thread);
    std::string text;
    for (const auto member : general) text += hex(&(registers.*member), sizeof(std::uint64_t));
    text += hex(&registers.rflags, sizeof(std::uint32_t));
    for (std::size_t index = code_index; index <= last_segment; ++index) {
        const std::uint32_t selector = index == code_index ? user_code : index == stack_index ? user_data : 0;
        text += hex(&selector, sizeof selector);
    }
    return text;
}

std::string GdbServer::set_all_registers(Target& target, std::string_view text) {
    Registers registers = target.registers(target.threads().front());
    const std::vector<std::byte> bytes = bytes_of(text);
    if (bytes.size() < general.size() * sizeof(std::uint64_t)) return wrong;
    for (std::size_t i = 0; i < general.size(); ++i)
        std::memcpy(&(registers.*general[i]), bytes.data() + i * sizeof(std::uint64_t), sizeof(std::uint64_t));
    return target.set_registers(registers) ? "OK" : wrong;
}

std::string GdbServer::one_register(const Target& target, std::string_view packet) const {
    const std::uint64_t index = take_number(packet);
    const int thread = thread_ != 0 ? thread_ : target.threads().front();
    const Registers registers = target.registers(thread);
    if (index < general.size()) return hex(&(registers.*general[index]), sizeof(std::uint64_t));
    std::uint32_t value = 0;
    if (index == flags_index) value = static_cast<std::uint32_t>(registers.rflags);
    if (index == code_index) value = user_code;
    if (index == stack_index) value = user_data;
    return index <= last_segment ? hex(&value, sizeof value) : wrong;
}

std::string GdbServer::set_one_register(Target& target, std::string_view packet) {
    const std::uint64_t index = take_number(packet);
    std::vector<std::byte> bytes = bytes_of(packet);
    bytes.resize(sizeof(std::uint64_t));
    Registers registers = target.registers(target.threads().front());
    if (index > flags_index) return wrong;
    std::memcpy(index == flags_index ? &registers.rflags : &(registers.*general[index]), bytes.data(), bytes.size());
    return target.set_registers(registers) ? "OK" : wrong;
}

std::string GdbServer::read_memory(const Target& target, std::string_view packet) const {
    const GuestAddr from = take_number(packet);
    std::vector<std::byte> bytes(std::min<std::uint64_t>(take_number(packet), max_packet / 2));
    // What can be read before the first byte that is not mapped.
    while (!bytes.empty() && !target.read(from, bytes)) bytes.resize(bytes.size() / 2);
    if (bytes.empty()) return wrong;
    for (const auto& [address, before] : breakpoints_)
        if (address - from < bytes.size()) bytes[address - from] = before;
    return hex(bytes.data(), bytes.size());
}

std::string GdbServer::write_memory(Target& target, std::string_view packet) {
    const GuestAddr to = take_number(packet);
    take_number(packet);
    std::vector<std::byte> bytes = bytes_of(packet);
    for (auto& [address, before] : breakpoints_)
        if (address - to < bytes.size()) {
            before = bytes[address - to];
            bytes[address - to] = breakpoint_code;
        }
    return target.write(to, bytes) ? "OK" : wrong;
}

std::string GdbServer::change_breakpoint(Target& target, std::string_view packet) {
    const bool insert = packet[0] == 'Z';
    if (packet.size() < 3 || packet[1] != '0') return "";  // there are software breakpoints only
    packet.remove_prefix(3);
    const GuestAddr address = take_number(packet);
    const auto found = breakpoints_.find(address);
    if (insert != (found == breakpoints_.end())) return "OK";
    std::byte code = breakpoint_code;
    if (insert) {
        std::byte before{};
        if (!target.read(address, {&before, 1}) || !target.write(address, {&code, 1})) return wrong;
        breakpoints_.emplace(address, before);
    } else {
        (void)target.write(address, {&found->second, 1});
        breakpoints_.erase(found);
    }
    return "OK";
}

// --- Packets: $TEXT#CHECKSUM

std::optional<char> GdbServer::receive_byte() {
    char byte = 0;
    ssize_t size = 0;
    do size = ::recv(connection_.get(), &byte, 1, 0);
    while (size < 0 && errno == EINTR);
    return size == 1 ? std::optional(byte) : std::nullopt;
}

std::optional<std::string> GdbServer::receive() {
    std::string packet;
    for (;;) {
        auto byte = receive_byte();
        while (byte && *byte != '$') byte = receive_byte();
        packet.clear();
        for (byte = receive_byte(); byte && *byte != '#' && packet.size() < max_packet; byte = receive_byte())
            packet += *byte;
        if (!byte || !receive_byte() || !receive_byte()) return std::nullopt;
        if (acknowledges_ && ::send(connection_.get(), "+", 1, MSG_NOSIGNAL) != 1) return std::nullopt;
        return packet;
    }
}

void GdbServer::send(std::string_view packet) {
    std::uint8_t sum = 0;
    for (const char c : packet) sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(c));
    const std::string whole = "$" + std::string(packet) + "#" + hex(&sum, 1);
    std::string_view rest = whole;
    while (!rest.empty()) {
        const ssize_t size = ::send(connection_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) {
            connection_ = {};
            return;
        }
        rest.remove_prefix(static_cast<std::size_t>(size));
    }
}

}  // namespace tinykvm::debug
