#include "src/source/archive.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/source/decoder.hpp"
#include "src/source/zip.hpp"

namespace tinykvm::host {

namespace {

constexpr std::string_view elf_magic = "\177ELF";
constexpr std::string_view xz_magic("\3757zXZ\0", 6), zstd_magic = "\x28\xB5\x2F\xFD", zip_magic = "PK\3\4";
constexpr std::size_t piece_bytes = 65536;

[[noreturn]] void refuse(const std::string& why) { throw Failure(FailureKind::host_error, "the archive " + why); }

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Finds the program among members as they come, and keeps the best of them so far.
class Selection {
  public:
    Selection(const std::vector<std::string>& names, const SizeLimit& limit, const std::function<void()>& check)
        : names_(names), limit_(limit), check_(check) {}

    void offer(const ArchivedFile& member) {
        std::size_t size = member.read(piece_);
        const std::span<const std::byte> first(piece_.data(), size);
        if (!text_of(first).starts_with(elf_magic) || !is_better(member.path)) {
            return;
        }
        if (member.size > limit_.bytes) {
            refuse("has a program " + limit_.exceeded());
        }
        program_ = {};
        program_.reserve(member.size);  // in one piece: growing would take twice as much for a moment
        while (true) {
            if (size > limit_.bytes - program_.size()) {
                refuse("has a program " + limit_.exceeded());
            }
            program_.insert(program_.end(), piece_.begin(), piece_.begin() + static_cast<std::ptrdiff_t>(size));
            if (size < piece_.size()) {
                return;
            }
            check_();
            size = member.read(piece_);
        }
    }

    std::vector<std::byte> result() {
        if (count_ == 0) {
            refuse("has no ELF file in it");
        }
        if (count_ > 1) {
            std::string wanted;
            for (const std::string& name : names_) {
                wanted += (wanted.empty() ? "\"" : " or \"") + printable(name, 80) + "\"";
            }
            refuse("has " + std::to_string(count_) + " ELF files in it that may be the program" +
                   (rank_ == names_.size() ? ", none of them is called " + wanted : std::string()));
        }
        return std::move(program_);
    }

  private:
    // Is the member better than all before it, and so the one to keep?
    bool is_better(std::string_view path) {
        const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
        const auto rank = static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
        if (count_ == 0 || rank < rank_) {
            rank_ = rank;
            count_ = 1;
            return true;
        }
        count_ += rank == rank_ ? 1 : 0;
        return false;
    }

    const std::vector<std::string>& names_;
    const SizeLimit limit_;
    const std::function<void()>& check_;
    std::vector<std::byte> piece_ = std::vector<std::byte>(piece_bytes);
    std::vector<std::byte> program_;  // the best so far
    std::size_t rank_ = 0;            // the place of its name among the wanted ones
    std::size_t count_ = 0;           // of ELF files of that rank
};

// The bytes of a tar on their way to libarchive, which has no bounds of its own for what it unpacks and keeps.
class TarStream {
  public:
    TarStream(std::unique_ptr<Decoder> decoder, const std::function<void()>& check, std::size_t max_bytes)
        : decoder_(std::move(decoder)), check_(check), max_bytes_(max_bytes) {}

    // From now on libarchive may keep what it takes: it reads a header with everything that belongs to it, such as long
    // names and the map of a file's holes.
    void may_be_kept() { kept_ = 0; }
    void is_passed_over() { kept_.reset(); }

    void check() const { check_(); }

    // No exception passes through libarchive: it is thrown by rethrow().
    std::span<const std::byte> next() noexcept {
        try {
            check_();
            const std::size_t size = decoder_->read(piece_);
            bytes_ += size;
            if (bytes_ > max_bytes_) {
                refuse("unpacks to more than " + std::to_string(max_bytes_) + " bytes");
            }
            if (kept_ && (*kept_ += size) > most_kept) {
                refuse("has a header of more than " + std::to_string(most_kept >> 20) + " MiB");
            }
            return {piece_.data(), size};
        } catch (...) {
            failure_ = std::current_exception();
            return {};
        }
    }
    bool failed() const { return failure_ != nullptr; }
    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

  private:
    static constexpr std::size_t most_kept = std::size_t{2} << 20;

    const std::unique_ptr<Decoder> decoder_;
    const std::function<void()>& check_;
    const std::size_t max_bytes_;
    std::vector<std::byte> piece_ = std::vector<std::byte>(piece_bytes);
    std::size_t bytes_ = 0;
    std::optional<std::size_t> kept_;  // bytes since may_be_kept(); nullopt: it keeps none
    std::exception_ptr failure_;
};

struct ArchiveDeleter {
    void operator()(archive* reader) const { archive_read_free(reader); }
};

class Tar {
  public:
    Tar(TarStream& stream, std::size_t max_members)
        : stream_(stream), max_members_(max_members), reader_(archive_read_new()) {
        // Nothing but what is documented: each of libarchive's other formats and filters is one more parser to attack.
        if (!reader_ || archive_read_support_format_tar(reader_.get()) != ARCHIVE_OK) {
            refuse("cannot be read: libarchive lacks memory or the format");
        }
        stream_.may_be_kept();
        require(archive_read_open(reader_.get(), &stream_, nullptr, next_piece, nullptr));
    }

    void read(Selection& selection) {
        archive_entry* entry = nullptr;
        for (std::size_t members = 0;; members++) {
            stream_.check();
            stream_.may_be_kept();
            const int result = archive_read_next_header(reader_.get(), &entry);
            if (result == ARCHIVE_EOF) {
                stream_.rethrow();
                return;
            }
            require(result);
            if (members == max_members_) {
                refuse("has more than " + std::to_string(max_members_) + " members");
            }
            if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr &&
                archive_entry_symlink(entry) == nullptr) {
                const char* path = archive_entry_pathname(entry);
                selection.offer({path != nullptr ? path : "",
                                 static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0)),
                                 [this](std::span<std::byte> room) { return read_data(room); }});
            }
            stream_.is_passed_over();
            require(archive_read_data_skip(reader_.get()));
        }
    }

  private:
    static la_ssize_t next_piece(struct archive* reader, void* stream, const void** bytes) {
        const auto piece = static_cast<TarStream*>(stream)->next();
        if (static_cast<TarStream*>(stream)->failed()) {
            archive_set_error(reader, EIO, "its bytes cannot be had");
            return -1;
        }
        *bytes = piece.data();
        return static_cast<la_ssize_t>(piece.size());
    }

    void require(int result) const {
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
            damaged();
        }
    }
    [[noreturn]] void damaged() const {
        stream_.rethrow();
        const char* why = archive_error_string(reader_.get());
        refuse(std::string("is damaged: ") + (why != nullptr ? printable(why, 200) : "unknown error"));
    }
    std::size_t read_data(std::span<std::byte> room) const {
        stream_.may_be_kept();
        const la_ssize_t size = archive_read_data(reader_.get(), room.data(), room.size());
        if (size < 0) {
            damaged();
        }
        return static_cast<std::size_t>(size);
    }

    TarStream& stream_;
    const std::size_t max_members_;
    std::unique_ptr<archive, ArchiveDeleter> reader_;
};

// The decoder of a compressed tar; null when the archive is none.
std::unique_ptr<Decoder> tar_decoder(std::span<const std::byte> archive, std::size_t max_memory) {
    if (text_of(archive).starts_with(xz_magic)) {
        return xz_decoder(archive, max_memory);
    }
    return text_of(archive).starts_with(zstd_magic) ? zstd_decoder(archive, max_memory) : nullptr;
}

}  // namespace

bool is_archive(std::span<const std::byte> bytes) {
    const std::string_view text = text_of(bytes);
    return text.starts_with(xz_magic) || text.starts_with(zstd_magic) || text.starts_with(zip_magic);
}

std::vector<std::byte> unpack_program(std::span<const std::byte> archive, const std::vector<std::string>& names,
                                      const std::function<void()>& check, const ArchiveLimits& limits) {
    Selection selection(names, limits.program, check);
    if (text_of(archive).starts_with(zip_magic)) {
        for_each_in_zip(archive, limits.max_members, check,
                        [&](const ArchivedFile& member) { selection.offer(member); });
    } else {
        std::unique_ptr<Decoder> decoder = tar_decoder(archive, limits.max_decoder_memory());
        if (!decoder) {
            refuse("is damaged: it is none");
        }
        TarStream stream(std::move(decoder), check, limits.max_unpacked);
        Tar(stream, limits.max_members).read(selection);
    }
    return selection.result();
}

}  // namespace tinykvm::host
