#include "src/programs/statistics_json.hpp"

#include <nlohmann/json.hpp>

namespace tinykvm::host {

namespace {

using nlohmann::json;

double seconds(const CounterValues& counts, Counter microseconds) {
    return static_cast<double>(value_of(counts, microseconds)) / 1e6;
}

json request_json(const CounterValues& counts, const RequestPeaks& peaks) {
    const auto value = [&](Counter counter) { return value_of(counts, counter); };
    return {
        {"connections", value(Counter::connections)},
        {"exception_cpu_time", seconds(counts, Counter::exception_time)},
        {"exceptions", value(Counter::program_exception)},
        {"input_bytes", value(Counter::input_bytes)},
        {"interrupted", value(Counter::interrupted)},
        {"invocations", value(Counter::requests)},
        {"output_bytes", value(Counter::output_bytes)},
        {"pages_restored", value(Counter::pages_restored)},
        {"request_cpu_time", seconds(counts, Counter::cpu_time)},
        {"request_memory_peak", peaks.memory},
        {"request_time_peak", static_cast<double>(peaks.microseconds) / 1e6},
        {"reservation_time", seconds(counts, Counter::queue_wait)},
        {"resets", value(Counter::resets)},
        {"status_2xx", value(Counter::program_status_2xx)},
        {"status_3xx", value(Counter::program_status_3xx)},
        {"status_4xx", value(Counter::program_status_4xx)},
        {"status_5xx", value(Counter::program_status_5xx)},
        {"timeouts", value(Counter::program_timeout)},
    };
}

json machine_json(const MachineReport& machine) {
    json object = request_json(machine.counts, machine.peaks);
    object["tasks_queued"] = 0;  // only storage has tasks
    object["vm_bank_capacity"] = machine.memory_capacity;
    object["vm_bank_current"] = machine.memory_current;
    object["vm_bank_highest"] = machine.memory_highest;
    object["vm_main_memory"] = machine.snapshot_memory;
    return object;
}

json program_json(const ProgramReport& program) {
    json machines = json::array();
    for (const MachineReport& machine : program.machines) {
        machines.push_back(machine_json(machine));
    }
    json storage = machine_json(program.storage.machine);
    storage["calls_queued"] = program.storage.calls_queued;
    storage["tasks_queued"] = program.storage.tasks_queued;
    storage["tasks_inschedule"] = program.storage.tasks_inschedule;
    return {
        {"program",
         {
             {"binary_size", program.binary_size},
             {"binary_type", program.binary_type},
             {"cold_start", program.is_from_file},
             {"live_update_transfer_bytes", program.live_update_bytes},
             {"live_updates", program.live_updates},
             {"reservation_time", seconds(program.totals, Counter::queue_wait)},
             {"reservation_timeouts", value_of(program.totals, Counter::queue_timeouts)},
         }},
        {"request", {{"machines", std::move(machines)}, {"totals", request_json(program.totals, program.peaks)}}},
        {"storage", std::move(storage)},
    };
}

}  // namespace

std::string statistics_json(std::span<const ProgramReport> programs,
                            const std::map<std::string, std::string>& not_served, int indentation) {
    json all = json::object();
    for (const ProgramReport& program : programs) {
        all[program.name] = program_json(program);
    }
    for (const auto& [name, why] : not_served) {
        all[name] = {{"not_served", why}};
    }
    return all.dump(indentation, ' ', false, json::error_handler_t::replace);
}

}  // namespace tinykvm::host
