// A file of a snapshot: damaged, cut off, and described wrongly under a checksum that is right. What loads is run.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/fuzz/booted.hpp"
#include "tinykvm/cold/checksums.hpp"
#include "tinykvm/snapshot_file.hpp"

namespace tinykvm::fuzz {
namespace {

// Of the file's header (snapshot_file.cpp): where it says how long the description is, and has its checksum.
constexpr std::size_t size_at = 16, checksum_at = 24, description_at = 56;

class Saved {
  public:
    Saved() : program_(Program::from_file(TINYKVM_FUZZ_GUEST)) {
        options_.max_memory = std::size_t{32} << 20;
        options_.max_request_memory = std::size_t{8} << 20;
        options_.max_address_space = std::size_t{512} << 20;
        options_.note_files = true;
        std::string folder = (std::filesystem::temp_directory_path() / "tinykvm_fuzz_XXXXXX").string();
        path_ = std::string(::mkdtemp(folder.data())) + "/snapshot";
        Machine machine(program_, options_);
        (void)machine.run(&calls_, Clock::now() + std::chrono::minutes(10));
        calls_.booting = false;
        SnapshotFile(path_).save(*std::move(machine).freeze(), {}, {});
        std::ifstream file(path_, std::ios::binary);
        whole_.assign(std::istreambuf_iterator<char>(file), {});
        std::memcpy(&described_, whole_.data() + size_at, sizeof described_);
    }

    void attack(Input input) {
        std::string bytes = whole_;
        const std::uint8_t how = input.byte() % 4;
        if (how == 3) bytes.resize(input.number<std::uint32_t>() % bytes.size());
        const std::size_t begin = how == 2 ? 0 : description_at, size = how == 2 ? bytes.size() : described_;
        while (how != 3 && !input.ended()) {
            const std::size_t at = begin + input.number<std::uint32_t>() % size;
            const auto piece = input.take(1 + input.byte() % 8);
            std::copy_n(piece.begin(), std::min(piece.size(), begin + size - at),
                        bytes.begin() + static_cast<long>(at));
        }
        if (how < 2) {
            const auto sum = cold::sha256(std::as_bytes(std::span(bytes)).subspan(description_at, described_));
            std::memcpy(bytes.data() + checksum_at, sum.data(), sum.size());
        }
        write(bytes);
        try {
            run();
        } catch (const Error&) {
        }
    }

  private:
    void write(const std::string& bytes) const {
        std::filesystem::remove(path_);
        const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) found("no room for files");
        ::close(file);
    }

    void run() {
        const auto loaded = SnapshotFile(path_).load(program_, options_, {});
        Fork fork(loaded->snapshot);
        for (int request = 0; request < 2; ++request) {
            (void)fork.call(calls_.functions.at("state"), {}, calls_, Clock::now() + std::chrono::seconds(1));
            fork.reset();
        }
    }

    std::shared_ptr<const Program> program_;
    Options options_;
    Calls calls_;
    std::string path_, whole_;
    std::uint64_t described_ = 0;
};

}  // namespace
}  // namespace tinykvm::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace tinykvm::fuzz;
    static Saved saved;
    saved.attack(Input(bytes, std::min<std::size_t>(size, 256)));
    return 0;
}
