// One instruction of each extension a library may choose by CPUID: is it announced, and does it work in a guest?
// FEATURE(name, CPUID leaf, index, register, bit, vector state it needs (XCR0), code)
// Source of the bits: Intel SDM volume 2A, CPUID.
#pragma once

#define TINYKVM_X86_INSTRUCTION_TESTS(FEATURE)                                    \
    FEATURE("SSE3", 1, 0, ecx, 0, 0, "haddps %xmm0, %xmm1")                       \
    FEATURE("PCLMULQDQ", 1, 0, ecx, 1, 0, "pclmulqdq $0, %xmm0, %xmm1")           \
    FEATURE("SSSE3", 1, 0, ecx, 9, 0, "pabsb %xmm0, %xmm1")                       \
    FEATURE("FMA", 1, 0, ecx, 12, 6, "vfmadd231ps %ymm0, %ymm1, %ymm2")           \
    FEATURE("CMPXCHG16B", 1, 0, ecx, 13, 0, "cmpxchg16b (%rdi)")                  \
    FEATURE("SSE4.1", 1, 0, ecx, 19, 0, "ptest %xmm0, %xmm1")                     \
    FEATURE("SSE4.2", 1, 0, ecx, 20, 0, "crc32l %eax, %ecx")                      \
    FEATURE("MOVBE", 1, 0, ecx, 22, 0, "movbel (%rdi), %ecx")                     \
    FEATURE("POPCNT", 1, 0, ecx, 23, 0, "popcntl %eax, %ecx")                     \
    FEATURE("AES", 1, 0, ecx, 25, 0, "aesenc %xmm0, %xmm1")                       \
    FEATURE("XSAVE", 1, 0, ecx, 26, 0, "xorl %ecx, %ecx; xgetbv")                 \
    FEATURE("AVX", 1, 0, ecx, 28, 6, "vaddps %ymm0, %ymm1, %ymm2")                \
    FEATURE("F16C", 1, 0, ecx, 29, 6, "vcvtph2ps %xmm0, %ymm1")                   \
    FEATURE("RDRAND", 1, 0, ecx, 30, 0, "rdrand %ecx")                            \
    FEATURE("FSGSBASE", 7, 0, ebx, 0, 0, "rdfsbase %rcx")                         \
    FEATURE("BMI1", 7, 0, ebx, 3, 0, "andn %eax, %eax, %ecx")                     \
    FEATURE("AVX2", 7, 0, ebx, 5, 6, "vpaddd %ymm0, %ymm1, %ymm2")                \
    FEATURE("BMI2", 7, 0, ebx, 8, 0, "pdep %eax, %eax, %ecx")                     \
    FEATURE("ERMS", 7, 0, ebx, 9, 0, "movl $1, %ecx; movq %rdi, %rsi; rep movsb") \
    FEATURE("AVX512F", 7, 0, ebx, 16, 0xE6, "vpaddd %zmm0, %zmm17, %zmm2")        \
    FEATURE("AVX512DQ", 7, 0, ebx, 17, 0xE6, "vpmullq %zmm0, %zmm1, %zmm2")       \
    FEATURE("RDSEED", 7, 0, ebx, 18, 0, "rdseed %ecx")                            \
    FEATURE("ADX", 7, 0, ebx, 19, 0, "adcxl %eax, %ecx")                          \
    FEATURE("AVX512IFMA", 7, 0, ebx, 21, 0xE6, "vpmadd52luq %zmm0, %zmm1, %zmm2") \
    FEATURE("CLFLUSHOPT", 7, 0, ebx, 23, 0, "clflushopt (%rdi)")                  \
    FEATURE("CLWB", 7, 0, ebx, 24, 0, "clwb (%rdi)")                              \
    FEATURE("AVX512CD", 7, 0, ebx, 28, 0xE6, "vplzcntd %zmm0, %zmm1")             \
    FEATURE("SHA", 7, 0, ebx, 29, 0, "sha1msg1 %xmm0, %xmm1")                     \
    FEATURE("AVX512BW", 7, 0, ebx, 30, 0xE6, "vpaddb %zmm0, %zmm1, %zmm2")        \
    FEATURE("AVX512VL", 7, 0, ebx, 31, 0xE6, "vpaddd %ymm0, %ymm17, %ymm2")       \
    FEATURE("AVX512VBMI", 7, 0, ecx, 1, 0xE6, "vpermb %zmm0, %zmm1, %zmm2")       \
    FEATURE("AVX512VBMI2", 7, 0, ecx, 6, 0xE6, "vpcompressb %zmm0, %zmm1")        \
    FEATURE("GFNI", 7, 0, ecx, 8, 0, "gf2p8mulb %xmm0, %xmm1")                    \
    FEATURE("VAES", 7, 0, ecx, 9, 6, "vaesenc %ymm0, %ymm1, %ymm2")               \
    FEATURE("VPCLMULQDQ", 7, 0, ecx, 10, 6, "vpclmulqdq $0, %ymm0, %ymm1, %ymm2") \
    FEATURE("AVX512VNNI", 7, 0, ecx, 11, 0xE6, "vpdpbusd %zmm0, %zmm1, %zmm2")    \
    FEATURE("AVX512BITALG", 7, 0, ecx, 12, 0xE6, "vpopcntb %zmm0, %zmm1")         \
    FEATURE("AVX512VPOPCNTDQ", 7, 0, ecx, 14, 0xE6, "vpopcntd %zmm0, %zmm1")      \
    FEATURE("FSRM", 7, 0, edx, 4, 0, "movl $1, %ecx; movq %rdi, %rsi; rep movsb") \
    FEATURE("AVX512FP16", 7, 0, edx, 23, 0xE6, "vaddph %zmm0, %zmm1, %zmm2")      \
    FEATURE("AVXVNNI", 7, 1, eax, 4, 6, "{vex} vpdpbusd %ymm0, %ymm1, %ymm2")     \
    FEATURE("AVX512BF16", 7, 1, eax, 5, 0xE6, "vdpbf16ps %zmm0, %zmm1, %zmm2")    \
    FEATURE("LAHF", 0x80000001, 0, ecx, 0, 0, "lahf")                             \
    FEATURE("LZCNT", 0x80000001, 0, ecx, 5, 0, "lzcntl %eax, %ecx")               \
    FEATURE("PREFETCHW", 0x80000001, 0, ecx, 8, 0, "prefetchw (%rdi)")            \
    FEATURE("RDTSCP", 0x80000001, 0, edx, 27, 0, "rdtscp")
