// SPDX-License-Identifier: BSD-2-Clause
// GIF, with giflib, a row at a time: its own function for whole files takes memory for what all headers say.
#include <gif_lib.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "animation.hpp"
#include "codecs.hpp"

namespace image {
namespace {

constexpr int longest_loop = 65535;
// In milliseconds. Browsers play a frame that says 10 or nothing for as long as this.
constexpr int shortest_time = 20, usual_time = 100;

struct Box {
    int left = 0, top = 0, width = 0, height = 0;
};

// A frame, before its pixels.
struct Frame {
    Box box;
    int transparent = NO_TRANSPARENT_COLOR;
    int disposal = DISPOSAL_UNSPECIFIED;
    int milliseconds = usual_time;
};

// The blocks of a file.
class Reader {
  public:
    explicit Reader(std::string_view data) : rest_(data) {
        int error = 0;
        gif_.reset(DGifOpen(this, read, &error));
        if (!gif_ && error == D_GIF_ERR_NOT_ENOUGH_MEM) throw std::bad_alloc();
        if (!gif_) fail();
    }

    int width() const { return gif_->SWidth; }
    int height() const { return gif_->SHeight; }
    // How often the file says that it is to be repeated; 0 is for ever.
    std::optional<int> repetitions() const { return repetitions_; }

    // The next frame, whose pixels have to be read or skipped. Nothing at the end, whose mark may be missing when
    // `complete`.
    std::optional<Frame> next_frame(bool complete) {
        Frame frame;
        for (;;) {
            GifRecordType type = UNDEFINED_RECORD_TYPE;
            if (complete && rest_.empty()) return std::nullopt;
            check(DGifGetRecordType(gif_.get(), &type));
            if (type == TERMINATE_RECORD_TYPE) return std::nullopt;
            if (type == EXTENSION_RECORD_TYPE) read_extension(frame);
            if (type != IMAGE_DESC_RECORD_TYPE) continue;
            check(DGifGetImageDesc(gif_.get()));
            frame.box = {gif_->Image.Left, gif_->Image.Top, gif_->Image.Width, gif_->Image.Height};
            return frame;
        }
    }

    void skip_pixels() {
        int size = 0;
        GifByteType* block = nullptr;
        check(DGifGetCode(gif_.get(), &size, &block));
        while (block != nullptr) check(DGifGetCodeNext(gif_.get(), &block));
    }

    // Gives each row of indices to `draw`, from the top or as they are interlaced, with the number of the row.
    void read_pixels(const std::function<void(int, const std::vector<GifPixelType>&)>& draw) {
        std::vector<GifPixelType> row(static_cast<std::size_t>(gif_->Image.Width));
        struct Pass {
            int first, step;
        };
        static constexpr Pass interlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, straight[] = {{0, 1}};
        const auto passes = gif_->Image.Interlace ? std::vector(std::begin(interlaced), std::end(interlaced))
                                                  : std::vector(std::begin(straight), std::end(straight));
        for (const Pass& pass : passes) {
            for (int y = pass.first; y < gif_->Image.Height; y += pass.step) {
                check(DGifGetLine(gif_.get(), row.data(), gif_->Image.Width));
                draw(y, row);
            }
        }
    }

    // By index, opaque. Indices that the file has no colour for are black.
    std::vector<std::uint32_t> colours() const {
        std::vector<std::uint32_t> result(256, 0xff000000);
        const ColorMapObject* map = gif_->Image.ColorMap != nullptr ? gif_->Image.ColorMap : gif_->SColorMap;
        for (int i = 0; map != nullptr && i < map->ColorCount; i++) {
            const GifColorType& colour = map->Colors[i];
            result[static_cast<std::size_t>(i)] =
                0xff000000 | static_cast<std::uint32_t>(colour.Red << 16 | colour.Green << 8 | colour.Blue);
        }
        return result;
    }

  private:
    struct Close {
        void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
    };

    [[noreturn]] static void fail() {
        throw Error(broken_input, "GIF: the picture is broken, or a part of it is missing.");
    }
    void check(int result) const {
        if (result == GIF_OK) return;
        if (gif_->Error == D_GIF_ERR_NOT_ENOUGH_MEM) throw std::bad_alloc();
        fail();
    }
    static int read(GifFileType* gif, GifByteType* to, int length) {
        std::string_view& rest = static_cast<Reader*>(gif->UserData)->rest_;
        const std::size_t count = std::min(rest.size(), static_cast<std::size_t>(length));
        std::memcpy(to, rest.data(), count);
        rest.remove_prefix(count);
        return static_cast<int>(count);
    }

    void read_extension(Frame& frame) {
        int code = 0;
        GifByteType* block = nullptr;
        check(DGifGetExtension(gif_.get(), &code, &block));
        if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) read_control(frame, block);
        const bool loops = code == APPLICATION_EXT_FUNC_CODE && block != nullptr && is_about_loops(block);
        while (block != nullptr) {
            check(DGifGetExtensionNext(gif_.get(), &block));
            // An identifier, 1, and a number of two bytes.
            if (loops && block != nullptr && block[0] >= 3 && block[1] == 1) repetitions_ = block[2] | block[3] << 8;
        }
    }
    static void read_control(Frame& frame, const GifByteType* block) {
        GraphicsControlBlock control;
        if (DGifExtensionToGCB(block[0], block + 1, &control) != GIF_OK) return;
        frame.transparent = control.TransparentColor;
        frame.disposal = control.DisposalMode;
        const int time = control.DelayTime * 10;
        frame.milliseconds = time < shortest_time ? usual_time : time;
    }
    static bool is_about_loops(const GifByteType* block) {
        const std::string_view name(reinterpret_cast<const char*>(block + 1), block[0]);
        return name == "NETSCAPE2.0" || name == "ANIMEXTS1.0";
    }

    std::string_view rest_;
    std::unique_ptr<GifFileType, Close> gif_;
    std::optional<int> repetitions_;
};

// What has to be known before the first frame is drawn; nothing of it is unpacked.
Animation::Info look_at(std::string_view data, const Options& options) {
    Reader reader(data);
    Animation::Info info{reader.width(), reader.height(), 0, 1, 0};
    while (const auto frame = reader.next_frame(info.frames > 0)) {
        check_size(static_cast<unsigned>(frame->box.width), static_cast<unsigned>(frame->box.height), options);
        // As browsers do, which show a first frame that is larger than the canvas.
        if (info.frames++ == 0) {
            info.width = std::max(info.width, frame->box.left + frame->box.width);
            info.height = std::max(info.height, frame->box.top + frame->box.height);
            check_size(static_cast<unsigned>(info.width), static_cast<unsigned>(info.height), options);
        }
        reader.skip_pixels();
    }
    if (info.frames == 0) throw Error(broken_input, "GIF: there is no frame.");
    // What is repeated three times is shown four times.
    if (const auto repetitions = reader.repetitions()) {
        info.loops = *repetitions == 0 ? 0 : std::min(*repetitions + 1, longest_loop);
    }
    return info;
}

class Gif : public Animation {
  public:
    Gif(std::string_view data, const Info& info) : reader_(data), info_(info), canvas_(info.width, info.height) {
        std::fill_n(canvas_.pixels(), canvas_.count(), 0);
    }

    Info info() const override { return info_; }
    bool has_more() const override { return shown_ < info_.frames; }

    Picture next(int& end) override {
        dispose();
        last_ = reader_.next_frame(true).value_or(Frame());
        if (last_.disposal == DISPOSE_PREVIOUS) before_ = copy(canvas_);
        draw();
        shown_++;
        // A WebP has times of 31 bits.
        if (last_.milliseconds > INT_MAX - end_) throw Error(too_large, "An animated WebP lasts at most 24 days.");
        end_ += last_.milliseconds;
        end = end_;
        return copy(canvas_);
    }

  private:
    static Picture copy(const Picture& picture) {
        Picture result(picture.width(), picture.height());
        std::copy_n(picture.pixels(), picture.count(), result.pixels());
        return result;
    }

    // Of the frame before, what it says that is to be taken away.
    void dispose() {
        if (last_.disposal == DISPOSE_PREVIOUS) canvas_ = std::move(before_);
        if (last_.disposal != DISPOSE_BACKGROUND) return;
        const Box& box = last_.box;
        const int right = std::min(box.left + box.width, canvas_.width());
        const int bottom = std::min(box.top + box.height, canvas_.height());
        for (int y = box.top; y < bottom; y++) {
            for (int x = box.left; x < right; x++) pixel(x, y) = 0;
        }
    }

    void draw() {
        const std::vector<std::uint32_t> colours = reader_.colours();
        reader_.read_pixels([&](int y, const std::vector<GifPixelType>& row) {
            if (y >= canvas_.height() - last_.box.top) return;
            const int width = std::min(last_.box.width, canvas_.width() - last_.box.left);
            for (int x = 0; x < width; x++) {
                const GifPixelType index = row[static_cast<std::size_t>(x)];
                if (index != last_.transparent) pixel(last_.box.left + x, last_.box.top + y) = colours[index];
            }
        });
    }

    std::uint32_t& pixel(int x, int y) {
        return canvas_.pixels()[static_cast<std::size_t>(y) * static_cast<std::size_t>(canvas_.width()) +
                                static_cast<std::size_t>(x)];
    }

    Reader reader_;
    Info info_;
    Picture canvas_, before_;
    Frame last_;
    std::uint64_t shown_ = 0;
    int end_ = 0;
};

}  // namespace

Picture decode_gif(std::string_view data, const Options& options) {
    int end = 0;
    return Gif(data, look_at(data, options)).next(end);
}

std::unique_ptr<Animation> open_gif_animation(std::string_view data, const Options& options) {
    const Animation::Info info = look_at(data, options);
    return info.frames > 1 ? std::make_unique<Gif>(data, info) : nullptr;
}

}  // namespace image
