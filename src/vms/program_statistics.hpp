// What one program has done, for displays: each request VM counts by itself, so that they do not slow each other down,
// and the program's totals are their sum, with what VMs counted that are gone. Everything goes to the process's
// counters as well.
//
// Thread safety: any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "src/base/counter_sink.hpp"
#include "tinykvm/os/mutex.hpp"

namespace tinykvm::host {

// Indexed by Counter.
using CounterValues = std::array<std::uint64_t, counter_count>;

inline std::uint64_t value_of(const CounterValues& values, Counter counter) {
    return values[static_cast<std::size_t>(counter)];
}

// The most that any request so far has taken: what limits are chosen by.
struct RequestPeaks {
    std::uint64_t memory = 0;        // bytes changed or added at a time
    std::uint64_t microseconds = 0;  // of max_request_time

    void include(const RequestPeaks& other) {
        memory = std::max(memory, other.memory);
        microseconds = std::max(microseconds, other.microseconds);
    }
};

// A request VM as it is now. Bytes.
struct MachineReport {
    CounterValues counts{};
    RequestPeaks peaks;
    std::uint64_t memory_capacity = 0;  // how much it may change or add
    std::uint64_t memory_current = 0;   // how much of its memory is its own
    std::uint64_t memory_highest = 0;
    std::uint64_t snapshot_memory = 0;  // shared by all of them
};

// A program's storage as it is now.
struct StorageReport {
    MachineReport machine;
    std::size_t calls_queued = 0, tasks_queued = 0, tasks_inschedule = 0;
};

struct ProgramReport {
    std::string name;
    std::size_t binary_size = 0;
    std::string binary_type;
    bool is_from_file = false;  // its cold_start_file
    std::uint64_t live_updates = 0, live_update_bytes = 0;
    CounterValues totals{};  // of all machines there were, and of requests that never got one
    RequestPeaks peaks;      // of all machines there were
    std::vector<MachineReport> machines;
    StorageReport storage;  // of nothing, if there is none
};

class MachineStatistics;

class ProgramStatistics final : public CounterSink {
  public:
    // `process` gets everything, too.
    explicit ProgramStatistics(CounterSink& process) : process_(process) {}
    ProgramStatistics(const ProgramStatistics&) = delete;
    ProgramStatistics& operator=(const ProgramStatistics&) = delete;

    // Counts what belongs to no machine.
    void add(Counter counter, std::uint64_t amount) noexcept override;

    // Fills in totals, peaks and machines.
    void report(ProgramReport& report) const;

  private:
    friend class MachineStatistics;

    CounterSink& process_;
    mutable Mutex mutex_;
    CounterValues others_ TINYKVM_GUARDED_BY(mutex_){};  // counted here, or by machines that are gone
    RequestPeaks peaks_ TINYKVM_GUARDED_BY(mutex_);      // of machines that are gone
    std::set<const MachineStatistics*> machines_ TINYKVM_GUARDED_BY(mutex_);
};

// The statistics of one request VM. They must be destroyed before those of its program.
class MachineStatistics final : public CounterSink {
  public:
    MachineStatistics(ProgramStatistics& program, std::uint64_t memory_capacity, std::uint64_t snapshot_memory);
    ~MachineStatistics();
    MachineStatistics(const MachineStatistics&) = delete;
    MachineStatistics& operator=(const MachineStatistics&) = delete;

    void add(Counter counter, std::uint64_t amount) noexcept override;
    void set_memory(std::uint64_t current) noexcept;
    // What a request has taken. One thread at a time for each.
    void note_request_memory(std::uint64_t bytes) noexcept;
    void note_request_time(std::chrono::microseconds time) noexcept;

    MachineReport report() const;
    std::uint64_t count(Counter counter) const noexcept {
        return counts_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
    }

  private:
    ProgramStatistics& program_;
    const std::uint64_t memory_capacity_, snapshot_memory_;
    std::array<std::atomic<std::uint64_t>, counter_count> counts_{};
    std::atomic<std::uint64_t> memory_current_{0}, memory_highest_{0}, request_memory_{0}, request_microseconds_{0};
};

}  // namespace tinykvm::host
