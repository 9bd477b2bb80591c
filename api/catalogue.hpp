// The programs and groups of one configuration (one VCL).
//
// Thread safety: configure() while nobody else uses the object; the rest from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "api/config.hpp"
#include "api/self_requests.hpp"
#include "api/service.hpp"

namespace tinykvm::api {

class Catalogue {
  public:
    explicit Catalogue(const ServiceHost& host)
        : host_{host.counters, host.log, std::make_shared<SelfRequests>(host.counters)} {}

    // Defines a program (an object with a filename) or a group (without), or adds to what was said about it
    // before. Throws ConfigError; nothing has changed then. Returns the program; null for a group.
    Service* configure(std::string_view name, std::string_view json);

    // Null when there is no such program.
    Service* find(std::string_view name) const;
    // Why there is none, for a log.
    std::string why_missing(std::string_view name) const;

    // How its programs and chains make requests to Varnish itself.
    SelfRequests& self_requests() { return *host_.self_requests; }

    // In the order of their names.
    void for_each(const std::function<void(Service&)>& visit) const;

    void warm();
    // Waits some seconds for VMs in use; there should be none.
    void cold();
    // All programs go.
    void end();

  private:
    ProgramConfig effective(std::string_view name, const ConfigLayer& own) const;

    const ServiceHost host_;
    std::map<std::string, ConfigLayer, std::less<>> groups_, programs_;
    std::map<std::string, std::unique_ptr<Service>, std::less<>> services_;
};

}  // namespace tinykvm::api
