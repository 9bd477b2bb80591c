// System calls of a guest, with arguments of every kind. An input is bytes for the guest's data, and then calls: the
// number, and for each argument what kind it is.
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>

#include "tests/fuzz/booted.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::fuzz {
namespace {

constexpr std::size_t most_steps = 32, data_bytes = 8 * page_size, path_bytes = 64;
constexpr auto time_of_input = std::chrono::milliseconds(20);  // of sleeping ones; more finds nothing more

struct Step {  // as in guest.c
    std::uint64_t number = 0, results = 0, arguments[6] = {};
};

constexpr std::array<const char*, 16> paths = {
    "/f/file", "/f/folder/other", "/f/new",          "/f/folder", "/f/link",           "/f",   "/",        ".", "..",
    "",        "/proc/self/fd/3", "/proc/self/maps", "/dev/null", "/f/folder/../file", "file", "/f/loop/x"};

// The guest's folder on the host, with what a program may have there, and nothing it could fill the disk with.
Options with_folder() {
    const char* temporary = std::getenv("TMPDIR");
    std::string folder = std::string(temporary != nullptr ? temporary : "/tmp") + "/tinykvm-fuzz.XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) found("there is no folder for the guest");
    std::filesystem::create_directory(folder + "/folder");
    std::ofstream(folder + "/file") << "some text\n";
    std::ofstream(folder + "/folder/other") << std::string(10000, 'x');
    std::filesystem::create_symlink("folder/other", folder + "/link");
    std::filesystem::create_symlink("loop", folder + "/loop");
    const struct rlimit most { std::size_t{64} << 20, std::size_t{64} << 20 };  // also what a snapshot needs
    ::setrlimit(RLIMIT_FSIZE, &most);
    ::signal(SIGXFSZ, SIG_IGN);
    Options options;
    options.allowed_paths = {{"/f", folder, true}};
    options.log = [](std::string_view) {};
    return options;
}

class Caller {
  public:
    Caller() : guest_(with_folder()), data_(guest_.function("data")) {}

    void play(Input input) {
        guest_.attack([&](Fork& fork) {
            const auto data = input.take(input.byte());
            (void)fork.memory().write(data_ + page_size, data.data(), data.size());
            for (std::size_t i = 0; i < paths.size(); ++i)
                (void)fork.memory().write(data_ + i * path_bytes, paths[i], std::strlen(paths[i]) + 1);
            std::uint64_t count = 0;
            for (; count < most_steps && !input.ended(); ++count)
                if (!fork.memory().write(guest_.function("steps") + count * sizeof(Step), next_step(input)))
                    found("the guest has lost its data");
            (void)fork.call(guest_.function("play"), std::array{count}, guest_.calls, Clock::now() + time_of_input);
        });
    }

  private:
    Step next_step(Input& input) {
        Step step;
        step.number = input.number<std::uint16_t>() % 512;
        for (unsigned i = 0; i < 6 && !input.ended(); ++i) {
            const std::uint8_t kind = input.byte();
            step.results |= std::uint64_t{kind % 16 == 7} << i;
            step.arguments[i] = argument(kind, input);
        }
        return step;
    }

    std::uint64_t argument(std::uint8_t kind, Input& input) const {
        const std::uint64_t end = data_ + data_bytes;
        switch (kind % 16) {
            case 0: return 0;
            case 1: return input.byte();
            case 2: return ~std::uint64_t{input.byte()};
            case 3: return input.number<std::uint64_t>();
            case 4: return data_ + input.number<std::uint16_t>() % data_bytes;
            case 5: return end + page_size - input.byte() % 64;  // ends where nothing can be accessed
            case 6: return data_ + input.byte() % paths.size() * path_bytes;
            case 7: return input.byte();  // result of a step
            case 8: return std::uint64_t{1} << input.byte() % 64;
            case 9: return (std::uint64_t{1} << input.byte() % 64) - 1;
            case 10: return end;              // read-only
            case 11: return end + page_size;  // not accessible
            case 12: return special(input.byte());
            case 13: return kind / 16 % 8;                     // a descriptor
            case 14: return static_cast<std::uint64_t>(-100);  // AT_FDCWD
            default: return input.number<std::uint32_t>();
        }
    }

    std::uint64_t special(std::uint8_t which) const {
        const std::uint64_t addresses[] = {x86::stack_top,
                                           x86::stack_top - page_size,
                                           x86::system_begin,
                                           x86::shim,
                                           x86::mailbox,
                                           x86::doorbell,
                                           x86::clock_page,
                                           x86::system_end,
                                           x86::user_end,
                                           x86::user_end - 1,
                                           x86::user_begin,
                                           0xFFFF800000000000,
                                           ~std::uint64_t{0} - page_size + 1,
                                           guest_.function("play") & ~(page_size - 1),
                                           data_,
                                           std::uint64_t{1} << 40};
        return addresses[which % std::size(addresses)];
    }

    Booted guest_;
    const GuestAddr data_;
};

}  // namespace
}  // namespace tinykvm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static tinykvm::fuzz::Caller caller;
    caller.play({bytes, size});
    return 0;
}
