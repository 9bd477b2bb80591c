// Prints docs/configuration.md.
#include <cstdio>

#include "src/config/settings.hpp"

int main() {
    const std::string page = tinykvm::host::configuration_page();
    return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() ? 0 : 1;
}
