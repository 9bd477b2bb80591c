#include "src/base/checksum.hpp"

#include <openssl/evp.h>

#include <array>

#include "src/base/failure.hpp"
#include "tinykvm/printable.hpp"

namespace tinykvm::host {

struct Digest::Context {
    EVP_MD_CTX* evp = EVP_MD_CTX_new();

    Context() = default;
    ~Context() { EVP_MD_CTX_free(evp); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

namespace {

void require(bool success) {
    if (!success) {
        throw Failure(FailureKind::host_error, "the cryptographic library does not compute a checksum");
    }
}

}  // namespace

Digest::Digest(Algorithm algorithm) : context_(std::make_unique<Context>()) {
    require(context_->evp != nullptr &&
            EVP_DigestInit_ex(context_->evp, algorithm == Algorithm::sha256 ? EVP_sha256() : EVP_md5(), nullptr) == 1);
}

Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::add(std::span<const std::byte> bytes) {
    require(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> value;
    unsigned size = 0;
    require(EVP_DigestFinal_ex(context_->evp, value.data(), &size) == 1);
    return to_hex(value.data(), size);
}

Verification::Verification(const Checksums& expected) : expected_(expected), sha256_(Digest::Algorithm::sha256) {
    if (!expected_.md5.empty()) {
        md5_.emplace(Digest::Algorithm::md5);
    }
}

void Verification::add(std::span<const std::byte> bytes) {
    sha256_.add(bytes);
    if (md5_) {
        md5_->add(bytes);
    }
}

std::string Verification::finish() {
    found_sha256_ = sha256_.finish();
    if (!expected_.sha256.empty() && found_sha256_ != expected_.sha256) {
        return "its sha256 is \"" + found_sha256_ + "\", not \"" + expected_.sha256 + "\"";
    }
    if (const std::string found = md5_ ? md5_->finish() : std::string(); found != expected_.md5) {
        return "its md5 is \"" + found + "\", not \"" + expected_.md5 + "\"";
    }
    return {};
}

}  // namespace tinykvm::host
