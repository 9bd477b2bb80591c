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
    // Throws Failure (host_error) when the library cannot do it.
    explicit Digest(Algorithm algorithm);
    ~Digest();
    Digest(Digest&&) noexcept;
    Digest& operator=(Digest&&) noexcept;

    void add(std::span<const std::byte> bytes);
    // Of all bytes, in hexadecimal digits, lower case. Nothing may be added afterwards.
    std::string finish();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// What a file must have; an empty one is not asked for.
struct Checksums {
    std::string sha256, md5;  // hexadecimal digits, lower case

    bool any() const { return !sha256.empty() || !md5.empty(); }
    bool operator==(const Checksums&) const = default;
};

// Checks bytes while they come along.
class Verification {
  public:
    explicit Verification(const Checksums& expected);

    void add(std::span<const std::byte> bytes);
    // What does not match, as `its sha256 is "...", not "..."`; nothing when all do. Ends the object's use but for
    // sha256().
    std::string finish();
    // After finish(): of these bytes, whether it was asked for or not.
    const std::string& sha256() const { return found_sha256_; }

  private:
    const Checksums expected_;
    Digest sha256_;
    std::optional<Digest> md5_;  // computed when it is asked for
    std::string found_sha256_;
};

}  // namespace tinykvm::host
