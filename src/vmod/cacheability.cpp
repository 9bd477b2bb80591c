#include "src/vmod/cacheability.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "src/base/http_field.hpp"
#include "src/vmod/header.hpp"

namespace tinykvm::vmod {

namespace {

std::string whole_seconds(double seconds) { return std::to_string(static_cast<unsigned long>(std::ceil(seconds))); }

// Does Varnish take a time from Cache-Control for this status? (RFC2616_Ttl)
bool has_time_of_its_own(int status) {
    constexpr int all[] = {200, 203, 204, 300, 301, 302, 304, 307, 404, 410, 414};
    return std::find(std::begin(all), std::end(all), status) != std::end(all);
}

// Makes the value exact, if it is still what the header made it.
void refine(float& value, double wanted) {
    if (value == static_cast<float>(std::ceil(wanted))) {
        value = static_cast<float>(wanted);
    }
}

}  // namespace

bool speaks_for_itself(const host::Response& response) {
    const auto about_caching = [](std::string_view line) {
        const std::string_view name = host::name_of(line);
        return host::same_name(name, "Cache-Control") || host::same_name(name, "Expires");
    };
    return std::any_of(response.headers.begin(), response.headers.end(), about_caching) ||
           std::any_of(response.response_changes.begin(), response.response_changes.end(),
                       [&](const host::HeaderChange& change) {
                           return change.kind != host::HeaderChange::Kind::unset && about_caching(change.line);
                       });
}

void add_cache_control(struct http* beresp, const host::Response& response) {
    const auto& cacheability = response.cacheability;
    if (cacheability && cacheability->cached) {
        add_header(beresp, "Cache-Control: s-maxage=" + whole_seconds(cacheability->ttl) +
                               ", stale-while-revalidate=" + whole_seconds(cacheability->grace));
    } else if (cacheability || !speaks_for_itself(response)) {
        add_header(beresp, "Cache-Control: max-age=0, stale-while-revalidate=0");
    }
}

void log_status_not_cached(const Log& log, const std::string& program, const host::Response& response) {
    const auto& wanted = response.cacheability;
    if (wanted && wanted->cached && wanted->ttl > 0 && !has_time_of_its_own(response.status)) {
        log.line(SLT_VCL_Log, "tinykvm: " + program + ": its response may be cached, but Varnish caches status " +
                                  std::to_string(response.status) + " only if vcl_backend_response sets beresp.ttl");
    }
}

void refine_times(struct objcore* object, const host::Cacheability& wanted) {
    if (!wanted.cached) {
        return;
    }
    refine(object->ttl, wanted.ttl);
    refine(object->grace, wanted.grace);
    if (object->keep == static_cast<float>(tinykvm_default_keep())) {
        object->keep = static_cast<float>(wanted.keep);
    }
}

void set_times(struct objcore* object, const host::Cacheability& wanted) {
    if (wanted.cached) {
        object->ttl = static_cast<float>(wanted.ttl);
        object->grace = static_cast<float>(wanted.grace);
        object->keep = static_cast<float>(wanted.keep);
    }
}

}  // namespace tinykvm::vmod
