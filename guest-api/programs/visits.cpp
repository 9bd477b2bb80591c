// SPDX-License-Identifier: BSD-2-Clause
// Collects the URLs it is asked for, in its storage ("storage": true), and reports how often each was: with the
// argument "report" the answer is a line for each, "COUNT URL", the most frequent first. Others are answered with
// nothing, before they are counted. When the program is replaced by a live update, the next one goes on with them.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvm_api.hpp"

namespace {

constexpr std::size_t most_urls = 10000, longest_url = 200;
constexpr std::size_t longest_report = most_urls * (longest_url + 24);

// --- In the storage

std::map<std::string, std::uint64_t, std::less<>> visits;

// What is beyond the most URLs is counted together.
void count(std::string_view url, std::uint64_t times) {
    url = url.substr(0, longest_url);
    auto found = visits.find(url);
    if (found == visits.end()) found = visits.emplace(visits.size() < most_urls ? url : "(others)", 0).first;
    found->second += times;
}

void collect(void* url, std::size_t length) { count({static_cast<const char*>(url), length}, 1); }

std::string lines() {
    std::vector<std::pair<std::uint64_t, std::string_view>> sorted;
    sorted.reserve(visits.size());
    for (const auto& [url, times] : visits) sorted.emplace_back(times, url);
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    std::string text;
    for (const auto& [times, url] : sorted) text.append(std::to_string(times)).append(" ").append(url).append("\n");
    return text;
}

void report(std::size_t, virtbuffer[], std::size_t) {
    const std::string text = lines();
    storage_return(text.data(), text.size());
}

void hand_over() { report(0, nullptr, 0); }

void take_over(std::size_t length) {
    std::string text(length, '\0');
    live_restore_data(text.data(), text.size());
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size()), space = text.find(' ', at);
        if (space < end) count(std::string_view(text).substr(space + 1, end - space - 1), std::stoull(text.substr(at)));
        at = end + 1;
    }
}

// --- In requests

kvm::Response answer(const kvm::Request& request) {
    if (request.argument() == "report") {
        return kvm::Response(200, "text/plain", Storage::get<longest_report>("", report));
    }
    const long task = Storage::task(collect, request.url());
    if (task < 0) kvm::log("visits: a URL was not counted: " + std::string(std::strerror(static_cast<int>(-task))));
    return kvm::Response(200, "text/plain", "");
}

}  // namespace

int main() {
    if (!kvm::is_sandboxed()) {
        std::puts("visits is for Varnish: it collects URLs in the storage of a program");
        return 0;
    }
    if (IS_STORAGE()) {
        STORAGE_ALLOW(collect);
        STORAGE_ALLOW(report);
        set_on_live_update(hand_over);
        set_on_live_restore(take_over);
        wait_for_requests();
    }
    kvm::on_request(answer);
    kvm::serve();
}
