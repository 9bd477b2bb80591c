#include "src/vms/body_piece.hpp"

#include <algorithm>

namespace tinykvm::host {

bool BodyPiece::append(std::span<const std::byte>& data) {
    if (own_.empty() && data.size() >= request_piece_size) {
        loan_ = data.first(std::min(data.size(), largest_loan));
        data = data.subspan(loan_.size());
        return true;
    }
    const std::size_t size = std::min(data.size(), request_piece_size - own_.size());
    append_copy(data.first(size));
    data = data.subspan(size);
    return own_.size() == request_piece_size;
}

void BodyPiece::append_copy(std::span<const std::byte> data) { own_.insert(own_.end(), data.begin(), data.end()); }

void BodyPiece::end_loan() {
    append_copy(loan_);
    loan_ = {};
}

void BodyPiece::clear() {
    own_.clear();
    loan_ = {};
}

}  // namespace tinykvm::host
