#include "src/base/http_date.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tinykvm::host {

namespace {

// Not those of the locale.
constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::size_t length = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" - 1;

}  // namespace

std::optional<std::time_t> parse_http_date(std::string_view text) {
    std::tm parts{};
    std::array<char, 4> month{};
    const std::string copy(text);
    if (text.size() != length ||
        std::sscanf(copy.c_str(), "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &parts.tm_mday, month.data(), &parts.tm_year,
                    &parts.tm_hour, &parts.tm_min, &parts.tm_sec) != 6) {
        return std::nullopt;
    }
    const auto* const name = std::find(months.begin(), months.end(), std::string_view(month.data()));
    if (name == months.end()) {
        return std::nullopt;
    }
    parts.tm_mon = static_cast<int>(name - months.begin());
    parts.tm_year -= 1900;
    const std::time_t time = ::timegm(&parts);
    return format_http_date(time) == text ? std::optional(time) : std::nullopt;
}

std::string format_http_date(std::time_t time) {
    std::tm parts{};
    if (::gmtime_r(&time, &parts) == nullptr) {
        return {};
    }
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  days.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                  months.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                  parts.tm_sec);
    return text.data();
}

}  // namespace tinykvm::host
