// Says hello, and gives a POSTed text back in capitals.
#include <algorithm>
#include <cctype>
#include <iostream>
#include <kvm_api.hpp>
#include <string>

int main() {
    const std::string greeting = "Hello";
    if (!kvm::is_sandboxed()) {
        std::cout << greeting << ", Linux!\n";
        return 0;
    }
    // What all requests need is done here, once: files read, tables computed, networks loaded. Each request is then
    // answered in its own copy of it, and what it changes is gone with it.
    kvm::on_request([&](const kvm::Request& request) {
        std::string answer(request.text());
        std::transform(answer.begin(), answer.end(), answer.begin(), [](unsigned char c) { return std::toupper(c); });
        if (answer.empty()) answer = greeting + ", " + std::string(request.argument()) + "!\n";
        return kvm::Response(200, "text/plain", answer);
    });
    kvm::serve();
}
