// What the C++ wrapper looks like: tests/vtc/wrappers.vtc says what it answers.
#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "kvm_api.hpp"

int main() {
    if (!kvm::is_sandboxed()) {
        puts("a program for the sandbox");
        return 0;
    }
    const kvm::Regex digits("[0-9]+"), copied("^X-Copy");
    int requests = 0;

    kvm::on_request([&](const kvm::Request& request) {
        const std::string_view url = request.url();
        requests++;
        kvm::log("asked for " + std::string(url));
        if (request.method() == "POST") {
            std::string shout(request.text());
            std::transform(shout.begin(), shout.end(), shout.begin(), [](unsigned char c) { return std::toupper(c); });
            return kvm::Response(201, std::string(request.content_type()), shout);
        }
        if (url == "/fail") {
            throw std::runtime_error("as asked for");
        }
        if (url.starts_with("/digits")) {
            const auto where = digits.find(url);
            return kvm::Response(200, "text/plain",
                                 digits.replace_all(url, "<\\0>") + " " + (where ? std::to_string(*where) : "none"));
        }
        if (url == "/headers") {
            const long count = copied.copy(kvm::bereq, kvm::beresp);
            kvm::beresp.append("X-Gone", "soon");
            kvm::beresp.unset("X-Gone");
            kvm::beresp.set("X-Seen", kvm::bereq.find("X-Asked").value_or("nothing"));
            const std::string own(request.header("x-asked").value_or("-"));
            return kvm::Response(200, "text/plain", std::to_string(count) + " " + own);
        }
        using namespace std::chrono_literals;
        const std::string name(request.argument());
        return kvm::Response(200, "text/plain", "Hello, " + name + "! " + std::to_string(requests))
            .header("X-Language", "C++")
            .cache(30s, 5s);
    });
    kvm::on_error([](const kvm::Request& request, std::string_view what) {
        return kvm::Response(203, "text/plain").body(std::string(request.url()) + " " + std::string(what.substr(0, 7)));
    });
    kvm::serve();
}
