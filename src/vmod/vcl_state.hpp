// What belongs to one VCL: its programs and a director for each.
//
// Life: made by the LOAD event, filled in vcl_init, gone with the DISCARD event. CLI thread, but for find().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "src/programs/catalogue.hpp"
#include "src/vmod/varnish.hpp"

namespace tinykvm::vmod {

// What a director points to: a program, or what the name "fetch" stands for (src/vmod/fetch_link.hpp).
struct ProgramBackend {
    static constexpr unsigned expected_magic = 0x7B4D0001;
    unsigned magic = expected_magic;
    std::string name;
    host::ProgramService* service = nullptr;      // null: it is "fetch"
    host::SelfRequests* self_requests = nullptr;  // of "fetch"
    VCL_BACKEND director = nullptr;
};

class VclState {
  public:
    static constexpr unsigned expected_magic = 0x7B4D0002;
    unsigned magic = expected_magic;

    // Throws VclError when Varnish gives it no director.
    explicit VclState(VRT_CTX);
    ~VclState();  // after discard()
    VclState(const VclState&) = delete;
    VclState& operator=(const VclState&) = delete;

    // Throws host::ConfigError, or VclError when Varnish gives it no director.
    void configure(VRT_CTX, std::string_view name, std::string_view json);
    // The same for the programs of a library; also throws host::Failure. Not strict: programs whose settings are wrong
    // are not served, and nothing is thrown for them.
    void library(VRT_CTX, const std::string& uri, bool strict);
    void allow_self_requests(const std::string& unix_socket, const std::string& http_prefix, long maximum);
    // Null, a log line and a count when there is no such program.
    ProgramBackend* find(VRT_CTX, const char* name);
    // What fetches such a URL in place of a program. Null: it is for a program.
    const ProgramBackend* fetcher(std::string_view program, std::string_view url, bool in_chain) const;

    host::Catalogue& catalogue() { return catalogue_; }
    // The director of live updates; there is one when there are programs.
    VCL_BACKEND updater() const { return updater_; }
    // Takes the directors away from the VCL, which has no more users.
    void discard();

  private:
    void add_backend(VRT_CTX, host::ProgramService& service);

    host::Catalogue catalogue_;
    std::map<std::string, std::unique_ptr<ProgramBackend>, std::less<>> backends_;
    VCL_BACKEND updater_ = nullptr;
    ProgramBackend fetcher_;
    bool allows_self_requests_ = false;
};

VclState& state_of(struct vmod_priv* priv);

}  // namespace tinykvm::vmod
