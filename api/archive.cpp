#include "api/archive.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "api/failure.hpp"
#include "api/guest_text.hpp"
#include "api/zip.hpp"

namespace tinykvm::api {

namespace {

constexpr std::string_view elf_magic = "\177ELF";
constexpr std::string_view zip_magic = "PK\3\4";
constexpr std::string_view archive_magics[] = {std::string_view("\3757zXZ\0", 6), "\x28\xB5\x2F\xFD", zip_magic};

[[noreturn]] void refuse(const std::string& why) { throw Failure(FailureKind::host, "the archive " + why); }

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Finds the program among members as they come.
class Selection {
  public:
    Selection(const std::vector<std::string>& names, std::size_t max_program)
        : names_(names), max_program_(max_program) {}

    // A file begins so. Is it the best so far? Then all of it is to be kept.
    bool begins(std::string_view path, std::span<const std::byte> piece) {
        if (!text_of(piece).starts_with(elf_magic)) {
            return false;
        }
        const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
        const auto rank =
            static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
        if (count_ == 0 || rank < rank_) {
            rank_ = rank;
            count_ = 1;
            program_.clear();
            return true;
        }
        count_ += rank == rank_ ? 1 : 0;
        return false;
    }

    void keep(std::span<const std::byte> piece) {
        if (piece.size() > max_program_ - program_.size()) {
            refuse("has a program of more than " + std::to_string(max_program_) + " bytes");
        }
        program_.insert(program_.end(), piece.begin(), piece.end());
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
    const std::vector<std::string>& names_;
    const std::size_t max_program_;
    std::vector<std::byte> program_;  // the best so far
    std::size_t rank_ = 0;            // the place of its name among the wanted ones
    std::size_t count_ = 0;           // of ELF files of that rank
};

struct ArchiveDeleter {
    void operator()(archive* reader) const { archive_read_free(reader); }
};

class Tar {
  public:
    Tar(std::span<const std::byte> bytes, const std::function<void()>& check, const ArchiveLimits& limits)
        : check_(check), limits_(limits), reader_(archive_read_new()) {
        archive* reader = reader_.get();
        // Nothing but what is documented: each of libarchive's other formats is one more parser to attack.
        if (reader == nullptr || archive_read_support_format_tar(reader) != ARCHIVE_OK ||
            archive_read_support_filter_xz(reader) != ARCHIVE_OK ||
            archive_read_support_filter_zstd(reader) != ARCHIVE_OK) {
            refuse("cannot be read: libarchive lacks memory or a format");
        }
        require(archive_read_open_memory(reader, bytes.data(), bytes.size()));
    }

    void read(Selection& selection) {
        archive_entry* entry = nullptr;
        for (std::size_t members = 0;; members++) {
            check_();
            const int result = archive_read_next_header(reader_.get(), &entry);
            if (result == ARCHIVE_EOF) {
                return;
            }
            require(result);
            if (members == limits_.max_members) {
                refuse("has more than " + std::to_string(limits_.max_members) + " members");
            }
            const bool regular = archive_entry_filetype(entry) == AE_IFREG && archive_entry_hardlink(entry) == nullptr &&
                                 archive_entry_symlink(entry) == nullptr;
            const char* path = archive_entry_pathname(entry);
            read_member(regular ? &selection : nullptr, path != nullptr ? path : "");
        }
    }

  private:
    void require(int result) {
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
            damaged();
        }
    }
    [[noreturn]] void damaged() {
        const char* why = archive_error_string(reader_.get());
        refuse(std::string("is damaged: ") + (why != nullptr ? printable(why, 200) : "unknown error"));
    }

    // What is not wanted is read as well: leaving it out would unpack it all the same, but without limits.
    void read_member(Selection* selection, const std::string& path) {
        bool wanted = false;
        for (bool first = true;; first = false) {
            check_();
            const la_ssize_t size = archive_read_data(reader_.get(), piece_.data(), piece_.size());
            if (size < 0) {
                damaged();
            }
            if (size == 0) {
                return;
            }
            const std::span<const std::byte> piece(piece_.data(), static_cast<std::size_t>(size));
            unpacked_ += piece.size();
            if (unpacked_ > limits_.max_unpacked) {
                refuse("unpacks to more than " + std::to_string(limits_.max_unpacked) + " bytes");
            }
            if (first) {
                wanted = selection != nullptr && selection->begins(path, piece);
            }
            if (wanted) {
                selection->keep(piece);
            }
        }
    }

    const std::function<void()>& check_;
    const ArchiveLimits& limits_;
    std::unique_ptr<archive, ArchiveDeleter> reader_;
    std::vector<std::byte> piece_ = std::vector<std::byte>(65536);
    std::size_t unpacked_ = 0;
};

}  // namespace

bool is_archive(std::span<const std::byte> bytes) {
    return std::any_of(std::begin(archive_magics), std::end(archive_magics),
                       [&](std::string_view magic) { return text_of(bytes).starts_with(magic); });
}

std::vector<std::byte> unpack_program(std::span<const std::byte> archive, const std::vector<std::string>& names,
                                      const std::function<void()>& check, const ArchiveLimits& limits) {
    Selection selection(names, limits.max_program);
    if (text_of(archive).starts_with(zip_magic)) {
        for_each_in_zip(archive, limits, check, [&](std::string_view path, std::span<const std::byte> content) {
            if (selection.begins(path, content)) {
                selection.keep(content);
            }
        });
    } else {
        Tar(archive, check, limits).read(selection);
    }
    return selection.result();
}

}  // namespace tinykvm::api
