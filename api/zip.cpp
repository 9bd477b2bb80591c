#include "api/zip.hpp"

#include <libdeflate.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api/failure.hpp"
#include "api/guest_text.hpp"

namespace tinykvm::api {

namespace {

// Of the records that are read, as in APPNOTE.TXT 4.3: sizes without the parts of variable length.
constexpr std::uint32_t end_signature = 0x06054B50, entry_signature = 0x02014B50, local_signature = 0x04034B50;
constexpr std::size_t end_size = 22, entry_size = 46, local_size = 30, max_comment = 65535;
constexpr std::size_t most_deflated = 1032;  // to so many bytes a byte can unpack

enum Method : std::uint16_t { stored = 0, deflated = 8 };

[[noreturn]] void refuse(const std::string& why) { throw Failure(FailureKind::host, "the archive " + why); }

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
    Number number(std::size_t offset) const {  // little endian, like us
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

// The last record that looks like one: there may be a comment behind it.
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

std::vector<std::byte> content(std::span<const std::byte> packed, const Entry& entry) {
    const std::string name = "\"" + printable(entry.name, 80) + "\"";
    if ((entry.flags & 1) != 0 || (entry.method != stored && entry.method != deflated)) {
        refuse("has a member " + name + " that is encrypted, or neither stored nor deflated");
    }
    if (entry.method == stored ? entry.size != packed.size() : entry.size > packed.size() * most_deflated) {
        refuse("is damaged: " + name + " cannot have that size");
    }
    std::vector<std::byte> bytes(entry.size);
    if (entry.method == stored) {
        std::copy(packed.begin(), packed.end(), bytes.begin());
    } else {
        const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> decompressor(
            libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
        if (!decompressor) {
            throw std::bad_alloc();
        }
        // Without a place for the size it must be exactly this one.
        if (libdeflate_deflate_decompress(decompressor.get(), packed.data(), packed.size(), bytes.data(), bytes.size(),
                                          nullptr) != LIBDEFLATE_SUCCESS) {
            refuse("is damaged: " + name + " cannot be unpacked");
        }
    }
    if (libdeflate_crc32(0, bytes.data(), bytes.size()) != entry.crc) {
        refuse("is damaged: " + name + " has a wrong checksum");
    }
    return bytes;
}

}  // namespace

void for_each_in_zip(std::span<const std::byte> archive, const ArchiveLimits& limits,
                     const std::function<void()>& check,
                     const std::function<void(std::string_view name, std::span<const std::byte> content)>& take) {
    const Record end(archive, find_end(archive), end_size, end_signature);
    const std::size_t count = end.number<std::uint16_t>(10);
    std::size_t offset = end.number<std::uint32_t>(16), unpacked = 0;
    if (count > limits.max_members) {
        refuse("has more than " + std::to_string(limits.max_members) + " members");
    }
    for (std::size_t i = 0; i < count; i++) {
        check();
        const Entry entry = read_entry(archive, offset);
        if (!entry.regular) {
            continue;
        }
        unpacked += entry.size;
        if (entry.size > limits.max_program) {
            refuse("has a member of more than " + std::to_string(limits.max_program) + " bytes");
        }
        if (unpacked > limits.max_unpacked) {
            refuse("unpacks to more than " + std::to_string(limits.max_unpacked) + " bytes");
        }
        take(entry.name, content(packed_content(archive, entry), entry));
    }
}

}  // namespace tinykvm::api
