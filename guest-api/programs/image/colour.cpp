// SPDX-License-Identifier: BSD-2-Clause
#include "colour.hpp"

#include <lcms2.h>

#include <cstring>
#include <vector>

namespace image {
namespace {

// Of lcms' objects; null when there is none.
class Profile {
  public:
    explicit Profile(cmsHPROFILE profile) : profile_(profile) {}
    Profile(const Profile&) = delete;
    Profile& operator=(const Profile&) = delete;
    ~Profile() {
        if (profile_ != nullptr) cmsCloseProfile(profile_);
    }
    cmsHPROFILE get() const { return profile_; }
    cmsColorSpaceSignature space() const {
        return profile_ != nullptr ? cmsGetColorSpace(profile_) : cmsColorSpaceSignature{};
    }

  private:
    cmsHPROFILE profile_;
};

class Transform {
  public:
    Transform(const Profile& from, cmsUInt32Number type)
        : srgb_(cmsCreate_sRGBProfile()),
          transform_(cmsCreateTransform(from.get(), type, srgb_.get(), TYPE_BGRA_8, INTENT_PERCEPTUAL,
                                        T_EXTRA(type) != 0 ? cmsFLAGS_COPY_ALPHA : 0)) {}
    Transform(const Transform&) = delete;
    Transform& operator=(const Transform&) = delete;
    ~Transform() {
        if (transform_ != nullptr) cmsDeleteTransform(transform_);
    }
    explicit operator bool() const { return transform_ != nullptr; }
    void apply(const void* from, void* to, std::size_t count) const {
        cmsDoTransform(transform_, from, to, static_cast<cmsUInt32Number>(count));
    }

  private:
    Profile srgb_;
    cmsHTRANSFORM transform_;
};

Profile profile_of(const Picture& picture) {
    return Profile(
        picture.profile.empty()
            ? nullptr
            : cmsOpenProfileFromMem(picture.profile.data(), static_cast<cmsUInt32Number>(picture.profile.size())));
}

// Without a profile: what is left of white after the inks.
void mix(std::uint8_t* row, int width) {
    for (int x = 0; x < width; x++, row += 4) {
        const auto left = [black = row[3]](unsigned ink) {
            return static_cast<std::uint8_t>((ink * black + 127) / 255);
        };
        const std::uint8_t red = left(row[0]), green = left(row[1]), blue = left(row[2]);
        row[0] = blue;
        row[1] = green;
        row[2] = red;
        row[3] = 0xff;
    }
}

void make_opaque(std::uint8_t* row, int width) {
    for (int x = 0; x < width; x++) row[x * 4 + 3] = 0xff;
}

void gray_to_srgb(Picture& picture, const Transform& transform) {
    std::vector<std::uint8_t> gray(static_cast<std::size_t>(picture.width()) * 2);
    for (int y = 0; y < picture.height(); y++) {
        std::uint8_t* row = picture.row(y);
        for (std::size_t x = 0; x < gray.size() / 2; x++) {
            gray[x * 2] = row[x * 4];
            gray[x * 2 + 1] = row[x * 4 + 3];
        }
        transform.apply(gray.data(), row, gray.size() / 2);
    }
}

}  // namespace

void to_srgb(Picture& picture, bool keep) {
    if (picture.profile.empty()) return;
    const Profile profile = profile_of(picture);
    if (profile.space() == cmsSigRgbData) {
        if (keep) return;
        if (const Transform transform(profile, TYPE_BGRA_8); transform) {
            transform.apply(picture.pixels(), picture.pixels(), picture.count());
        }
    } else if (profile.space() == cmsSigGrayData && picture.is_gray()) {
        constexpr cmsUInt32Number gray_alpha = COLORSPACE_SH(PT_GRAY) | EXTRA_SH(1) | CHANNELS_SH(1) | BYTES_SH(1);
        if (const Transform transform(profile, gray_alpha); transform) gray_to_srgb(picture, transform);
    }
    picture.profile.clear();
}

void cmyk_to_srgb(Picture& picture) {
    const Profile profile = profile_of(picture);
    picture.profile.clear();
    if (profile.space() == cmsSigCmykData) {
        if (const Transform transform(profile, TYPE_CMYK_8_REV); transform) {
            for (int y = 0; y < picture.height(); y++) {
                std::uint8_t* row = picture.row(y);
                transform.apply(row, row, static_cast<std::size_t>(picture.width()));
                make_opaque(row, picture.width());
            }
            return;
        }
    }
    for (int y = 0; y < picture.height(); y++) mix(picture.row(y), picture.width());
}

}  // namespace image
