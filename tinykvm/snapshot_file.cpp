#include "tinykvm/snapshot_file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/cold/checksums.hpp"
#include "tinykvm/cold/file_io.hpp"
#include "tinykvm/cold/frozen_program.hpp"
#include "tinykvm/cold/identity.hpp"
#include "tinykvm/cold/private_file.hpp"

namespace tinykvm {

namespace {

using cold::Malformed;

constexpr std::array<char, 8> magic = {'T', 'K', 'V', 'M', 'S', 'N', 'A', 'P'};
constexpr std::uint32_t format = 1;
constexpr std::uint64_t most_description = std::uint64_t{256} << 20;

// What the file begins with; then comes the description, and from the next page on the pages.
struct Header {
    std::array<char, 8> magic = tinykvm::magic;
    std::uint32_t format = tinykvm::format;
    std::uint32_t unused = 0;
    std::uint64_t description_size = 0;
    cold::Sha256 description_sha256{};

    std::uint64_t pages_begin() const { return page_ceil(sizeof(Header) + description_size); }
};
static_assert(sizeof(Header) == 56);

std::vector<std::byte> read_description(int file, Header& header) {
    cold::read_all(file, std::as_writable_bytes(std::span(&header, 1)), 0);
    if (header.magic != magic) throw Malformed("it is no snapshot");
    if (header.format != format || header.unused != 0) throw Malformed("it has another format");
    struct stat status {};
    const bool fits = ::fstat(file, &status) == 0 && header.description_size <= most_description &&
                      header.description_size <= static_cast<std::uint64_t>(status.st_size);
    if (!fits) throw Malformed("it ends too early");
    std::vector<std::byte> description(header.description_size);
    cold::read_all(file, description, sizeof header);
    if (cold::sha256(description) != header.description_sha256) throw Malformed("it does not have its checksum");
    return description;
}

void compare(const std::vector<SnapshotFile::Tag>& saved, const std::vector<SnapshotFile::Tag>& now) {
    for (const SnapshotFile::Tag& tag : now) {
        const auto found =
            std::find_if(saved.begin(), saved.end(), [&](const auto& one) { return one.what == tag.what; });
        if (found == saved.end() || found->value != tag.value)
            throw MachineError("the " + tag.what + " is another one" +
                               (found == saved.end() ? "" : " (" + found->value + ", now " + tag.value + ")"));
    }
}

std::vector<SnapshotFile::Tag> all_tags(const Options& options, const std::vector<SnapshotFile::Tag>& tags) {
    std::vector<SnapshotFile::Tag> all = cold::tags_of_options(options);
    const std::vector<SnapshotFile::Tag> of_machine = cold::tags_of_machine();
    all.insert(all.end(), tags.begin(), tags.end());
    all.insert(all.end(), of_machine.begin(), of_machine.end());
    return all;
}

}  // namespace

void SnapshotFile::save(const Snapshot& snapshot, const std::vector<Tag>& tags,
                        const std::vector<std::byte>& notes) const {
    const SnapshotContents& contents = snapshot.contents();
    const cold::FrozenProgram frozen(contents);
    cold::Writer description;
    const cold::ProgramIdentity program(*contents.programs.front().program);
    description(all_tags(contents.options, tags), program, notes, frozen);
    Header header;
    header.description_size = description.bytes().size();
    header.description_sha256 = cold::sha256(description.bytes());
    if (header.description_size > most_description) throw MachineError("there is too much to describe");
    cold::replace_private_file(path_, [&](int file) {
        cold::write_all(file, std::as_bytes(std::span(&header, 1)), 0);
        cold::write_all(file, description.bytes(), sizeof header);
        frozen.write_pages(file, header.pages_begin());
    });
}

std::optional<SnapshotFile::Loaded> SnapshotFile::load(const std::shared_ptr<const Program>& program,
                                                       const Options& options, const std::vector<Tag>& tags) const {
    std::optional<FileDescriptor> file = cold::open_private_file(path_);
    if (!file) return std::nullopt;
    Header header;
    const std::vector<std::byte> description = read_description(file->get(), header);
    cold::Reader reader(description);
    std::vector<Tag> saved;
    Loaded loaded;
    reader(saved);
    compare(saved, all_tags(options, tags));
    cold::ProgramIdentity saved_program;
    reader(saved_program);
    if (const std::string why = saved_program.why_not(*program); !why.empty()) throw MachineError(why);
    cold::FrozenProgram frozen;
    reader(loaded.notes, frozen);
    if (!reader.at_end()) throw Malformed("it has more than it should have");
    loaded.snapshot =
        std::make_shared<const Snapshot>(frozen.open(std::move(*file), header.pages_begin(), program, options));
    return loaded;
}

}  // namespace tinykvm
