#include "src/config/library.hpp"

#include "src/fetch/resource.hpp"

namespace tinykvm::host {

std::map<std::string, ConfigLayer, std::less<>> read_library(const std::string& uri) {
    std::string text;
    ResourceRequest request;
    request.uri = uri;
    request.limit = {max_library_bytes};
    request.deadline = Clock::now() + max_library_time;
    request.take = [&](std::string_view piece) { text += piece; };
    (void)read_resource(request);
    return parse_library(text);
}

}  // namespace tinykvm::host
