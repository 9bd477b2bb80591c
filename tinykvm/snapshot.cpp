#include "tinykvm/snapshot.hpp"

#include "tinykvm/guest/snapshot_contents.hpp"

namespace tinykvm {

Snapshot::Snapshot(std::unique_ptr<const SnapshotContents> contents) : contents_(std::move(contents)) {}
Snapshot::~Snapshot() = default;

std::size_t Snapshot::image_bytes() const { return contents_->memory->data_pages * page_size; }

}  // namespace tinykvm
