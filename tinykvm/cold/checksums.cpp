#include "tinykvm/cold/checksums.hpp"

#include <openssl/evp.h>
#include <x86intrin.h>

#include <algorithm>
#include <cstring>

#include "tinykvm/errors.hpp"

namespace tinykvm::cold {

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? polynomial : 0);
    }
    return table;
}

std::uint64_t word(const std::byte* at) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// The instruction has a latency of 3 cycles and can begin in each: so pages are done three at a time.
__attribute__((target("sse4.2"))) void checksum_three(const std::byte* pages, std::uint32_t* checksums) {
    std::uint64_t a = ~0u, b = ~0u, c = ~0u;
    for (std::size_t at = 0; at < page_size; at += sizeof(std::uint64_t)) {
        a = _mm_crc32_u64(a, word(pages + at));
        b = _mm_crc32_u64(b, word(pages + page_size + at));
        c = _mm_crc32_u64(c, word(pages + 2 * page_size + at));
    }
    checksums[0] = ~static_cast<std::uint32_t>(a);
    checksums[1] = ~static_cast<std::uint32_t>(b);
    checksums[2] = ~static_cast<std::uint32_t>(c);
}

__attribute__((target("sse4.2"))) std::uint32_t checksum_one(const std::byte* page) {
    std::uint64_t value = ~0u;
    for (std::size_t at = 0; at < page_size; at += sizeof(std::uint64_t)) value = _mm_crc32_u64(value, word(page + at));
    return ~static_cast<std::uint32_t>(value);
}

}  // namespace

Sha256 sha256(std::span<const std::byte> bytes) {
    Sha256 digest;
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, EVP_sha256(),
                   nullptr) != 1 ||
        size != digest.size())
        throw MachineError("the cryptographic library does not compute a checksum");
    return digest;
}

void checksum_pages(std::span<const std::byte> pages, std::span<std::uint32_t> checksums) {
    static const bool has_instruction = __builtin_cpu_supports("sse4.2");
    if (!has_instruction) return checksum_pages_slowly(pages, checksums);
    std::size_t page = 0;
    for (; page + 3 <= checksums.size(); page += 3)
        checksum_three(pages.data() + page * page_size, checksums.data() + page);
    for (; page < checksums.size(); ++page) checksums[page] = checksum_one(pages.data() + page * page_size);
}

void checksum_pages_slowly(std::span<const std::byte> pages, std::span<std::uint32_t> checksums) {
    static constexpr auto table = make_table();
    for (std::size_t page = 0; page < checksums.size(); ++page) {
        std::uint32_t value = ~0u;
        for (const std::byte byte : pages.subspan(page * page_size, page_size))
            value = table[(value ^ static_cast<std::uint32_t>(byte)) & 0xFF] ^ value >> 8;
        checksums[page] = ~value;
    }
}

}  // namespace tinykvm::cold
