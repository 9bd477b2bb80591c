#include "src/programs/cold_start.hpp"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/checksum.hpp"
#include "src/calls/cgi_environment.hpp"
#include "src/http/server_connection.hpp"
#include "tinykvm/cold/archive.hpp"
#include "tinykvm/snapshot_file.hpp"

namespace tinykvm::host {

namespace {

// What a BootedProgram has besides its snapshot and what its configuration says.
struct Notes {
    Registration registration;
    std::vector<std::pair<std::uint64_t, GuestAddr>> arguments;  // number and place
    EnvironmentPlaces environment;
    std::vector<std::byte> output;
    std::uint64_t connection = 0, last_connection_number = 0;

    template <typename Archive>
    void archive(Archive& archive) {
        archive(registration, arguments, environment, output, connection, last_connection_number);
    }
};

// What decides how a program boots, and is not among its Options.
std::vector<SnapshotFile::Tag> tags_of(const ProgramConfig& config) {
    cold::Writer all;
    all(config.protocol, config.cgi, config.input, config.output, std::uint64_t{config.max_argument},
        config.is_ephemeral(), config.may_change_ephemeral(), config.allowed_hosts, config.warmup);
    Digest digest(Digest::Algorithm::sha256);
    digest.add(all.bytes());
    return {{"way it boots (protocol, warmup, allowed_hosts and the like)", digest.finish().substr(0, 32)}};
}

void require(bool holds) {
    if (!holds) {
        throw cold::Malformed("it says of the program what cannot be");
    }
}

std::shared_ptr<const BootedProgram> program_of(const std::string& name, const ProgramConfig& config,
                                                std::shared_ptr<const Program> binary, const GuestServices& services,
                                                SnapshotFile::Loaded loaded) {
    Notes notes;
    cold::Reader reader(loaded.notes);
    reader(notes);
    require(reader.at_end() && notes.registration.waiting <= Registration::Waiting::paused &&
            notes.output.size() <= config.max_memory);
    require(!config.cgi || (notes.environment.slots == max_cgi_variables && notes.environment.room == max_cgi_bytes));
    std::vector<BootedProgram::ArgumentPlace> places;
    for (const auto& [index, address] : notes.arguments) {
        require(index < config.main_arguments.size());
        ArgumentTemplate text(config.main_arguments[index]);
        require(text.has_placeholder());
        places.push_back({index, std::move(text), address});
    }
    ServerConnection::continue_numbers_after(notes.last_connection_number);
    return std::make_shared<const BootedProgram>(
        BootedProgram{.name = name,
                      .config = config,
                      .registration = std::move(notes.registration),
                      .snapshot = std::move(loaded.snapshot),
                      .services = services,
                      .binary = std::move(binary),
                      .arguments = std::move(places),
                      .environment = config.cgi ? notes.environment : EnvironmentPlaces{},
                      .output = std::move(notes.output),
                      .connection = notes.connection,
                      .is_from_file = true});
}

std::string milliseconds_since(Clock::time_point begin) {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    return std::to_string(time.count()) + " ms";
}

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1 << 19)) >> 20) + " MiB"; }

}  // namespace

std::string why_no_cold_start(const ProgramConfig& config) {
    if (config.cold_start_file.empty()) {
        return {};
    }
    if (config.storage || config.is_storage) {
        return "the program has a storage, which does not know what the program told it while it booted";
    }
    return config.may_be_debugged() ? "the program may be debugged" : "";
}

std::shared_ptr<const BootedProgram> load_cold_start(const std::string& name, const ProgramConfig& config,
                                                     const std::shared_ptr<const Program>& binary,
                                                     const Options& options, const GuestServices& services,
                                                     const std::function<void(std::string_view)>& log) {
    const auto begin = Clock::now();
    try {
        std::optional<SnapshotFile::Loaded> loaded =
            SnapshotFile(config.cold_start_file).load(binary, options, tags_of(config));
        if (!loaded) {
            return nullptr;
        }
        auto program = program_of(name, config, binary, services, std::move(*loaded));
        log("loaded from " + config.cold_start_file + " in " + milliseconds_since(begin));
        return program;
    } catch (const Error& error) {
        log(config.cold_start_file + " is not used (cold_start_file): " + error.what());
        return nullptr;
    }
}

void save_cold_start(const BootedProgram& program, const std::function<void(std::string_view)>& log) {
    const auto begin = Clock::now();
    const std::string& file = program.config.cold_start_file;
    Notes notes{.registration = program.registration,
                .arguments = {},
                .environment = program.environment,
                .output = program.output,
                .connection = program.connection,
                .last_connection_number = ServerConnection::last_number()};
    for (const BootedProgram::ArgumentPlace& place : program.arguments) {
        notes.arguments.emplace_back(place.index, place.address);
    }
    try {
        cold::Writer writer;
        writer(notes);
        SnapshotFile(file).save(*program.snapshot, tags_of(program.config), writer.bytes());
        log("saved in " + file + ": " + mebibytes(program.snapshot->image_bytes()) + " in " +
            milliseconds_since(begin));
    } catch (const std::exception& error) {
        log(file + " is not written (cold_start_file): " + error.what());
    }
}

}  // namespace tinykvm::host
