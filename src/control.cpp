#include "src/control.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "src/log.hpp"
#include "src/pattern.hpp"
#include "src/request.hpp"
#include "src/vcl_state.hpp"

namespace tinykvm::vmod {

namespace {

constexpr int most_arguments = 1024;
constexpr std::size_t longest_argument = 4096;  // as in the configuration

}  // namespace

VCL_INT invalidate_programs(VRT_CTX, VclState& state, const char* regex) {
    const Pattern pattern(regex);
    std::vector<api::Service*> matching;  // first all of them: a pattern may fail half-way
    state.catalogue().for_each([&](api::Service& service) {
        if (pattern.matches(service.name())) {
            matching.push_back(&service);
        }
    });
    VCL_INT count = 0;
    for (api::Service* service : matching) {
        if (service->unload()) {
            count++;
            Log(ctx).line(SLT_VCL_Log, "tinykvm: " + service->name() + ": unloaded");
        }
    }
    return count;
}

void set_main_arguments(const ProgramBackend& backend, VCL_STRANDS arguments) {
    const std::string whose = "\"" + backend.service->name() + "\": ";
    if (arguments->n > most_arguments) {
        throw std::runtime_error(whose + std::to_string(arguments->n) + " arguments are more than " +
                                 std::to_string(most_arguments));
    }
    std::vector<std::string> texts;
    for (int i = 0; i < arguments->n; i++) {
        const std::string_view text = view(arguments->p[i]);
        if (text.size() > longest_argument) {
            throw std::runtime_error(whose + "an argument of " + std::to_string(text.size()) +
                                     " bytes is longer than " + std::to_string(longest_argument));
        }
        texts.emplace_back(text);
    }
    backend.service->set_main_arguments(std::move(texts));
}

}  // namespace tinykvm::vmod
