#include "api/catalogue.hpp"

#include <algorithm>

#include "api/field.hpp"
#include "api/guest_text.hpp"

namespace tinykvm::api {

namespace {

constexpr std::string_view built_in_group = "test";
constexpr auto patience = std::chrono::seconds(5);  // with what is still in use

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
    throw ConfigError("configuration of \"" + printable(name, 80) + "\": " + why);
}

}  // namespace

ProgramConfig Catalogue::effective(std::string_view name, const ConfigLayer& own) const {
    ProgramConfig config;
    const std::string group = own.group().empty() ? std::string(built_in_group) : own.group();
    if (const auto found = groups_.find(group); found != groups_.end()) {
        found->second.apply(config);
    } else if (group != built_in_group) {
        std::string known = "\"test\"";
        for (const auto& [one, layer] : groups_) {
            known += one == built_in_group ? "" : ", \"" + one + "\"";
        }
        refuse(name, "key \"group\": there is no group \"" + printable(group, 80) + "\"; known are " + known);
    }
    own.apply(config);
    config.group = group;
    if (const std::string problem = combination_problem(config); !problem.empty()) {
        refuse(name, problem);
    }
    return config;
}

Service* Catalogue::configure(std::string_view name, std::string_view json) {
    if (!is_field_name(name)) {
        refuse(name, "a name is 1 to 250 letters, digits, '-', '_' or '.'");
    }
    ConfigLayer layer = ConfigLayer::parse(name, json);
    const auto program = programs_.find(name);
    if (program == programs_.end() && !layer.has_filename()) {
        if (!layer.group().empty()) {
            refuse(name, "key \"group\": without \"filename\" this is a group, and groups have no group");
        }
        const auto [group, is_new] = groups_.try_emplace(std::string(name));
        group->second.add(std::move(layer));
        for (const auto& [one, own] : programs_) {
            services_.find(one)->second->configure(effective(one, own));  // unless it was started
        }
        return nullptr;
    }
    if (groups_.contains(name)) {
        refuse(name, "there is a group of that name already");
    }
    ConfigLayer whole = program == programs_.end() ? ConfigLayer() : program->second;
    whole.add(std::move(layer));
    ProgramConfig config = effective(name, whole);
    auto& service = services_[std::string(name)];
    if (!service) {
        service = std::make_unique<Service>(std::string(name), host_);
    }
    if (!service->configure(std::move(config))) {
        refuse(name, "the program has been started already");
    }
    programs_.insert_or_assign(std::string(name), std::move(whole));
    return service.get();
}

Service* Catalogue::find(std::string_view name) const {
    const auto found = services_.find(name);
    return found == services_.end() ? nullptr : found->second.get();
}

std::string Catalogue::why_missing(std::string_view name) const {
    const std::string quoted = "\"" + printable(name, 80) + "\"";
    return groups_.contains(name) ? quoted + " is a group: its configuration has no filename"
                                  : "there is no program " + quoted;
}

void Catalogue::for_each(const std::function<void(Service&)>& visit) const {
    for (const auto& [name, service] : services_) {
        visit(*service);
    }
}

void Catalogue::warm() {
    for (const auto& [name, service] : services_) {
        service->warm();
    }
}

void Catalogue::cold() {
    for (const auto& [name, service] : services_) {
        service->cold();
    }
    const Deadline until = Clock::now() + patience;
    for (const auto& [name, service] : services_) {
        service->wait_until_cold(until);
    }
    host_.self_requests->close_idle();
}

void Catalogue::end() {
    cold();
    services_.clear();
}

}  // namespace tinykvm::api
