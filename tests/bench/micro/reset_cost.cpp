// What a dirty page adds to a reset, against memcpy of the same pages: from a shared read-only image to pages
// of a private mapping of it, in ascending order, after one byte of each was written.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "src/cli/waiting_program.hpp"
#include "tests/bench/micro/micro.hpp"
#include "tinykvm/os/file_descriptor.hpp"
#include "tinykvm/os/mapping.hpp"

namespace tinykvm::bench {

namespace {

class PlainPages {
  public:
    explicit PlainPages(std::size_t pages)
        : pages_(pages),
          file_(filled_file(pages * page_size)),
          image_("cannot map an image", pages * page_size, PROT_READ, MAP_PRIVATE, file_.get()),
          copy_("cannot map a copy", pages * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_.get()) {}

    void write_to_each() {
        for (std::size_t i = 0; i < pages_; ++i) {
            volatile std::byte& first = copy_.data()[i * page_size];
            first = std::byte{1};
        }
    }
    void restore() {
        for (std::size_t i = 0; i < pages_; ++i)
            std::memcpy(copy_.data() + i * page_size, image_.data() + i * page_size, page_size);
    }

  private:
    static FileDescriptor filled_file(std::size_t size) {
        FileDescriptor file(::memfd_create("bench image", MFD_CLOEXEC));
        if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
            throw MachineError::from_errno("cannot make an image", errno);
        Mapping all("cannot map an image", size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
        std::memset(all.data(), 0xA5, size);
        return file;
    }

    std::size_t pages_;
    FileDescriptor file_;
    Mapping image_, copy_;
};

struct Costs {
    double call, reset, memcpy;  // microseconds
};

Costs measure(cli::WaitingProgram& program, std::size_t pages, int rounds) {
    Fork fork(program.snapshot());
    PlainPages plain(pages > 0 ? pages : 1);
    std::vector<double> calls, resets, copies;
    for (int round = -1; round < rounds; ++round) {
        const double call = microseconds_of([&] { program.call(fork, pages); });
        const double reset = microseconds_of([&] { fork.reset(); });
        plain.write_to_each();
        const double copy = microseconds_of([&] { plain.restore(); });
        if (round < 0) continue;  // pages became private
        calls.push_back(call);
        resets.push_back(reset);
        copies.push_back(copy);
    }
    return {median(std::move(calls)), median(std::move(resets)), median(std::move(copies))};
}

}  // namespace

void reset_cost(Effort effort) {
    cli::WaitingProgram program(Program::from_file(build_folder + "/bench/pages"));
    const Costs nothing = measure(program, 0, effort.rounds(1000));
    std::printf("%8s %12s %12s %12s %14s %10s\n", "pages", "call us", "reset us", "memcpy us", "ns per page", "ratio");
    std::printf("%8d %12.2f %12.2f\n", 0, nothing.call, nothing.reset);
    for (const std::size_t pages : {1, 10, 100, 1000, 4000, 10000}) {
        const Costs costs = measure(program, pages, effort.rounds(pages > 1000 ? 30 : 300));
        const double more = costs.reset - nothing.reset;
        std::printf("%8zu %12.2f %12.2f %12.2f %14.0f %10.2f\n", pages, costs.call, costs.reset, costs.memcpy,
                    more * 1000 / static_cast<double>(pages), more / costs.memcpy);
    }
    std::puts(
        "\ncall: of the request that writes to the pages. ns per page and ratio: of what the pages add to a "
        "reset\n"
        "of a request that wrote to none of them.");
}

}  // namespace tinykvm::bench
