#include "src/fetch/resource.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"
#include "src/fetch/http_client.hpp"
#include "tinykvm/os/file_descriptor.hpp"

namespace tinykvm::host {

namespace {

constexpr std::string_view file_scheme = "file://";
constexpr std::size_t max_uri_bytes = 4096, max_version_bytes = 1024;
constexpr unsigned max_redirects = 5;

// Is every '%' of the text followed by two hexadecimal digits?
bool is_percent_encoded(std::string_view text) {
    for (std::size_t at = 0; (at = text.find('%', at)) != std::string_view::npos; at++) {
        const std::string_view digits = text.substr(at + 1, 2);
        if (digits.size() < 2 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
            return false;
        }
    }
    return true;
}

// The path of file:///path or file://localhost/path; nullopt when it is not such a URI.
std::optional<std::string> path_of(std::string_view uri) {
    uri.remove_prefix(file_scheme.size());
    if (uri.starts_with("localhost/")) {
        uri.remove_prefix(std::strlen("localhost"));
    }
    if (!uri.starts_with('/') || !is_percent_encoded(uri)) {
        return std::nullopt;
    }
    int size = 0;
    const std::unique_ptr<char, decltype(&curl_free)> text(
        curl_easy_unescape(nullptr, uri.data(), static_cast<int>(uri.size()), &size), curl_free);
    std::string path = text ? std::string(text.get(), static_cast<std::size_t>(size)) : std::string();
    return path.empty() || path.find('\0') != std::string::npos ? std::nullopt : std::optional(std::move(path));
}

[[noreturn]] void fail(const ResourceRequest& request, FailureKind kind, const std::string& why) {
    throw Failure(kind, printable(request.uri, 300) + ": " + why);
}

// A file that was written again has another version, for all practical purposes.
std::string version_of(const struct stat& status) {
    return std::to_string(status.st_dev) + "." + std::to_string(status.st_ino) + "." + std::to_string(status.st_size) +
           "." + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
}

ResourceAnswer read_local(const ResourceRequest& request, const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) {
        fail(request, FailureKind::host_error, std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        fail(request, FailureKind::host_error, "not a regular file");
    }
    ResourceAnswer answer;
    answer.version.etag = version_of(status);
    if (request.have.etag == answer.version.etag) {
        answer.unchanged = true;
        return answer;
    }
    std::array<char, 65536> piece;
    for (std::size_t done = 0;;) {
        const ssize_t size = ::read(file.get(), piece.data(), piece.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            fail(request, FailureKind::host_error, std::strerror(errno));
        }
        if (size == 0) {
            return answer;
        }
        done += static_cast<std::size_t>(size);
        if (done > request.limit.bytes) {
            fail(request, FailureKind::host_error, request.limit.exceeded());
        }
        if (request.cancelled && request.cancelled()) {
            fail(request, FailureKind::client_gone, "cancelled");
        }
        if (Clock::now() >= request.deadline) {
            fail(request, FailureKind::timed_out, "could not be read in time");
        }
        request.take({piece.data(), static_cast<std::size_t>(size)});
    }
}

std::string version_field(const HttpResponse& response, std::string_view name) {
    const std::string_view value = response.header(name);
    return value.size() <= max_version_bytes ? std::string(value) : std::string();
}

ResourceAnswer read_remote(const ResourceRequest& request) {
    HttpRequest http;
    http.url = request.uri;
    http.deadline = request.deadline;
    http.answer_by = request.answer_by;
    http.cancelled = request.cancelled;
    std::size_t done = 0;
    http.max_body =
        std::numeric_limits<std::int64_t>::max();  // take_body checks the limit, with a message that names it
    http.take_body = [&](std::string_view piece) {
        done += piece.size();
        if (done > request.limit.bytes) {
            fail(request, FailureKind::host_error, request.limit.exceeded());
        }
        request.take(piece);
    };
    http.max_redirects = max_redirects;
    http.headers = {"User-Agent: tinykvm", "Accept: */*"};
    if (!request.have.etag.empty()) {
        http.headers.push_back("If-None-Match: " + request.have.etag);
    }
    if (!request.have.last_modified.empty()) {
        http.headers.push_back("If-Modified-Since: " + request.have.last_modified);
    }
    http.keep_https = true;
    const HttpResponse response = HttpClient().fetch(http);
    ResourceAnswer answer{response.status == 304 && request.have.known(), {}};
    if (answer.unchanged) {
        answer.version = request.have;
    } else if (response.status == 200) {
        answer.version = {version_field(response, "ETag"), version_field(response, "Last-Modified")};
    } else {
        fail(request, FailureKind::host_error, "the server's answer is " + std::to_string(response.status));
    }
    return answer;
}

}  // namespace

std::string uri_problem(const std::string& uri) {
    if (uri.size() > max_uri_bytes) {
        return "it is too long";
    }
    if (uri.starts_with(file_scheme)) {
        return path_of(uri) ? std::string() : std::string("it is not of the form file:///path");
    }
    if (!uri.starts_with("http://") && !uri.starts_with("https://")) {
        return "it does not begin with file://, http:// or https://";
    }
    try {
        return parse_http_url(uri).has_credentials ? "it names a user, which is not supported" : std::string();
    } catch (const HttpFailure& failure) {
        return failure.what();
    }
}

ResourceAnswer read_resource(const ResourceRequest& request) {
    if (const std::string problem = uri_problem(request.uri); !problem.empty()) {
        fail(request, FailureKind::host_error, problem);
    }
    return request.uri.starts_with(file_scheme) ? read_local(request, *path_of(request.uri)) : read_remote(request);
}

}  // namespace tinykvm::host
