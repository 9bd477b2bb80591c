// Reads what a URI names, over http or https or from a file.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "src/base/failure.hpp"
#include "tinykvm/size_limit.hpp"
#include "tinykvm/types.hpp"

namespace tinykvm::host {

inline constexpr std::string_view allowed_uris =
    "a string of the form file:///path, http://host/path or https://host/path";

// What is wrong with a URI that is to be read; empty when nothing is.
[[nodiscard]] std::string uri_problem(const std::string& uri);

// The version of a resource, as its server names it. What the server does not say is empty.
struct ResourceVersion {
    std::string etag, last_modified;

    bool known() const { return !etag.empty() || !last_modified.empty(); }
};

struct ResourceRequest {
    std::string uri;
    ResourceVersion have;  // nothing is read while the resource still has this version
    SizeLimit limit{0};
    Deadline deadline{};
    Deadline answer_by = Deadline::max();  // when a server must have begun to answer
    std::function<bool()> cancelled;       // asked now and then; null: never cancelled
    // Gets the bytes in order, also those of a response that turns out to be an error. May throw, which ends the
    // reading.
    std::function<void(std::string_view)> take;
};

struct ResourceAnswer {
    bool unchanged = false;  // the resource still has the version of the request
    ResourceVersion version;
};

// Throws Failure with a message that names the URI and the reason. Redirects are followed, from https to https only.
ResourceAnswer read_resource(const ResourceRequest& request);

}  // namespace tinykvm::host
