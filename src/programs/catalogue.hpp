// The programs and groups of one configuration (one VCL).
//
// Thread safety: configure() and library() while no other thread uses the object; the rest from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/config_layer.hpp"
#include "src/fetch/self_requests.hpp"
#include "src/programs/program_service.hpp"

namespace tinykvm::host {

class Catalogue {
  public:
    explicit Catalogue(const ProgramEnvironment& environment)
        : environment_{environment.counters, environment.log, std::make_shared<SelfRequests>(environment.counters)} {}

    // Defines a program (an object with a filename or a URI) or a group (with neither), or adds to what was said about
    // it before. Throws ConfigError; nothing has changed then. Returns the program; null for a group.
    ProgramService* configure(std::string_view name, std::string_view json);

    // What becomes of a program whose settings are wrong: the whole library fails, or it alone is not served, which the
    // log says.
    enum class Mistakes { fail, refuse };
    // Takes over the definitions of a library. What configure() says about the same names, before or after, counts
    // more. Throws ConfigError or Failure, and is then not to be used any more. Returns the programs, also those that
    // are not served.
    std::vector<ProgramService*> library(const std::string& uri, Mistakes mistakes = Mistakes::fail);

    // Null when there is no such program.
    ProgramService* find(std::string_view name) const;
    // Why there is none, for a log.
    std::string why_missing(std::string_view name) const;

    // How its programs and chains make requests to Varnish itself.
    SelfRequests& self_requests() { return *environment_.self_requests; }

    // Visits the programs in the order of their names.
    void for_each(const std::function<void(ProgramService&)>& visit) const;
    // The groups whose settings are wrong, and in which way.
    std::map<std::string, std::string> refused_groups() const;

    // The VCL is warm. Starts the programs that are configured so.
    void warm();
    // Waits some seconds for VMs in use, all of them together; there should be none. When it is cold already it has had
    // that time.
    void cold();
    // Ends all programs. Waits like cold(), and no longer: what is left then ends by itself.
    void end();

  private:
    struct Definition {
        std::string library;  // where it comes from; empty: from no library
        ConfigLayer base;     // what the library says
        ConfigLayer own;      // what configure() says

        bool is_program() const { return base.defines_program() || own.defines_program(); }
        ConfigLayer whole() const;
    };
    using Definitions = std::map<std::string, Definition, std::less<>>;

    ProgramService* define_program(std::string_view name, Definition definition, Mistakes mistakes);
    void define_group(std::string_view name, Definition definition, Mistakes mistakes);
    bool reconfigure(ProgramService& service, const Definition& definition, Mistakes mistakes) const;
    static std::string group_mistake(std::string_view name, const Definition& definition);
    void require_no_group(std::string_view name, const Definition& definition) const;
    ProgramConfig effective_config(std::string_view name, const ConfigLayer& own) const;

    const ProgramEnvironment environment_;
    Definitions definitions_;
    std::map<std::string, std::unique_ptr<ProgramService>, std::less<>> services_;  // of the programs
    std::optional<Deadline> cold_until_;                                            // how long cold() waits
};

}  // namespace tinykvm::host
