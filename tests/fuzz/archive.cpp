// Archives with programs in them. That they take little memory is what -rss_limit_mb and -malloc_limit_mb see to (run).
#include "src/source/archive.hpp"

#include "src/base/failure.hpp"
#include "tests/fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace tinykvm;
    const auto archive = std::as_bytes(std::span(bytes, size));
    (void)host::is_archive(archive);
    try {
        const auto program = host::unpack_program(archive, {"program", "other"}, [] {},
                                                  {{std::size_t{1} << 20}, std::size_t{8} << 20, 1000});
        if (program.size() > std::size_t{1} << 20) fuzz::found("a program that is too large");
    } catch (const host::Failure& failure) {
        if (!std::string_view(failure.what()).starts_with("the archive ")) fuzz::found(failure.what());
    }
    return 0;
}
