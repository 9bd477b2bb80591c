// A program on its way: loaded, booted, then frozen into a Snapshot. Life: load -> boot -> freeze.
//
// Owns its VM, memory and open files. Thread safety: any thread, one at a time, except interrupt().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tinykvm/callable.hpp"
#include "tinykvm/host_calls.hpp"
#include "tinykvm/memory/guest_memory.hpp"
#include "tinykvm/options.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/run.hpp"
#include "tinykvm/snapshot.hpp"
#include "tinykvm/statistics.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm {

class Guest;
namespace debug {
class Debugger;
}

class Machine final : public Callable {
  public:
    // Loads `program` and lays out its memory. Throws LoadError, OutOfMemory or MachineError.
    Machine(std::shared_ptr<const Program> program, Options options);
    ~Machine();
    Machine(Machine&&) noexcept;
    Machine& operator=(Machine&&) noexcept;

    // Runs until the program exits, needs input, or `calls` (may be null: every host call is then ENOSYS) stops it.
    // Throws GuestFault, Timeout, Interrupted, OutOfMemory ("max_memory") or what `calls` throws; after that the
    // machine can only be destroyed.
    Stop run(HostCalls* calls, Deadline deadline);

    // --- Of a program that stands still in a host call (Stop::Reason::host_call), before freeze().

    // Calls `function` as Fork::call() does. Afterwards the program stands where it stood, with the registers it had;
    // what the call changed in memory and in the process stays.
    Stop call(GuestAddr function, std::span<const std::uint64_t> arguments, HostCalls& calls,
              Deadline deadline) override;
    // Lets the program go on after that host call, with `result` as its value. Otherwise like run().
    Stop resume(std::int64_t result, HostCalls& calls, Deadline deadline) override;
    // Of a program that stopped with Stop::Reason::needs_input or at_entry: lets it go on. Otherwise like run().
    Stop go_on(HostCalls& calls, Deadline deadline) override;
    // Of a program that stopped with Stop::Reason::at_entry: where argv[0...] are. With Options::argument_room others
    // can be written there, also in forks.
    std::vector<GuestAddr> argument_addresses() const;
    // Likewise where the variables are that Options::environment_slots asked for.
    EnvironmentPlaces environment_places() const;
    // Where stream sockets of the program listen: "127.0.0.1:80", "[::]:80", "/path" or "@name".
    std::vector<std::string> listening() const;
    // Where requests of such calls can be laid out. Nothing of it gets into the snapshot.
    RequestArea request_area() override;

    GuestMemory& memory() override;
    const Statistics& statistics() const;

    // From now on the debugger, which must outlive this, is asked as debug/debugger.hpp says; it is asked now, too,
    // before anything of the program runs. While it has the program, deadlines are put off. Throws as run().
    void debug(debug::Debugger& debugger);
    // The program leaves its hands, if it is in them; has to be called before freeze().
    void end_debugging();
    // How much time a debugger has had the program so far.
    Clock::duration debugged_time() const;
    // Adds bytes to the end of an in-memory file of the guest, which is made if it is not there. Returns 0 or a
    // negative errno: -ENOSPC without room, -EROFS where no in-memory file can be.
    [[nodiscard]] int append_to_file(const std::string& path, std::span<const std::byte> bytes);

    // May be called by any thread while another one is in run(), call() or resume(), which soon ends with Interrupted.
    void interrupt() noexcept;

    // Consumes the machine. The program must stand still in a host call (Stop::Reason::host_call), need input, or have
    // stopped at its entry point. The VM ends with the object, for which the kernel takes 0.3 to 8 ms: nobody who waits
    // for the snapshot need wait for that.
    std::shared_ptr<const Snapshot> freeze() &&;

  private:
    std::unique_ptr<Guest> guest_;
    std::unique_ptr<Guest> ended_;  // after freeze()
};

}  // namespace tinykvm
