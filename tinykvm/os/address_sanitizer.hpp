// Is this compiled with AddressSanitizer? Defines TINYKVM_ADDRESS_SANITIZER then. g++ says so with a macro, clang++
// with a feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define TINYKVM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TINYKVM_ADDRESS_SANITIZER 1
#endif
#endif
