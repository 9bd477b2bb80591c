// SHA-256 and MD5, and whether bytes are those that were expected.
//
// Thread safety: one thread at a time per object.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace tinykvm::host {

class Digest {
  public:
    enum class Algorithm { sha256, md5 };
    // Throws Failure (host_error) when OpenSSL cannot compute it.
    explicit Digest(Algorithm algorithm);
    ~Digest();
    Digest(Digest&&) noexcept;
    Digest& operator=(Digest&&) noexcept;

    void add(std::span<const std::byte> bytes);
    // The checksum of all bytes that were added, in lower-case hexadecimal digits. Nothing may be added afterwards.
    std::string finish();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// The checksums that a file must have; an empty one is not checked.
struct Checksums {
    std::string sha256, md5;  // hexadecimal digits, lower case

    bool any() const { return !sha256.empty() || !md5.empty(); }
    bool operator==(const Checksums&) const = default;
};

// Checks bytes as they arrive.
class Verification {
  public:
    explicit Verification(const Checksums& expected);

    void add(std::span<const std::byte> bytes);
    // Says what does not match, as `its sha256 is "...", not "..."`; empty when everything matches. After this only
    // sha256() may be called.
    std::string finish();
    // The SHA-256 of the bytes, also when none was expected. Valid after finish().
    const std::string& sha256() const { return found_sha256_; }

  private:
    const Checksums expected_;
    Digest sha256_;
    std::optional<Digest> md5_;  // computed when one is expected
    std::string found_sha256_;
};

}  // namespace tinykvm::host
