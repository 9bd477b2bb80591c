#include "tinykvm/debug/gdb_server.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "tinykvm/debug/gdb_packets.hpp"
#include "tinykvm/debug/gdb_registers.hpp"

namespace tinykvm::debug {

namespace {

constexpr std::size_t max_packet = GdbPacketReader::max_size;
constexpr std::size_t most_watchpoints = 16, largest_watchpoint = 4096;
constexpr const char *wrong = "E01", *well = "OK", *unknown = "";

std::string part_of(std::string_view whole, std::string_view range) {
    const std::uint64_t offset = take_hex_number(range);
    const std::uint64_t size = std::min<std::uint64_t>(take_hex_number(range), max_packet / 4);
    if (offset >= whole.size()) return "l";
    return (offset + size < whole.size() ? "m" : "l") + gdb_escape(whole.substr(offset, size));
}

std::string thread_list(const Target& target) {
    std::string text = "m";
    for (const int thread : target.threads())
        text += (text.size() > 1 ? "," : "") + hex_number(static_cast<unsigned>(thread));
    return text;
}

}  // namespace

GdbServer::GdbServer(std::uint16_t port, WithoutGdb without_gdb, Deadline deadline)
    : connection_(port), without_gdb_(without_gdb), deadline_(deadline) {}

Debugger::Resume GdbServer::stopped(Target& target, int signal, Event event) {
    if (goes_on_stepping(target, signal, event)) return Resume::step;
    signal_ = signal;
    thread_ = 0;
    if (std::exchange(started_, true)) connection_.send(stop_reply(target));  // at the beginning gdb asks
    const auto is_pointless = [&] { return target.is_interrupted(); };
    while (const auto packet = connection_.receive(deadline_, is_pointless)) {
        const auto reply = answer(target, *packet);
        if (!reply) {
            steps_for_watchpoints_ = !watchpoints_.empty() && resume_ == Resume::go_on && is_attached();
            return steps_for_watchpoints_ ? Resume::step : resume_;
        }
        connection_.send(*reply);
    }
    return without_gdb(target);
}

// The debugger has gone, or has to go.
Debugger::Resume GdbServer::without_gdb(Target& target) {
    const bool is_late = Clock::now() >= deadline_;
    let_go(target);
    return without_gdb_ == WithoutGdb::ends || is_late ? Resume::kill : Resume::go_on;
}

bool GdbServer::wants_stop() { return connection_.take_pause() || Clock::now() >= deadline_; }

void GdbServer::let_go(Target& target) {
    breakpoints_.remove_all(target);
    watchpoints_.clear();
    steps_for_watchpoints_ = false;
    connection_.close();
}

void GdbServer::exited(int status) {
    if (is_attached()) connection_.send("W" + to_hex(&status, 1));
    connection_.close();
}

void GdbServer::killed(int signal) {
    if (is_attached()) connection_.send("X" + to_hex(&signal, 1));
    connection_.close();
}

void GdbServer::print(std::string_view line) {
    if (is_attached()) connection_.send("O" + to_hex(std::string(line) + "\n"));
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
            if (rest.starts_with('g')) thread_ = any ? 0 : static_cast<int>(take_hex_number(digits));
            return well;
        }
        case 'T': {
            const auto threads = target.threads();
            std::string_view digits = rest;
            const auto id = static_cast<int>(take_hex_number(digits));
            return std::find(threads.begin(), threads.end(), id) != threads.end() ? well : wrong;
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
        default: return unknown;
    }
}

std::optional<std::string> GdbServer::resume(Target& target, std::string_view packet) {
    if (packet == "vCont?") return "vCont;c;C;s;S";
    if (packet.starts_with("vCont;")) {
        packet.remove_prefix(6);
        // "s:7;c": thread 7 makes a step. Only one thread can, and then no other runs.
        std::string_view thread = packet.substr(0, packet.find(';'));
        thread = thread.substr(std::min(thread.size(), thread.find(':')));
        thread.remove_prefix(std::min<std::size_t>(1, thread.size()));
        const auto id = static_cast<int>(take_hex_number(thread));
        if (id > 0 && id != target.threads().front() && !target.switch_to(id)) return wrong;
    } else if (packet.starts_with("vKill")) {
        connection_.send(well);
        packet = "k";
    } else if (packet[0] == 'v') {
        return unknown;
    }
    switch (packet.empty() ? 'c' : packet[0]) {
        case 'D':
            connection_.send(well);
            let_go(target);
            resume_ = Resume::go_on;
            return std::nullopt;
        case 'k':
            let_go(target);
            resume_ = Resume::kill;
            return std::nullopt;
        case 's':
        case 'S': resume_ = Resume::step; return std::nullopt;
        // The signals of the debugger's own doing are not the program's.
        case 'C':
            resume_ = signal_ == SIGTRAP || signal_ == SIGINT ? Resume::go_on : Resume::deliver;
            return std::nullopt;
        default: resume_ = Resume::go_on; return std::nullopt;
    }
}

std::string GdbServer::query(Target& target, std::string_view packet) {
    if (packet.starts_with("qSupported"))
        return "PacketSize=" + hex_number(max_packet) +
               ";QStartNoAckMode+;vContSupported+;swbreak+;qXfer:auxv:read+;qXfer:exec-file:read+;qXfer:features:read+";
    if (packet == "QStartNoAckMode") {
        connection_.stop_acknowledging();
        return well;
    }
    if (packet == "qC") return "QC" + hex_number(static_cast<unsigned>(target.threads().front()));
    if (packet == "qAttached") return without_gdb_ == WithoutGdb::goes_on ? "1" : "0";
    if (packet == "qfThreadInfo") return thread_list(target);
    if (packet == "qsThreadInfo") return "l";
    if (constexpr std::string_view what = "qThreadExtraInfo,"; packet.starts_with(what)) {
        packet.remove_prefix(what.size());
        return to_hex(target.thread_name(static_cast<int>(take_hex_number(packet))));
    }
    if (constexpr std::string_view what = "qXfer:auxv:read::"; packet.starts_with(what))
        return part_of(target.auxiliary_vector(), packet.substr(what.size()));
    if (constexpr std::string_view what = "qXfer:features:read:target.xml:"; packet.starts_with(what))
        return part_of(target_description(target.has_avx()), packet.substr(what.size()));
    if (constexpr std::string_view what = "qXfer:exec-file:read:"; packet.starts_with(what))
        return part_of(target.program_path(), packet.substr(packet.find(':', what.size()) + 1));
    return unknown;
}

std::string GdbServer::stop_reply(const Target& target) const {
    const int thread = target.threads().front();
    std::string why;
    if (changed_)
        why = "watch:" + hex_number(*changed_) + ";";
    else if (signal_ == SIGTRAP && has_breakpoint(target.registers(thread).general.rip))
        why = "swbreak:;";
    return "T" + to_hex(&signal_, 1) + why + "thread:" + hex_number(static_cast<unsigned>(thread)) + ";";
}

// --- Registers

int GdbServer::selected_thread(const Target& target) const { return thread_ != 0 ? thread_ : target.threads().front(); }

std::string GdbServer::all_registers(const Target& target) const {
    const ThreadRegisters registers = target.registers(selected_thread(target));
    std::string text;
    for (std::size_t number = 0; number < gdb_register_count(target.has_avx()); ++number) {
        const auto bytes = gdb_register(registers, number);
        text += to_hex(bytes.data(), bytes.size());
    }
    return text;
}

std::string GdbServer::set_all_registers(Target& target, std::string_view packet) {
    const auto bytes = from_hex(packet);
    if (!bytes || selected_thread(target) != target.threads().front()) return wrong;
    ThreadRegisters registers = target.registers(target.threads().front());
    std::span<const std::byte> rest = *bytes;
    for (std::size_t number = 0; number < gdb_register_count(target.has_avx()); ++number) {
        if (!set_gdb_register(registers, number, rest)) return wrong;
        rest = rest.subspan(gdb_register_size(number));
    }
    return target.set_registers(registers) ? well : wrong;
}

std::string GdbServer::one_register(const Target& target, std::string_view packet) const {
    const std::uint64_t number = take_hex_number(packet);
    if (number >= gdb_register_count(target.has_avx())) return wrong;
    const auto bytes = gdb_register(target.registers(selected_thread(target)), number);
    return to_hex(bytes.data(), bytes.size());
}

std::string GdbServer::set_one_register(Target& target, std::string_view packet) {
    const std::uint64_t number = take_hex_number(packet);
    const auto bytes = from_hex(packet);
    if (!bytes || number >= gdb_register_count(target.has_avx()) || selected_thread(target) != target.threads().front())
        return wrong;
    ThreadRegisters registers = target.registers(target.threads().front());
    return set_gdb_register(registers, number, *bytes) && target.set_registers(registers) ? well : wrong;
}

// --- Memory

// As much as there is before the first byte that is not mapped.
std::vector<std::byte> GdbServer::read_without_breakpoints(const Target& target, GuestAddr from,
                                                           std::uint64_t size) const {
    std::vector<std::byte> bytes(std::min<std::uint64_t>(size, max_packet / 2 - 16));
    if (!target.read(from, bytes)) {
        std::size_t readable = 0;
        while (readable < bytes.size() && target.read(from + readable, {&bytes[readable], 1})) ++readable;
        bytes.resize(readable);
    }
    breakpoints_.hide(from, bytes);
    return bytes;
}

std::string GdbServer::read_memory(const Target& target, std::string_view packet) const {
    const GuestAddr from = take_hex_number(packet);
    const auto bytes = read_without_breakpoints(target, from, take_hex_number(packet));
    return bytes.empty() ? wrong : to_hex(bytes.data(), bytes.size());
}

std::string GdbServer::write_memory(Target& target, std::string_view packet) {
    const GuestAddr to = take_hex_number(packet);
    const std::uint64_t size = take_hex_number(packet);
    const auto bytes = from_hex(packet);
    return bytes && bytes->size() == size && breakpoints_.write(target, to, *bytes) ? well : wrong;
}

// --- Breakpoints and watchpoints

std::string GdbServer::change_breakpoint(Target& target, std::string_view packet) {
    if (packet.size() < 3) return wrong;
    const bool insert = packet[0] == 'Z';
    const char kind = packet[1];
    packet.remove_prefix(3);
    const GuestAddr address = take_hex_number(packet);
    if (kind == '2') return change_watchpoint(target, insert, address, take_hex_number(packet));
    if (kind != '0') return unknown;  // there are software breakpoints only
    if (insert) return breakpoints_.insert(target, address) ? well : wrong;
    breakpoints_.remove(target, address);
    return well;
}

std::string GdbServer::change_watchpoint(const Target& target, bool insert, GuestAddr address, std::uint64_t size) {
    std::erase_if(watchpoints_,
                  [&](const Watchpoint& one) { return one.address == address && one.last.size() == size; });
    if (!insert) return well;
    std::vector<std::byte> now(std::min<std::uint64_t>(size, largest_watchpoint));
    if (watchpoints_.size() == most_watchpoints || now.size() != size || !target.read(address, now)) return wrong;
    watchpoints_.push_back({address, std::move(now)});
    return well;
}

bool GdbServer::take_changed_watchpoint(const Target& target) {
    changed_.reset();
    for (Watchpoint& one : watchpoints_) {
        std::vector<std::byte> now(one.last.size());
        if (!target.read(one.address, now) || now == one.last) continue;
        one.last = std::move(now);
        if (!changed_) changed_ = one.address;
    }
    return changed_.has_value();
}

bool GdbServer::goes_on_stepping(const Target& target, int signal, Event event) {
    const bool changed = take_changed_watchpoint(target);
    if (!std::exchange(steps_for_watchpoints_, false) || changed || event != Event::signal || signal != SIGTRAP ||
        has_breakpoint(target.registers(target.threads().front()).general.rip) || target.is_interrupted() ||
        wants_stop())
        return false;
    return steps_for_watchpoints_ = true;
}

}  // namespace tinykvm::debug
