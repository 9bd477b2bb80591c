#include "src/fetch/host_rules.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "src/base/ascii.hpp"
#include "src/base/guest_text.hpp"

namespace tinykvm::host {

namespace {

using Bytes6 = std::array<unsigned char, 16>;

struct Network4 {
    std::uint32_t address;
    int bits;
};
// RFC 6890 and its successors; multicast; reserved.
constexpr Network4 special4[] = {
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared with the provider
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local, where clouds keep their metadata
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0586300, 24},  // relays of 6to4
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarks
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 4},   // multicast
    {0xF0000000, 4},   // reserved, broadcast
};

bool is_public4(std::uint32_t address) {
    return std::none_of(std::begin(special4), std::end(special4), [&](const Network4& network) {
        return (address ^ network.address) >> (32 - network.bits) == 0;
    });
}

std::uint32_t word(const Bytes6& bytes, std::size_t at) {
    return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
           static_cast<std::uint32_t>(bytes[at + 2]) << 8 | static_cast<std::uint32_t>(bytes[at + 3]);
}

bool is_mapped4(const Bytes6& bytes) {
    return word(bytes, 0) == 0 && word(bytes, 4) == 0 && word(bytes, 8) == 0x0000FFFF;
}

// Only what is known to be public: global unicast without its special parts, and what holds a public IPv4 address.
bool is_public6(const Bytes6& bytes) {
    const std::uint32_t first = word(bytes, 0);
    if (is_mapped4(bytes)) {
        return is_public4(word(bytes, 12));
    }
    if (first == 0x0064FF9B && word(bytes, 4) == 0 && word(bytes, 8) == 0) {
        return is_public4(word(bytes, 12));  // NAT64
    }
    if (first >> 16 == 0x2002) {
        return is_public4(word(bytes, 2));  // 6to4
    }
    const bool protocols = first >> 9 == 0x20010000U >> 9;  // 2001::/23, with Teredo
    const bool documentation = first == 0x20010DB8 || first >> 12 == 0x3FFF0;
    return first >> 29 == 1 && !protocols && !documentation;
}

Bytes6 bytes_of(const sockaddr& address) {
    Bytes6 bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
    return bytes;
}

std::uint32_t address4(const sockaddr& address) {
    return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr);
}

bool is_loopback(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        return address4(address) >> 24 == 127;
    }
    const Bytes6 bytes = bytes_of(address);
    if (is_mapped4(bytes)) {
        return bytes[12] == 127;
    }
    return word(bytes, 0) == 0 && word(bytes, 4) == 0 && word(bytes, 8) == 0 && word(bytes, 12) == 1;
}

std::string text_of(const sockaddr& address) {
    char text[INET6_ADDRSTRLEN] = "an unknown address";
    const void* bytes = address.sa_family == AF_INET
                            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(address).sin_addr)
                            : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
    inet_ntop(address.sa_family, bytes, text, sizeof text);
    return text;
}

// The address in its canonical form, however it was written; empty when the text is no address.
std::string canonical_address(const std::string& text) {
    in6_addr six{};
    in_addr four{};
    char out[INET6_ADDRSTRLEN] = {};
    if (inet_pton(AF_INET, text.c_str(), &four) == 1) {
        inet_ntop(AF_INET, &four, out, sizeof out);
    } else if (inet_pton(AF_INET6, text.c_str(), &six) == 1) {
        inet_ntop(AF_INET6, &six, out, sizeof out);
    }
    return out;
}

std::string canonical_host(std::string host) {
    if (host.ends_with('.')) {
        host.pop_back();  // example.com. is example.com
    }
    const std::string address = canonical_address(host);
    return address.empty() ? host : address;
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 253 && text.front() != '.' && text.back() != '.' &&
           text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
           });
}

[[noreturn]] void refuse(const HttpUrl& url, const std::string& why) {
    throw HttpFailure(FailureKind::host_error, EACCES,
                      "the program may not fetch from " + printable(url.host, 200) + ", port " +
                          std::to_string(url.port) + ": " + why);
}

}  // namespace

bool is_public_address(const sockaddr& address) {
    switch (address.sa_family) {
        case AF_INET: return is_public4(address4(address));
        case AF_INET6: return is_public6(bytes_of(address));
        default: return false;
    }
}

std::optional<HostRule> HostRule::parse(std::string_view text) {
    HostRule rule;
    std::string host = to_lower(text);
    const std::size_t bracket = host.find(']');
    const std::size_t colon = host.find(':', bracket == std::string::npos ? 0 : bracket);
    if (colon != std::string::npos) {
        std::uint16_t port = 0;
        const char* end = host.data() + host.size();
        const auto [stop, error] = std::from_chars(host.data() + colon + 1, end, port);
        if (error != std::errc() || stop != end || port == 0) {
            return std::nullopt;
        }
        rule.port = port;
        host.erase(colon);
    }
    if (host == "*") {
        rule.match = Match::any;
        return rule;
    }
    if (host.starts_with("*.")) {
        rule.match = Match::subdomains;
        rule.host = host.substr(1);
        return is_name(host.substr(2)) ? std::optional(rule) : std::nullopt;
    }
    if (bracket != std::string::npos) {
        if (!host.starts_with('[') || !host.ends_with(']')) {
            return std::nullopt;
        }
        rule.host = canonical_address(host.substr(1, host.size() - 2));
        return rule.host.find(':') != std::string::npos ? std::optional(rule) : std::nullopt;
    }
    rule.host = canonical_host(host);
    return is_name(rule.host) ? std::optional(rule) : std::nullopt;
}

bool HostRule::matches(const HttpUrl& url) const {
    if (port ? url.port != *port : url.port != 80 && url.port != 443) {
        return false;
    }
    const std::string wanted = canonical_host(url.host);
    switch (match) {
        case Match::any: return true;
        case Match::subdomains: return wanted.size() > host.size() && wanted.ends_with(host);
        case Match::name: return wanted == host;
    }
    return false;
}

void HostRules::check_url(const HttpUrl& url) const {
    if (url.has_credentials) {
        refuse(url, "its URL has a user or password");
    }
    if (std::none_of(rules_.begin(), rules_.end(), [&](const HostRule& rule) { return rule.matches(url); })) {
        refuse(url, "no rule of allowed_hosts allows it");
    }
}

void HostRules::check_address(const HttpUrl& url, const sockaddr& address) const {
    if (address.sa_family != AF_INET && address.sa_family != AF_INET6) {
        refuse(url, "it is not on the internet");
    }
    const std::string text = text_of(address);
    for (const HostRule& rule : rules_) {
        if (!rule.matches(url)) {
            continue;
        }
        const bool is_named = rule.match == HostRule::Match::name &&
                              (rule.host == text || (rule.host == "localhost" && is_loopback(address)));
        if (is_named || rule.allows_private || is_public_address(address)) {
            return;
        }
    }
    refuse(url, "its address " + text + " is not public, and no rule of allowed_hosts has \"private\": true for it");
}

bool HostRules::may_ignore_name(const HttpUrl& url) const {
    return std::any_of(rules_.begin(), rules_.end(),
                       [&](const HostRule& rule) { return rule.may_ignore_name && rule.matches(url); });
}

}  // namespace tinykvm::host
