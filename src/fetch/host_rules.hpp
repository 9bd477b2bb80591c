// Which hosts a program may fetch from: the setting `allowed_hosts`. Without rules it may fetch from none.
//
// Names are checked before anything is looked up, addresses before they are connected to: a name that is allowed does
// not lead to the machine itself or into private networks unless its rule says that it may.
//
// Thread safety: constant after parsing.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/fetch/http_client.hpp"

namespace tinykvm::host {

struct HostRule {
    enum class Match { name, subdomains, any };

    Match match = Match::name;
    std::string host;                   // in lower case: a name, an address, or ".example.com" for subdomains
    std::optional<std::uint16_t> port;  // nullopt: 80 and 443
    bool allows_private = false;        // addresses that are not public
    bool may_ignore_name = false;       // certificates for other names, when the program wants that

    // "example.com", "example.com:8080", "*.example.com", "*", "192.0.2.1", "[2001:db8::1]:80". Nullopt when the text
    // is no such rule.
    static std::optional<HostRule> parse(std::string_view text);
    bool matches(const HttpUrl& url) const;
    template <typename Archive>
    void archive(Archive& archive) {
        archive(match, host, port, allows_private, may_ignore_name);
    }
    bool operator==(const HostRule&) const = default;
};

class HostRules {
  public:
    HostRules() = default;
    explicit HostRules(std::vector<HostRule> rules) : rules_(std::move(rules)) {}

    // Throw HttpFailure (EACCES) when no rule allows it.
    void check_url(const HttpUrl& url) const;
    void check_address(const HttpUrl& url, const sockaddr& address) const;
    bool may_ignore_name(const HttpUrl& url) const;
    template <typename Archive>
    void archive(Archive& archive) {
        archive(rules_);
    }

    bool operator==(const HostRules&) const = default;

  private:
    std::vector<HostRule> rules_;
};

// Is it an address of the public internet, not of this machine, its network, or for special use?
bool is_public_address(const sockaddr& address);

}  // namespace tinykvm::host
