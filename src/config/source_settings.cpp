#include "src/config/source_settings.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "src/base/ascii.hpp"
#include "src/fetch/resource.hpp"

namespace tinykvm::host {

using nlohmann::json;

std::string store_checksum(std::string& checksum, std::size_t digits, const json& value) {
    std::string text = to_lower(value.get_ref<const std::string&>());
    if (text.size() != digits || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
        return "it is not one";
    }
    checksum = std::move(text);
    return {};
}

std::string read_downloads(const json& value, ProgramConfig& config) {
    std::vector<Download> downloads;
    for (const json& entry : value) {
        Download download{entry["uri"].get<std::string>(), entry["filepath"].get<std::string>(), {}};
        if (const std::string problem = uri_problem(download.uri); !problem.empty()) {
            return "\"uri\": " + problem;
        }
        if (!download.path.starts_with('/') || download.path.find('\0') != std::string::npos) {
            return "\"filepath\" must begin with '/' and have no zero byte";
        }
        for (const auto& [key, digits, checksum] :
             {std::tuple("sha256", 64, &download.checksums.sha256), std::tuple("md5", 32, &download.checksums.md5)}) {
            if (entry.contains(key) && !store_checksum(*checksum, digits, entry[key]).empty()) {
                return "\"" + std::string(key) + "\" is a string of " + std::to_string(digits) + " hexadecimal digits";
            }
        }
        if (std::any_of(downloads.begin(), downloads.end(),
                        [&](const Download& other) { return other.path == download.path; })) {
            return "\"filepath\": \"" + download.path + "\" is there twice";
        }
        downloads.push_back(std::move(download));
    }
    config.downloads = std::move(downloads);
    return {};
}

}  // namespace tinykvm::host
