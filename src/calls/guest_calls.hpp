// Answers the calls of guest-api/kvm_api.h, those of a program that boots and those of a request.
//
// Bad pointers, lengths and headers are an error value for the guest; in sys_backend_response they end the
// request. Whatever comes from the guest is copied first and checked then.
//
// Thread safety: used by the thread that runs the guest, while it stands still. One object per VM.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/guest_text.hpp"
#include "src/calls/header_edit.hpp"
#include "src/calls/regex.hpp"
#include "src/calls/registration.hpp"
#include "src/calls/request.hpp"
#include "src/calls/response.hpp"
#include "src/calls/storage.hpp"
#include "src/config/config.hpp"
#include "src/fetch/host_rules.hpp"
#include "src/fetch/self_requests.hpp"
#include "tinykvm/host_calls.hpp"

namespace tinykvm::host {

class GuestCalls final : public HostCalls {
  public:
    struct Environment {
        std::uint64_t max_memory = 0, max_request_memory = 0;  // bytes
        bool verbose = false;                                  // unknown calls are logged
        bool ephemeral = true, control_ephemeral = false;      // may the program change that?
        const HostRules* allowed_hosts = nullptr;              // borrowed; null: none
        GuestServices services = {};
        const void* pool = nullptr;  // the pool of this VM, or what stands for a boot (src/fetch/wait_graph.hpp)
        bool allow_debug = false;    // sys_breakpoint() has a debugger waited for
        bool debug = false;          // the program was started to be debugged
        bool is_storage = false;     // this is the storage, and its services have itself, unless it boots
        std::size_t max_log_lines = host::max_log_lines;
    };
    // Borrows `config`. Without services and pool.
    static Environment environment_of(const ProgramConfig& config);
    explicit GuestCalls(Environment environment) : environment_(std::move(environment)) {}

    // The phase decides which calls are allowed.
    enum class Phase {
        boot,       // until the program waits
        request,    // until it answers
        returning,  // a paused program that is not ephemeral, on its way back to its waiting call
        streaming,  // it has answered, and is asked for the body of that piece by piece
        storage,    // a call of a storage, or a task
        hand_over,  // on_live_update, which hands over the state of a program
        restore     // on_live_restore, which takes that over
    };
    void begin_boot(std::function<void(std::string_view)> log);
    // The request is borrowed. Lines that were logged since take_log() stay: they are of a first attempt, or of making
    // the VM.
    void begin_request(const Request& request);
    void begin_return() {
        phase_ = Phase::returning;
        waits_ = false;
    }
    // Of a storage: `room` is how much of the result is wanted.
    void begin_storage_call(std::size_t room) { begin_call_with_result(Phase::storage, room); }
    // on_live_update: `room` is how much may be handed over.
    void begin_hand_over(std::size_t room) { begin_call_with_result(Phase::hand_over, room); }
    // on_live_restore: the state is borrowed as long as that runs.
    void begin_restore(const StorageBytes& state) {
        phase_ = Phase::restore;
        restored_ = &state;
        waits_ = false;
    }
    StorageResult take_storage_result() { return std::exchange(storage_result_, {}); }
    void begin_streaming() { phase_ = Phase::streaming; }
    // What the program registered when it booted is true for a fork of it, too.
    void adopt(const Registration& registration) {
        registration_ = registration;
        most_changed_bytes_ = 0;
    }

    // Is the VM to be reset when its request is over? What the program decided last.
    bool is_ephemeral() const { return registration_.ephemeral; }

    const Registration& registration() const { return registration_; }
    const GuestServices& services() const { return environment_.services; }
    // Set by sys_backend_response.
    std::optional<Response>& response() { return response_; }
    // Did the program stop because it waits for the next request?
    bool waits() const { return waits_; }
    std::vector<std::string> take_log();
    // A line of the host's own for the same log.
    void note(std::string_view line);

    HostCallResult handle(const HostCall& call, GuestMemory& memory) override;
    bool may_wait(std::uint32_t number) const override;

  private:
    friend struct CallTable;
    using Handler = HostCallResult (GuestCalls::*)(const HostCall&, GuestMemory&);

    void begin_call_with_result(Phase phase, std::size_t room);
    HostCallResult register_func(const HostCall& call, GuestMemory& memory);
    HostCallResult wait_for_requests(const HostCall& call, GuestMemory& memory);
    HostCallResult wait_for_requests_paused(const HostCall& call, GuestMemory& memory);
    HostCallResult set_cacheable(const HostCall& call, GuestMemory& memory);
    HostCallResult backend_response(const HostCall& call, GuestMemory& memory);
    HostCallResult begin_streaming_response(const HostCall& call, GuestMemory& memory);
    HostCallResult answer(Response response);
    HostCallResult http_append(const HostCall& call, GuestMemory& memory);
    HostCallResult http_set(const HostCall& call, GuestMemory& memory);
    HostCallResult http_find(const HostCall& call, GuestMemory& memory);
    HostCallResult http_method(const HostCall& call, GuestMemory& memory);
    HostCallResult regex_compile(const HostCall& call, GuestMemory& memory);
    HostCallResult regex_free(const HostCall& call, GuestMemory& memory);
    HostCallResult regex_match(const HostCall& call, GuestMemory& memory);
    HostCallResult regex_subst(const HostCall& call, GuestMemory& memory);
    HostCallResult regex_copyto(const HostCall& call, GuestMemory& memory);
    HostCallResult make_ephemeral(const HostCall& call, GuestMemory& memory);
    HostCallResult is_storage(const HostCall& call, GuestMemory& memory);
    HostCallResult is_debug(const HostCall& call, GuestMemory& memory);
    HostCallResult breakpoint(const HostCall& call, GuestMemory& memory);
    HostCallResult get_meminfo(const HostCall& call, GuestMemory& memory);
    HostCallResult log(const HostCall& call, GuestMemory& memory);
    HostCallResult shared_memory_area(const HostCall& call, GuestMemory& memory);
    HostCallResult storage_allow(const HostCall& call, GuestMemory& memory);
    HostCallResult storage_callv(const HostCall& call, GuestMemory& memory);
    HostCallResult storage_task(const HostCall& call, GuestMemory& memory);
    HostCallResult stop_storage_task(const HostCall& call, GuestMemory& memory);
    HostCallResult storage_return(const HostCall& call, GuestMemory& memory);
    HostCallResult storage_noreturn(const HostCall& call, GuestMemory& memory);
    HostCallResult multiprocess(const HostCall& call, GuestMemory& memory);
    HostCallResult multiprocess_array(const HostCall& call, GuestMemory& memory);
    HostCallResult multiprocess_clone(const HostCall& call, GuestMemory& memory);
    HostCallResult multiprocess_wait(const HostCall& call, GuestMemory& memory);
    HostCallResult fetch(const HostCall& call, GuestMemory& memory);
    HostCallResult self_request(const HostCall& call, GuestMemory& memory);

    HostCallResult run_fetch(const HostCall& call, GuestMemory& memory, bool from_varnish);
    HostCallResult no_storage(const char* name);
    HostCallResult stop_waiting(Registration::Waiting waiting, const char* name);
    HeaderEdit* message(std::uint64_t where);
    HostCallResult change_header(const HostCall& call, GuestMemory& memory,
                                 long (HeaderEdit::*change)(std::string_view));
    const Regex* regex(std::uint64_t handle) const;
    HostCallResult regex_failed(const char* call, const Regex& regex, RegexMatch::Result result);
    HostCallResult copy_out(std::string_view text, GuestAddr out, std::uint64_t room, GuestMemory& memory);

    Environment environment_;
    Phase phase_ = Phase::boot;
    Registration registration_;
    std::function<void(std::string_view)> boot_log_;
    const Request* request_ = nullptr;
    SelfRequestOrigin origin_;  // of the request, also after its response
    HeaderEdit request_headers_, response_headers_;
    std::optional<Cacheability> cacheability_;
    std::optional<Response> response_;
    bool waits_ = false;
    std::size_t result_room_ = 0;
    StorageResult storage_result_;
    const StorageBytes* restored_ = nullptr;  // in Phase::restore
    std::uint64_t most_changed_bytes_ = 0;
    std::vector<std::string> log_;
    std::size_t lines_lost_ = 0;
};

}  // namespace tinykvm::host
