// A program's file: its headers, what is loaded of it, its first steps, and its symbols when it crashes.
#include "tests/fuzz/input.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"

namespace tinykvm::fuzz {
namespace {

void boot(const std::shared_ptr<const Program>& program) {
    Options options;
    options.max_memory = std::size_t{16} << 20;
    options.max_address_space = std::size_t{256} << 20;
    options.stack_size = 65536;
    Machine machine(program, options);
    try {
        (void)machine.run(nullptr, Clock::now() + std::chrono::milliseconds(5));
    } catch (const GuestFault& fault) {
        if (fault.report().size() > 100000) found("an endless report");
    }
}

void load(std::span<const std::uint8_t> bytes) {
    const auto begin = reinterpret_cast<const std::byte*>(bytes.data());
    const auto program = Program::from_bytes({begin, begin + bytes.size()}, "fuzz");
    for (const std::uint64_t address : {program->entry(), std::uint64_t{0}, ~std::uint64_t{0}})
        if (program->symbol_at(address).name.size() > 256) found("an endless name");
    boot(program);
}

}  // namespace
}  // namespace tinykvm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    try {
        tinykvm::fuzz::load({bytes, size});
    } catch (const tinykvm::Error&) {
    }
    return 0;
}
