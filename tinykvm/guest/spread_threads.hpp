// Lets threads of a program run on the further vCPUs of its guest, beside the one that runs on the first.
//
// For the program's Linux nothing changes: one thread runs and the others are parked (linux/threads.hpp). Before the
// guest is entered, parked threads that only need a processor are given to further vCPUs; when it has left, for
// whatever reason, all vCPUs stand still and the threads are parked again, where they are then. So system calls happen
// one after the other, and a snapshot, a reset and signals find every thread where they look for it. A thread that has
// left its vCPU with a system call makes it when it runs next (Wait::For::call); whatever else it left for it does once
// more on the first vCPU (Wait::For::first_cpu), where Exits handles it.
//
// Stopping all vCPUs for each exit costs more than the exit itself, so this pays for threads that compute and not for
// those that hand over to each other. Therefore it begins when a thread has used up its time slice while another could
// have run, and ends when the time in which vCPUs ran is not much longer than what it took to stop them. Where threads
// make calls or hand over to each other it is tried only now and then.
//
// Owned by Guest; borrows what it works on. Thread safety: the thread that runs the guest.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinykvm/guest/further_vcpus.hpp"
#include "tinykvm/guest/time_slices.hpp"
#include "tinykvm/guest/user_context.hpp"
#include "tinykvm/guest/write_limit.hpp"
#include "tinykvm/kvm/vcpu.hpp"
#include "tinykvm/linux/threads.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class SpreadThreads {
  public:
    // The parts of the guest it works on; all must outlive this.
    struct Parts {
        FurtherVcpus& further;
        GuestMemory& memory;
        UserContext& user;
        WriteLimit& writes;  // of the first vCPU
        TimeSlices& slices;
        const Options& options;
        Statistics& statistics;
        const std::atomic<bool>& interrupted;
    };
    explicit SpreadThreads(const Parts& parts) : parts_(parts) {}

    // Threads are spread in such a run only, and not from its beginning on.
    void begin_run();
    void end_run();
    // Has to be called when the running thread has used up its time slice.
    void note_end_of_slice();
    // Has to be called when threads handed over to each other in the guest.
    void note_hand_over() { handed_over_ = true; }
    // Can threads run beside the one that runs?
    bool is_active() const { return active_; }
    // From now on one thread runs at a time.
    void stop();

    // Gives threads to further vCPUs. Returns whether there are any.
    bool spread();
    // Enters the guest on the first vCPU and on those, and parks the threads again. Throws GuestFault, OutOfMemory or
    // MachineError.
    kvm::Exit run();

    // Makes this equal to a new one.
    void reset();

  private:
    using Nanoseconds = std::chrono::nanoseconds;

    bool can_run_beside(linux_abi::ParkedThread& thread) const;
    void choose();
    void place();
    void park_all();
    void park(unsigned cpu, linux_abi::ParkedThread& thread);
    void park_after(unsigned cpu, linux_abi::ParkedThread& thread, const kvm::Exit& exit);
    void park_where_it_is(unsigned cpu, linux_abi::ParkedThread& thread);
    void park_after_store(linux_abi::ParkedThread& thread, const kvm::Exit& exit, const Registers& at);
    void park_in_call(linux_abi::ParkedThread& thread, Registers registers);
    void park_after_exception(unsigned cpu, linux_abi::ParkedThread& thread, unsigned vector);
    void order_parked();
    void judge();

    const Parts parts_;
    bool usable_ = false, active_ = false;
    bool handed_over_ = false;          // since the end of the last time slice
    std::uint64_t calls_at_slice_ = 0;  // system calls the guest had made by then
    static constexpr unsigned first_put_off = 8;
    unsigned slices_to_wait_ = first_put_off, put_off_ = first_put_off;  // time slices until it is tried again
    std::vector<int> chosen_;                                            // threads to be given to vCPUs
    std::vector<int> ran_;                                               // threads that ran on vCPUs last
    Nanoseconds gained_{0}, lost_{0};                                    // since it was judged last
    Nanoseconds stood_still_at_{0};  // CPU time of this thread, when all stood still
};

}  // namespace tinykvm
