// Servers of several languages: from the program's file to a snapshot, by booting it until it waits for connections,
// and by loading what was saved then (SnapshotFile). Files are in the page cache.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/micro/micro.hpp"
#include "tinykvm/machine.hpp"
#include "tinykvm/program.hpp"
#include "tinykvm/snapshot_file.hpp"

namespace tinykvm::bench {

namespace {

namespace fs = std::filesystem;

struct Server {
    const char* name;
    const char* program;
    std::vector<std::string> arguments;
};

Options options_for(const Server& server, const fs::path& folder) {
    Options options;
    options.program_name = server.program;
    options.arguments = server.arguments;
    options.environment = {"LC_ALL=C", "TZ=UTC"};
    for (const std::string& path : {std::string("/lib64"), std::string("/lib"), std::string("/usr"),
                                    std::string("/etc"), std::string(TINYKVM_SOURCE_DIR), folder.string()})
        options.allowed_paths.push_back({path, ""});
    options.max_memory = std::size_t{2} << 30;
    options.max_address_space = std::size_t{64} << 30;
    options.client = [] { return nullptr; };
    options.note_files = true;
    return options;
}

// The snapshot of the server where it waits for connections; null when it does not come there.
std::shared_ptr<const Snapshot> boot(const Server& server, const Options& options) {
    Machine machine(Program::open(server.program), options);
    const Stop stop = machine.run(nullptr, Clock::now() + std::chrono::minutes(2));
    return stop.reason == Stop::Reason::needs_input ? std::move(machine).freeze() : nullptr;
}

void measure(const Server& server, const fs::path& folder, Effort effort) {
    if (!fs::exists(server.program)) return void(std::printf("%-10s is not there\n", server.name));
    const Options options = options_for(server, folder);
    const SnapshotFile file((folder / "snapshot").string());
    std::shared_ptr<const Snapshot> snapshot;
    std::vector<double> boots, saves, loads;
    for (int round = 0; round < effort.rounds(5); ++round) {
        boots.push_back(microseconds_of([&] { snapshot = boot(server, options); }) / 1000);
        if (!snapshot) return void(std::printf("%-10s does not wait for connections\n", server.name));
        saves.push_back(microseconds_of([&] { file.save(*snapshot, {}, {}); }) / 1000);
        snapshot = nullptr;  // giving back its memory is not part of what follows
        loads.push_back(
            microseconds_of([&] { snapshot = file.load(Program::open(server.program), options, {})->snapshot; }) /
            1000);
    }
    std::printf("%-10s %10.1f %10.1f %10.1f %8.1f %10.1f\n", server.name, median(boots), median(saves), median(loads),
                median(boots) / median(loads), static_cast<double>(snapshot->image_bytes()) / (1 << 20));
}

}  // namespace

void cold_start(Effort effort) {
    std::string name = (fs::temp_directory_path() / "tinykvm_bench_XXXXXX").string();
    const fs::path folder = ::mkdtemp(name.data());
    const fs::path classes = folder / "classes";
    const std::string servers = TINYKVM_SOURCE_DIR "/docs/examples/servers/";
    const std::string compile = "/usr/lib/jvm/default-java/bin/javac -d " + classes.string() +
                                " " TINYKVM_SOURCE_DIR "/tests/gallery/servers/Count.java";
    const bool has_java = std::system(compile.c_str()) == 0;
    ::sleep(3);  // a program that looks at files which have just been made cannot be saved
    std::printf("%-10s %10s %10s %10s %8s %10s\n", "", "boot ms", "save ms", "load ms", "ratio", "image MiB");
    measure({"python", "/usr/bin/python3", {servers + "app.py"}}, folder, effort);
    measure({"node", "/usr/bin/node", {servers + "app.js"}}, folder, effort);
    if (has_java)
        measure({"java", "/usr/lib/jvm/default-java/bin/java", {"-cp", classes.string(), "Count"}}, folder, effort);
    fs::remove_all(folder);
}

}  // namespace tinykvm::bench
