#include "src/vmod/backend_display.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "src/vmod/guard.hpp"
#include "src/vmod/vcl_state.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

namespace {

using Activity = host::ProgramService::Activity;

// "fetch" has no VMs and is always there.
Activity activity_of(const ProgramBackend& backend) {
    Activity activity;
    activity.state = "ready";
    return backend.service != nullptr ? backend.service->activity() : activity;
}

std::size_t in_use(const Activity& activity) { return activity.occupancy.vms - activity.occupancy.idle; }

// In the place of a probe's good and needed results: VMs in use, and how many there may be.
void list_line(const Activity& activity, struct vsb* to, bool as_json) {
    const char* health = activity.is_healthy ? "healthy" : "sick";
    VSB_printf(to, as_json ? "[%zu, %u, \"%s\"]" : "%zu/%u\t%s", in_use(activity), activity.concurrency, health);
}

void list_details(const Activity& activity, struct vsb* to) {
    VSB_printf(to, "\n  State: %s", activity.state);
    if (!activity.reason.empty()) {
        VSB_printf(to, ": %s", printable(activity.reason).c_str());
    }
    VSB_printf(to, "\n  VMs: %zu in use, %zu idle, at most %u\n  Requests waiting for a VM: %zu\n", in_use(activity),
               activity.occupancy.idle, activity.concurrency, activity.occupancy.waiting);
    if (activity.is_updating) {
        VSB_cat(to, "  A live update is under way\n");
    }
}

void list_details_as_json(const Activity& activity, struct vsb* to) {
    const nlohmann::json details = {
        {"state", activity.state},
        {"reason", printable(activity.reason)},
        {"vms_in_use", in_use(activity)},
        {"vms_idle", activity.occupancy.idle},
        {"concurrency", activity.concurrency},
        {"waiting", activity.occupancy.waiting},
        {"updating", activity.is_updating},
    };
    using Errors = nlohmann::json::error_handler_t;
    VSB_cat(to,
            (details.dump(-1, ' ', false, Errors::replace) + ",\n").c_str());  // Varnish goes on with the next member
}

void panic_line(void* to, std::size_t number, const char* state, std::uint64_t requests) {
    VSB_printf(static_cast<struct vsb*>(to), "vm[%zu] = %s, %" PRIu64 " requests,\n", number,
               state != nullptr ? state : "changing", requests);
}

}  // namespace

void director_list(VRT_CTX, VCL_BACKEND director, struct vsb* to, int details, int as_json) {
    CHECK_OBJ_NOTNULL(director, DIRECTOR_MAGIC);
    guarded(ctx, "backend.list", 0, [&] {
        const auto& backend = *checked<ProgramBackend>(director->priv);
        const Activity activity = activity_of(backend);
        if (details == 0) {
            list_line(activity, to, as_json != 0);
        } else if (as_json != 0) {
            list_details_as_json(activity, to);
        } else if (backend.service != nullptr) {
            list_details(activity, to);
        }
        return 0;
    });
}

void director_panic(VCL_BACKEND director, struct vsb* to) {
    const auto* backend = static_cast<const ProgramBackend*>(director->priv);
    if (backend == nullptr || backend->magic != ProgramBackend::expected_magic || backend->service == nullptr) {
        return;
    }
    host::Pool::Occupancy occupancy;
    if (!backend->service->visit_unless_locked(occupancy, panic_line, to)) {
        VSB_cat(to, "locked,\n");
        return;
    }
    VSB_printf(to, "vms = %zu, idle = %zu, waiting = %zu,\n", occupancy.vms, occupancy.idle, occupancy.waiting);
}

}  // namespace tinykvm::vmod
