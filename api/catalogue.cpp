#include "api/catalogue.hpp"

#include <algorithm>
#include <utility>

#include "api/failure.hpp"
#include "api/field.hpp"
#include "api/guest_text.hpp"
#include "api/library.hpp"

namespace tinykvm::api {

namespace {

constexpr std::string_view built_in_group = "test";
constexpr auto patience = std::chrono::seconds(5);  // with what is still in use

std::string in_quotes(std::string_view name) { return "\"" + printable(name, 80) + "\""; }

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
    throw ConfigError("configuration of " + in_quotes(name) + ": " + why);
}

void require_name(std::string_view name) {
    if (!is_token(name) || name.size() > 250) {
        refuse(name, "a name is 1 to 250 letters, digits, '-', '_' or '.'");
    }
}

}  // namespace

ConfigLayer Catalogue::Definition::whole() const {
    ConfigLayer layer = base;
    layer.add(own);
    return layer;
}

ProgramConfig Catalogue::effective(std::string_view name, const ConfigLayer& own) const {
    ProgramConfig config;
    const std::string group = own.group().empty() ? std::string(built_in_group) : own.group();
    const auto found = definitions_.find(group);
    if (found != definitions_.end() && !found->second.is_program()) {
        found->second.whole().apply(config);
    } else if (group != built_in_group) {
        std::string known = "\"test\"";
        for (const auto& [one, definition] : definitions_) {
            known += one == built_in_group || definition.is_program() ? "" : ", \"" + one + "\"";
        }
        refuse(name, "key \"group\": there is no group " + in_quotes(group) + "; known are " + known);
    }
    own.apply(config);
    config.group = group;
    if (const std::string problem = combination_problem(config); !problem.empty()) {
        refuse(name, problem);
    }
    return config;
}

// A library may say that a name is that of a program after configure() had taken it for a group, if nobody did
// anything with the group.
void Catalogue::require_no_group(std::string_view name, const Definition& definition) const {
    const auto former = definitions_.find(name);
    if (former == definitions_.end() || former->second.is_program()) {
        return;
    }
    const bool used = std::any_of(definitions_.begin(), definitions_.end(), [&](const auto& one) {
        return one.second.is_program() && one.second.whole().group() == name;
    });
    if (used || name == built_in_group || definition.library.empty()) {
        refuse(name, "there is a group of that name already");
    }
}

void Catalogue::adopt_group(std::string_view name, Definition definition) {
    if (!definition.whole().group().empty()) {
        refuse(name, "key \"group\": without \"filename\" or \"uri\" this is a group, and groups have no group");
    }
    definitions_.insert_or_assign(std::string(name), std::move(definition));
    for (const auto& [one, service] : services_) {
        service->configure(effective(one, definitions_.find(one)->second.whole()));  // unless it was started
    }
}

Service* Catalogue::adopt(std::string_view name, Definition definition) {
    require_no_group(name, definition);
    ProgramConfig config = effective(name, definition.whole());
    auto& service = services_[std::string(name)];
    if (!service) {
        service = std::make_unique<Service>(std::string(name), host_);
    }
    if (!service->configure(std::move(config))) {
        refuse(name, "the program has been started already");
    }
    definitions_.insert_or_assign(std::string(name), std::move(definition));
    return service.get();
}

Service* Catalogue::configure(std::string_view name, std::string_view json) {
    require_name(name);
    const auto former = definitions_.find(name);
    Definition definition = former == definitions_.end() ? Definition() : former->second;
    ConfigLayer layer = ConfigLayer::parse(name, json);
    definition.own.add(std::move(layer));
    if (definition.is_program()) {
        return adopt(name, std::move(definition));
    }
    adopt_group(name, std::move(definition));
    return nullptr;
}

std::vector<Service*> Catalogue::library(const std::string& uri) {
    try {
        auto layers = read_library(uri);
        Definitions groups, programs;
        for (auto& [name, layer] : layers) {
            require_name(name);
            const auto former = definitions_.find(name);
            Definition definition = former == definitions_.end() ? Definition() : former->second;
            if (!definition.library.empty()) {
                refuse(name, "it is defined by library " + in_quotes(definition.library) + " already");
            }
            definition.library = uri;
            definition.base = std::move(layer);
            (definition.is_program() ? programs : groups).emplace(name, std::move(definition));
        }
        std::vector<Service*> services;
        for (auto& [name, definition] : groups) {
            adopt_group(name, std::move(definition));
        }
        for (auto& [name, definition] : programs) {
            services.push_back(adopt(name, std::move(definition)));
        }
        return services;
    } catch (const ConfigError& error) {
        throw ConfigError("library \"" + printable(uri, 300) + "\": " + error.what());
    }
}

Service* Catalogue::find(std::string_view name) const {
    const auto found = services_.find(name);
    return found == services_.end() ? nullptr : found->second.get();
}

std::string Catalogue::why_missing(std::string_view name) const {
    return definitions_.contains(name) ? in_quotes(name) + " is a group: its configuration has neither filename nor uri"
                                       : "there is no program " + in_quotes(name);
}

void Catalogue::for_each(const std::function<void(Service&)>& visit) const {
    for (const auto& [name, service] : services_) {
        visit(*service);
    }
}

void Catalogue::warm() {
    cold_until_.reset();
    for (const auto& [name, service] : services_) {
        service->warm();
        if (!service->config().start) {
            continue;
        }
        try {
            service->start();
        } catch (const Failure& failure) {
            host_.log(name, std::string("was not started: ") + failure.what());
        }
    }
}

void Catalogue::cold() {
    for (const auto& [name, service] : services_) {
        service->cold();
    }
    if (!cold_until_) {
        cold_until_ = Clock::now() + patience;
    }
    for (const auto& [name, service] : services_) {
        service->wait_until_cold(*cold_until_);
    }
    host_.self_requests->close_idle();
}

void Catalogue::end() {
    cold();
    services_.clear();
}

}  // namespace tinykvm::api
