#include "src/vms/program_statistics.hpp"

#include <algorithm>

namespace tinykvm::host {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

void add_to(CounterValues& sum, const CounterValues& more) {
    for (std::size_t i = 0; i < sum.size(); i++) {
        sum[i] += more[i];
    }
}

// One thread at a time raises it.
void raise_to(std::atomic<std::uint64_t>& highest, std::uint64_t value) {
    if (highest.load(relaxed) < value) {
        highest.store(value, relaxed);
    }
}

}  // namespace

void ProgramStatistics::add(Counter counter, std::uint64_t amount) noexcept {
    process_.add(counter, amount);
    const MutexLock lock(mutex_);
    others_[static_cast<std::size_t>(counter)] += amount;
}

void ProgramStatistics::report(ProgramReport& report) const {
    const MutexLock lock(mutex_);
    report.totals = others_;
    report.peaks = peaks_;
    report.machines.clear();
    for (const MachineStatistics* machine : machines_) {
        report.machines.push_back(machine->report());
        add_to(report.totals, report.machines.back().counts);
        report.peaks.include(report.machines.back().peaks);
    }
}

MachineStatistics::MachineStatistics(ProgramStatistics& program, std::uint64_t memory_capacity,
                                     std::uint64_t snapshot_memory)
    : program_(program), memory_capacity_(memory_capacity), snapshot_memory_(snapshot_memory) {
    const MutexLock lock(program_.mutex_);
    program_.machines_.insert(this);
}

MachineStatistics::~MachineStatistics() {
    const MutexLock lock(program_.mutex_);
    program_.machines_.erase(this);
    const MachineReport last = report();
    add_to(program_.others_, last.counts);
    program_.peaks_.include(last.peaks);
}

void MachineStatistics::add(Counter counter, std::uint64_t amount) noexcept {
    if (amount != 0) {
        program_.process_.add(counter, amount);
        counts_[static_cast<std::size_t>(counter)].fetch_add(amount, relaxed);
    }
}

void MachineStatistics::set_memory(std::uint64_t current) noexcept {
    memory_current_.store(current, relaxed);
    raise_to(memory_highest_, current);
}

void MachineStatistics::note_request_memory(std::uint64_t bytes) noexcept { raise_to(request_memory_, bytes); }

void MachineStatistics::note_request_time(std::chrono::microseconds time) noexcept {
    raise_to(request_microseconds_, static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)));
}

MachineReport MachineStatistics::report() const {
    MachineReport report;
    std::transform(counts_.begin(), counts_.end(), report.counts.begin(),
                   [](const auto& count) { return count.load(relaxed); });
    report.peaks = {request_memory_.load(relaxed), request_microseconds_.load(relaxed)};
    report.memory_capacity = memory_capacity_;
    report.memory_current = memory_current_.load(relaxed);
    report.memory_highest = memory_highest_.load(relaxed);
    report.snapshot_memory = snapshot_memory_;
    return report;
}

}  // namespace tinykvm::host
