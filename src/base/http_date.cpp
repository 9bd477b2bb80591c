#include "src/base/http_date.hpp"

#include <iomanip>
#include <locale>
#include <sstream>

namespace tinykvm::host {

namespace {

constexpr const char* form = "%a, %d %b %Y %H:%M:%S GMT";

}  // namespace

std::optional<std::time_t> parse_http_date(std::string_view text) {
    std::istringstream stream{std::string(text)};
    stream.imbue(std::locale::classic());  // the names of days and months are English
    std::tm parts{};
    stream >> std::get_time(&parts, form);
    if (stream.fail()) {
        return std::nullopt;
    }
    const std::time_t time = ::timegm(&parts);
    // Only as it is written today, and no day that there is not.
    return format_http_date(time) == text ? std::optional(time) : std::nullopt;
}

std::string format_http_date(std::time_t time) {
    std::tm parts{};
    if (::gmtime_r(&time, &parts) == nullptr) {
        return {};
    }
    std::ostringstream stream;
    stream.imbue(std::locale::classic());
    stream << std::put_time(&parts, form);
    return stream.str();
}

}  // namespace tinykvm::host
