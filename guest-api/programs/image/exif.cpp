// SPDX-License-Identifier: BSD-2-Clause
#include "exif.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace image {
namespace {

class Tiff {
  public:
    explicit Tiff(std::string_view data) : data_(data), big_(data.substr(0, 2) == "MM") {}

    // 0 beyond the end.
    std::uint32_t number(std::size_t at, std::size_t size) const {
        if (at > data_.size() || size > data_.size() - at) return 0;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < size; i++) {
            value = value << 8 | static_cast<std::uint8_t>(data_[at + (big_ ? i : size - 1 - i)]);
        }
        return value;
    }

  private:
    std::string_view data_;
    bool big_;
};

constexpr std::uint32_t orientation_tag = 0x0112, type_short = 3;
constexpr std::size_t entry_size = 12;

}  // namespace

int exif_orientation(std::string_view data) {
    if (data.substr(0, 4) == "Exif") data.remove_prefix(data.size() < 6 ? data.size() : 6);
    const Tiff tiff(data);
    if ((data.substr(0, 2) != "II" && data.substr(0, 2) != "MM") || tiff.number(2, 2) != 42) return 1;
    const std::size_t directory = tiff.number(4, 4);
    const std::uint32_t count = tiff.number(directory, 2);
    for (std::uint32_t i = 0; i < count; i++) {
        const std::size_t entry = directory + 2 + i * entry_size;
        if (tiff.number(entry, 2) == orientation_tag && tiff.number(entry + 2, 2) == type_short) {
            const std::uint32_t value = tiff.number(entry + 8, 2);
            return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
        }
    }
    return 1;
}

}  // namespace image
