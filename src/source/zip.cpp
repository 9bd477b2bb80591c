#include "src/source/zip.hpp"

#include <isa-l/crc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/source/decoder.hpp"

namespace tinykvm::host {

namespace {

// The records that are read, as in APPNOTE.TXT 4.3; their sizes are without the parts of variable length.
constexpr std::uint32_t end_signature = 0x06054B50, entry_signature = 0x02014B50, local_signature = 0x04034B50;
constexpr std::size_t end_size = 22, entry_size = 46, local_size = 30, max_comment = 65535;
constexpr std::size_t most_deflated = 1032;  // to at most so many bytes a byte can unpack

enum Method : std::uint16_t { stored = 0, deflated = 8 };

[[noreturn]] void refuse(const std::string& why) { throw Failure(FailureKind::host_error, "the archive " + why); }

// Numbers at known places of a record that is as long as it must be.
class Record {
  public:
    Record(std::span<const std::byte> bytes, std::size_t offset, std::size_t size, std::uint32_t signature) {
        if (offset > bytes.size() || size > bytes.size() - offset) {
            refuse("is damaged: it ends too early");
        }
        bytes_ = bytes.subspan(offset, size);
        if (number<std::uint32_t>(0) != signature) {
            refuse("is damaged: a record is not where it should be");
        }
    }

    template <typename Number>
    Number number(std::size_t offset) const {  // little endian, like this machine
        Number value;
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return value;
    }

  private:
    std::span<const std::byte> bytes_;
};

struct Entry {
    std::string_view name;
    std::uint16_t flags, method;
    std::uint32_t crc, packed_size, size, local_offset;
    bool regular;
};

// Finds the last record that looks like the end of a zip; a comment may follow it.
std::size_t find_end(std::span<const std::byte> bytes) {
    for (std::size_t back = end_size; back <= std::min(bytes.size(), end_size + max_comment); back++) {
        std::uint32_t signature;
        std::memcpy(&signature, bytes.data() + bytes.size() - back, sizeof signature);
        if (signature == end_signature) {
            return bytes.size() - back;
        }
    }
    refuse("is damaged: it ends too early");
}

Entry read_entry(std::span<const std::byte> bytes, std::size_t& offset) {
    const Record record(bytes, offset, entry_size, entry_signature);
    Entry entry{};
    entry.flags = record.number<std::uint16_t>(8);
    entry.method = record.number<std::uint16_t>(10);
    entry.crc = record.number<std::uint32_t>(16);
    entry.packed_size = record.number<std::uint32_t>(20);
    entry.size = record.number<std::uint32_t>(24);
    entry.local_offset = record.number<std::uint32_t>(42);
    const std::size_t name_size = record.number<std::uint16_t>(28);
    const std::size_t rest = name_size + record.number<std::uint16_t>(30) + record.number<std::uint16_t>(32);
    if (rest > bytes.size() - offset - entry_size) {
        refuse("is damaged: it ends too early");
    }
    entry.name = {reinterpret_cast<const char*>(bytes.data()) + offset + entry_size, name_size};
    const bool from_unix = record.number<std::uint16_t>(4) >> 8 == 3;
    const mode_t type = from_unix ? record.number<std::uint32_t>(38) >> 16 & S_IFMT : 0;
    entry.regular = (type == 0 || type == S_IFREG) && !entry.name.ends_with('/');
    offset += entry_size + rest;
    return entry;
}

std::span<const std::byte> packed_content(std::span<const std::byte> bytes, const Entry& entry) {
    const Record record(bytes, entry.local_offset, local_size, local_signature);
    const std::size_t begin = std::size_t{entry.local_offset} + local_size + record.number<std::uint16_t>(26) +
                              record.number<std::uint16_t>(28);
    if (begin > bytes.size() || entry.packed_size > bytes.size() - begin) {
        refuse("is damaged: it ends too early");
    }
    return bytes.subspan(begin, entry.packed_size);
}

// What is in a member, piece by piece.
class Content {
  public:
    Content(std::span<const std::byte> packed, const Entry& entry)
        : entry_(entry), name_("\"" + printable(entry.name, 80) + "\""), packed_(packed), left_(entry.size) {
        if ((entry.flags & 1) != 0 || (entry.method != stored && entry.method != deflated)) {
            refuse("has a member " + name_ + " that is encrypted, or neither stored nor deflated");
        }
        if (entry.method == stored ? entry.size != packed.size() : entry.size > packed.size() * most_deflated) {
            refuse("is damaged: " + name_ + " cannot have that size");
        }
        if (entry.method == deflated) {
            decoder_ = deflate_decoder(packed);
        }
    }

    std::size_t read(std::span<std::byte> room) {
        const std::size_t size = decoder_ ? decoder_->read(room) : std::min(room.size(), left_);
        if (size > left_ || (size < room.size() && size < left_)) {
            refuse("is damaged: " + name_ + " has another size");
        }
        if (!decoder_) {
            std::copy_n(packed_.end() - static_cast<std::ptrdiff_t>(left_), size, room.begin());
        }
        left_ -= size;
        crc_ = crc32_gzip_refl(crc_, reinterpret_cast<const unsigned char*>(room.data()), size);
        if (left_ == 0 && crc_ != entry_.crc) {
            refuse("is damaged: " + name_ + " has a wrong checksum");
        }
        return size;
    }

  private:
    const Entry& entry_;
    const std::string name_;
    const std::span<const std::byte> packed_;
    std::unique_ptr<Decoder> decoder_;  // null: it is stored
    std::size_t left_;
    std::uint32_t crc_ = 0;
};

}  // namespace

void for_each_in_zip(std::span<const std::byte> archive, std::size_t max_members, const std::function<void()>& check,
                     const std::function<void(const ArchivedFile&)>& take) {
    const Record end(archive, find_end(archive), end_size, end_signature);
    const std::size_t count = end.number<std::uint16_t>(10);
    std::size_t offset = end.number<std::uint32_t>(16);
    if (count > max_members) {
        refuse("has more than " + std::to_string(max_members) + " members");
    }
    for (std::size_t i = 0; i < count; i++) {
        check();
        const Entry entry = read_entry(archive, offset);
        if (entry.regular) {
            Content content(packed_content(archive, entry), entry);
            take({entry.name, entry.size, [&](std::span<std::byte> room) { return content.read(room); }});
        }
    }
}

}  // namespace tinykvm::host
