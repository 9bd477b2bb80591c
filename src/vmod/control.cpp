#include "src/vmod/control.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/programs/statistics_json.hpp"
#include "src/vmod/errors.hpp"
#include "src/vmod/log.hpp"
#include "src/vmod/pattern.hpp"
#include "src/vmod/varnish_request.hpp"
#include "src/vmod/vcl_state.hpp"

namespace tinykvm::vmod {

namespace {

constexpr VCL_INT most_indentation = 16;
constexpr int most_arguments = 1024;
constexpr std::size_t longest_argument = 4096;  // as in the configuration

// Finds all of them before anything happens, because a pattern may fail half-way.
std::vector<host::ProgramService*> matching(VclState& state, const char* regex) {
    const Pattern pattern(regex);
    std::vector<host::ProgramService*> services;
    state.catalogue().for_each([&](host::ProgramService& service) {
        if (pattern.matches(service.name())) {
            services.push_back(&service);
        }
    });
    return services;
}

}  // namespace

VCL_INT invalidate_programs(VRT_CTX, VclState& state, const char* regex) {
    VCL_INT count = 0;
    for (host::ProgramService* service : matching(state, regex)) {
        if (service->invalidate()) {
            count++;
            Log(ctx).line(SLT_VCL_Log, "tinykvm: " + service->name() + ": invalidated");
        }
    }
    return count;
}

VCL_STRING program_statistics(VRT_CTX, VclState& state, const char* regex, VCL_INT indentation) {
    std::vector<host::ProgramReport> reports;
    std::map<std::string, std::string> not_served;
    for (const host::ProgramService* service : matching(state, regex)) {
        if (auto report = service->report()) {
            reports.push_back(std::move(*report));
        } else if (!service->refusal().empty()) {
            not_served.emplace(service->name(), service->refusal());
        }
    }
    const std::string text = host::statistics_json(
        reports, not_served, static_cast<int>(std::clamp(indentation, VCL_INT{-1}, most_indentation)));
    // A string that does not fit must not make the whole transaction fail, as an overflowed workspace would.
    const unsigned room = WS_ReserveAll(ctx->ws);
    WS_Release(ctx->ws, 0);
    if (text.size() >= room) {
        Log(ctx).error("tinykvm.stats(): " + std::to_string(text.size()) + " bytes do not fit in the workspace");
        return "";
    }
    return static_cast<const char*>(WS_Copy(ctx->ws, text.c_str(), static_cast<int>(text.size()) + 1));
}

void set_main_arguments(const ProgramBackend& backend, VCL_STRANDS arguments) {
    const std::string whose = "\"" + backend.service->name() + "\": ";
    if (arguments->n > most_arguments) {
        throw VclError(whose + std::to_string(arguments->n) + " arguments are more than " +
                       std::to_string(most_arguments));
    }
    std::vector<std::string> texts;
    for (int i = 0; i < arguments->n; i++) {
        const std::string_view text = view(arguments->p[i]);
        if (text.size() > longest_argument) {
            throw VclError(whose + "an argument of " + std::to_string(text.size()) + " bytes is longer than " +
                           std::to_string(longest_argument));
        }
        texts.emplace_back(text);
    }
    backend.service->set_main_arguments(std::move(texts));
}

}  // namespace tinykvm::vmod
