#include "src/programs/catalogue.hpp"

#include <algorithm>
#include <utility>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/calls/argument_template.hpp"
#include "src/config/address_settings.hpp"
#include "src/config/library.hpp"

namespace tinykvm::host {

namespace {

constexpr std::string_view built_in_group = "test";
constexpr auto patience = std::chrono::seconds(5);  // for VMs that are still in use

std::string in_quotes(std::string_view name) { return "\"" + printable(name, 80) + "\""; }

std::string whose(std::string_view name) { return "configuration of " + in_quotes(name) + ": "; }

[[noreturn]] void refuse(std::string_view name, const std::string& why) { throw ConfigError(whose(name) + why); }

void require_name(std::string_view name) {
    if (!is_token(name) || name.size() > 250) {
        refuse(name, "a name is 1 to 250 letters, digits, '-', '_' or '.'");
    }
}

// Throws ConfigError when an argument of a filter has a placeholder that does not exist.
void require_placeholders(std::string_view name, const ProgramConfig& config) {
    if (config.protocol != ProgramConfig::Protocol::stdio) {
        return;
    }
    for (const std::string& argument : config.main_arguments) {
        try {
            const ArgumentTemplate checked(argument);
        } catch (const ConfigError& error) {
            refuse(name, error.what());
        }
    }
}

}  // namespace

ConfigLayer Catalogue::Definition::whole() const {
    ConfigLayer layer = base;
    layer.add(own);
    return layer;
}

ProgramConfig Catalogue::effective_config(std::string_view name, const ConfigLayer& own) const {
    if (!own.mistake().empty()) {
        throw ConfigError(own.mistake());
    }
    ProgramConfig config;
    const std::string group = own.group().empty() ? std::string(built_in_group) : own.group();
    const auto found = definitions_.find(group);
    if (found != definitions_.end() && !found->second.is_program()) {
        if (const std::string mistake = group_mistake(group, found->second); !mistake.empty()) {
            refuse(name, "its group cannot be used: " + mistake);
        }
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
    require_placeholders(name, config);
    return config;
}

// A library may say that a name is that of a program after configure() had taken it for a group, as long as nothing
// uses the group.
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

// What is wrong with a group; empty: it can be used.
std::string Catalogue::group_mistake(std::string_view name, const Definition& definition) {
    const ConfigLayer whole = definition.whole();
    if (whole.mistake().empty() && !whole.group().empty()) {
        return whose(name) + "key \"group\": without \"filename\" or \"uri\" this is a group, and groups have no group";
    }
    return whole.mistake();
}

// Gives a program the configuration that follows from everything said so far. One that was refused may be served now,
// or not yet: what it needs may still be said. False when it has been started already; nothing has changed then.
bool Catalogue::reconfigure(ProgramService& service, const Definition& definition, Mistakes mistakes) const {
    const std::string former = service.refusal();
    try {
        const bool configured = service.configure(effective_config(service.name(), definition.whole()));
        if (configured && !former.empty()) {
            environment_.log(service.name(), "can be served now");
        }
        return configured;
    } catch (const ConfigError& error) {
        if (mistakes == Mistakes::fail && former.empty()) {
            throw;
        }
        std::string why = error.what();
        if (!definition.library.empty()) {
            why += "; it is in library " + printable(definition.library, 300);
        }
        if (why == former) {
            return true;
        }
        if (!service.refuse(why)) {
            return false;
        }
        environment_.log(service.name(), "is not served: " + why);
        return true;
    }
}

void Catalogue::define_group(std::string_view name, Definition definition, Mistakes mistakes) {
    const auto former = definitions_.find(name);
    const bool was_refused =
        former != definitions_.end() && !former->second.is_program() && !group_mistake(name, former->second).empty();
    if (const std::string mistake = group_mistake(name, definition); !mistake.empty() && !was_refused) {
        if (mistakes == Mistakes::fail) {
            throw ConfigError(mistake);
        }
        environment_.log(std::string(name), "is a group that cannot be used: " + mistake);
    }
    definitions_.insert_or_assign(std::string(name), std::move(definition));
    for (const auto& [one, service] : services_) {
        (void)reconfigure(*service, definitions_.find(one)->second, mistakes);  // unless it was started
    }
}

ProgramService* Catalogue::define_program(std::string_view name, Definition definition, Mistakes mistakes) {
    require_no_group(name, definition);
    const auto known = services_.find(name);
    std::unique_ptr<ProgramService> fresh;
    if (known == services_.end()) {
        fresh = std::make_unique<ProgramService>(std::string(name), environment_);
    }
    ProgramService& service = fresh ? *fresh : *known->second;
    if (!reconfigure(service, definition, mistakes)) {
        refuse(name, "the program has been started already");
    }
    if (fresh) {
        services_.emplace(name, std::move(fresh));
    }
    definitions_.insert_or_assign(std::string(name), std::move(definition));
    return &service;
}

ProgramService* Catalogue::configure(std::string_view name, std::string_view json) {
    require_name(name);
    const auto former = definitions_.find(name);
    Definition definition = former == definitions_.end() ? Definition() : former->second;
    ConfigLayer layer = ConfigLayer::parse(name, json);
    definition.own.add(std::move(layer));
    if (definition.is_program()) {
        return define_program(name, std::move(definition), Mistakes::fail);
    }
    define_group(name, std::move(definition), Mistakes::fail);
    return nullptr;
}

std::vector<ProgramService*> Catalogue::library(const std::string& uri, Mistakes mistakes) {
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
            if (mistakes == Mistakes::fail && !layer.mistake().empty()) {
                throw ConfigError(layer.mistake());
            }
            definition.library = uri;
            definition.base = std::move(layer);
            (definition.is_program() ? programs : groups).emplace(name, std::move(definition));
        }
        std::vector<ProgramService*> services;
        for (auto& [name, definition] : groups) {
            define_group(name, std::move(definition), mistakes);
        }
        for (auto& [name, definition] : programs) {
            services.push_back(define_program(name, std::move(definition), mistakes));
        }
        return services;
    } catch (const ConfigError& error) {
        throw ConfigError("library \"" + printable(uri, 300) + "\": " + error.what());
    }
}

ProgramService* Catalogue::find(std::string_view name) const {
    const auto found = services_.find(name);
    return found == services_.end() ? nullptr : found->second.get();
}

std::string Catalogue::why_missing(std::string_view name) const {
    return definitions_.contains(name) ? in_quotes(name) + " is a group: its configuration has neither filename nor uri"
                                       : "there is no program " + in_quotes(name);
}

void Catalogue::for_each(const std::function<void(ProgramService&)>& visit) const {
    for (const auto& [name, service] : services_) {
        visit(*service);
    }
}

std::map<std::string, std::string> Catalogue::refused_groups() const {
    std::map<std::string, std::string> refused;
    for (const auto& [name, definition] : definitions_) {
        if (std::string mistake = definition.is_program() ? "" : group_mistake(name, definition); !mistake.empty()) {
            refused.emplace(name, std::move(mistake));
        }
    }
    return refused;
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
            environment_.log(name, std::string("was not started: ") + failure.what());
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
    environment_.self_requests->close_idle();
}

void Catalogue::end() {
    cold();
    services_.clear();
}

}  // namespace tinykvm::host
