// What the first access of a guest to a page costs in KVM itself, in bare VMs whose pages the host has made private
// already: the least that the first request of a fork could cost, if it had to find its pages by itself.
#include <cstdio>
#include <optional>
#include <vector>

#include "tests/bench/micro/bare_kvm.hpp"
#include "tests/bench/micro/micro.hpp"

namespace tinykvm::bench {

namespace {

enum class Way { not_populated, populated, pre_faulted, not_tracked, huge };

struct Costs {
    double first, later;  // microseconds
};

std::optional<Costs> measure(Way way, std::size_t pages, int image, int rounds) {
    std::vector<double> first, later;
    BareVm::Shape shape{.pages = pages};
    if (way == Way::not_tracked || way == Way::huge) shape.ring = 0;
    shape.huge = way == Way::huge;
    for (int i = 0; i < rounds; ++i) {
        BareVm vm(shape, image);
        vm.create();
        if (way != Way::not_populated) vm.populate();
        if (way == Way::pre_faulted && !vm.pre_fault()) return std::nullopt;
        first.push_back(microseconds_of([&] { vm.touch(); }));
        for (int again = 0; again < 5; ++again) later.push_back(microseconds_of([&] { vm.touch(); }));
    }
    return Costs{median(std::move(first)), median(std::move(later))};
}

}  // namespace

void first_access(Effort effort) {
    constexpr std::pair<Way, const char*> ways[] = {
        {Way::not_populated, "host has no copies yet"},
        {Way::populated, "host has made copies"},
        {Way::pre_faulted, "and KVM_PRE_FAULT_MEMORY"},
        {Way::not_tracked, "writes are not tracked"},
        {Way::huge, "nor are pages small"},
    };
    std::printf("%8s  %-26s %12s %12s %14s\n", "pages", "", "first, us", "later, us", "us per page");
    for (const std::size_t pages : {64, 1024}) {
        const FileDescriptor image = filled_file(pages);
        for (const auto& [way, name] : ways) {
            const auto costs = measure(way, pages, image.get(), effort.rounds(20));
            if (costs)
                std::printf("%8zu  %-26s %12.0f %12.1f %14.2f\n", pages, name, costs->first, costs->later,
                            (costs->first - costs->later) / static_cast<double>(pages));
            else
                std::printf("%8zu  %-26s %12s\n", pages, name, "not possible");
        }
    }
}

}  // namespace tinykvm::bench
