// A configured program: it boots when it is started or first needed, then has a pool of request VMs.
//
// Thread safety: any thread, except configure() and the destructor.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/counters.hpp"
#include "api/pool.hpp"
#include "api/program.hpp"
#include "api/thread.hpp"

namespace tinykvm::api {

// What a service needs from the process it lives in.
struct ServiceHost {
    CounterSink& counters;
    // A line about a program that belongs to no request. Any thread.
    void (*log)(const std::string& program, std::string_view line);
};

class Service {
  public:
    Service(std::string name, const ServiceHost& host);
    // Waits for a boot to be given up, and for VMs in use; there should be none.
    ~Service();

    const std::string& name() const { return name_; }
    const ProgramConfig& config() const { return config_; }
    // Before the program was started; false afterwards.
    bool configure(ProgramConfig config);

    // Begins to boot the program, unless it did already.
    void start();
    // Waits until the boot is over. Throws Failure (not_ready) with the reason.
    void wait_until_booted(const ClientGone& gone = nullptr);
    bool ready() const;
    // False while requests would fail because the program did not boot.
    bool healthy() const;

    // A request VM; starts the program if need be and waits for it. Throws Failure. A program that did not
    // boot is tried again when a second has passed.
    Lease acquire(const ClientGone& gone);

    // cold: request VMs and all threads go, a boot under way is given up; a booted program stays. warm: they may
    // come again.
    void warm();
    void cold();

  private:
    // Shared by the thread that boots and those that wait for it.
    struct Boot {
        std::string name;
        ProgramConfig config;
        BootControl control;
        std::mutex mutex;  // guards everything below; taken after that of the service
        std::condition_variable over;
        bool done = false;
        std::shared_ptr<const BootedProgram> program;  // null: failed
        std::string failure;
        bool failure_counted = false;
        Clock::time_point ended;
    };
    void run_boot(Boot& boot) const;
    void give_up_boot();
    std::shared_ptr<Boot> current_boot();
    std::shared_ptr<Boot> await_boot(const ClientGone& gone);
    std::shared_ptr<Pool> pool_for(const Boot& boot);

    const std::string name_;
    const ServiceHost host_;
    ProgramConfig config_;

    mutable std::mutex mutex_;   // guards everything below
    std::shared_ptr<Boot> boot_;  // the last one; null: never started
    Thread thread_;               // of boot_
    std::shared_ptr<Pool> pool_;
    bool cold_ = false;
};

}  // namespace tinykvm::api
