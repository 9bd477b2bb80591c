#include "src/vms/kept_body.hpp"

#include <utility>

#include "src/base/idle_buffer.hpp"

namespace tinykvm::host {

KeptBody::KeptBody(std::size_t limit, std::vector<std::byte> buffer) : limit_(limit), bytes_(std::move(buffer)) {
    bytes_.clear();
}

bool KeptBody::append(std::span<const std::byte> data) {
    if (limit_ == 0) {
        return true;
    }
    if (data.size() > limit_ - bytes_.size()) {
        limit_ = 0;
        bytes_ = {};
        return false;
    }
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return true;
}

std::vector<std::byte> KeptBody::take_buffer() {
    std::vector<std::byte> buffer = std::exchange(bytes_, {});
    limit_ = 0;
    return buffer.capacity() <= largest_idle_buffer ? std::move(buffer) : std::vector<std::byte>();
}

}  // namespace tinykvm::host
