// What a debugger may send: packets that are made up, and made wrong, to a program of some memory and registers. It
// needs no KVM.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "tests/fuzz/input.hpp"
#include "tinykvm/debug/gdb_packets.hpp"
#include "tinykvm/debug/gdb_server.hpp"

namespace tinykvm::fuzz {
namespace {

class PieceOfMemory final : public debug::Target {
  public:
    std::vector<int> threads() const override { return {7, 9}; }
    std::string thread_name(int) const override { return "thread"; }
    debug::ThreadRegisters registers(int thread) const override {
        return thread == 7 ? current_ : debug::ThreadRegisters{};
    }
    bool set_registers(const debug::ThreadRegisters& registers) override {
        if (registers.vectors.size() != current_.vectors.size()) found("vector registers of another size");
        current_ = registers;
        return true;
    }
    bool switch_to(int thread) override { return thread == 7; }
    bool read(GuestAddr from, std::span<std::byte> to) const override {
        if (from < begin || from - begin > size || to.size() > size - (from - begin)) return false;
        std::copy_n(memory_.data() + (from - begin), to.size(), to.data());
        return true;
    }
    bool write(GuestAddr to, std::span<const std::byte> from) override {
        if (to < begin || to - begin > size || from.size() > size - (to - begin)) return false;
        std::copy(from.begin(), from.end(), memory_.data() + (to - begin));
        return true;
    }
    const std::string& auxiliary_vector() const override { return auxiliary_; }
    const std::string& program_path() const override { return auxiliary_; }
    bool has_avx() const override { return true; }
    bool is_interrupted() const override { return false; }

  private:
    static constexpr GuestAddr begin = 0x1000;
    static constexpr std::size_t size = 64;
    std::array<std::byte, size> memory_{};
    debug::ThreadRegisters current_{{}, 0, 0, std::vector<std::byte>(832)};
    std::string auxiliary_ = "auxiliary#vector";
};

// Bytes as they come, or the same as a packet with a right checksum.
std::string made_up(Input& input) {
    std::string all;
    while (!input.ended()) {
        const std::uint8_t kind = input.byte();
        const auto bytes = input.take(input.byte());
        const std::string text(bytes.begin(), bytes.end());
        all += kind % 4 == 0 ? text : debug::gdb_packet(text);
    }
    return all;
}

}  // namespace
}  // namespace tinykvm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace tinykvm;
    fuzz::Input input(bytes, size);
    const std::string sent = fuzz::made_up(input);
    const Deadline soon = Clock::now() + std::chrono::minutes(5);
    debug::GdbServer server(0, debug::GdbServer::WithoutGdb::ends, soon);
    const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || !server.accept(soon))
        return 0;
    (void)::send(socket.get(), sent.data(), sent.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)::shutdown(socket.get(), SHUT_WR);
    fuzz::PieceOfMemory target;
    for (int i = 0; i < 64 && server.is_attached(); ++i) {
        (void)server.stopped(target, i % 2 ? 5 : 11, debug::Debugger::Event::signal);
        (void)server.wants_stop();
    }
    server.let_go(target);
    for (GuestAddr at = 0x1000; at < 0x1040; ++at)
        if (server.has_breakpoint(at)) fuzz::found("a breakpoint that stayed");
    return 0;
}
