// SPDX-License-Identifier: BSD-2-Clause
// Which code libraries select for the CPU they find, as "what: choice" lines: natively and in the sandbox the
// same.
#include <dlfcn.h>
#include <simdjson.h>

#include <cstdio>

namespace {

// Where the implementation is in its library; its name is in no symbol table.
void print_choice(const char* function) {
    Dl_info info{};
    const void* chosen = dlsym(RTLD_DEFAULT, function);
    if (chosen == nullptr || dladdr(chosen, &info) == 0) return;
    std::printf("%s: libc + %#tx\n", function,
                static_cast<const char*>(chosen) - static_cast<const char*>(info.dli_fbase));
}

#define PRINT_FEATURE(name) std::printf("CPU has %s: %s\n", name, __builtin_cpu_supports(name) ? "yes" : "no")

}  // namespace

int main() {
    std::printf("simdjson: %s\n", simdjson::get_active_implementation()->name().c_str());
    for (const char* function : {"memcpy", "memset", "memcmp", "memchr", "strlen", "strcmp"}) print_choice(function);
    PRINT_FEATURE("sse4.2");
    PRINT_FEATURE("popcnt");
    PRINT_FEATURE("avx");
    PRINT_FEATURE("avx2");
    PRINT_FEATURE("bmi2");
    PRINT_FEATURE("fma");
    PRINT_FEATURE("avx512f");
    PRINT_FEATURE("avx512bw");
    PRINT_FEATURE("avx512vbmi2");
}
