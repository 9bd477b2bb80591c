#include "tests/bench/micro/two_worlds.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <utility>

#include "tinykvm/errors.hpp"
#include "tinykvm/machine.hpp"

namespace tinykvm::bench {

namespace {

constexpr std::chrono::seconds patience{120};

}  // namespace

TwoWorlds::TwoWorlds(std::string path, std::vector<std::string> readable)
    : path_(std::move(path)), readable_(std::move(readable)), program_(Program::from_file(path_)) {}

std::string TwoWorlds::natively(const std::vector<std::string>& arguments) const {
    std::string command = "'" + path_ + "'", output;
    for (const std::string& argument : arguments) command += " " + argument;
    std::FILE* pipe = ::popen(command.c_str(), "re");
    if (pipe == nullptr) throw MachineError("cannot run " + path_);
    std::array<char, 4096> buffer;
    while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
    if (::pclose(pipe) != 0) throw MachineError(command + " failed");
    return output;
}

std::string TwoWorlds::in_guest(const std::vector<std::string>& arguments, Statistics* counts, unsigned cpus) const {
    std::string output;
    Options options;
    options.program_name = path_;
    options.arguments = arguments;
    options.cpus = cpus;
    if (!program_->interpreter().empty()) {
        for (const char* folder : {"/lib64", "/lib", "/usr/lib"}) options.allowed_paths.push_back({folder, ""});
        options.allowed_paths.push_back({path_, ""});
    }
    for (const std::string& path : readable_) options.allowed_paths.push_back({path, ""});
    // What runtimes reserve.
    options.max_memory = std::size_t{1} << 30;
    options.max_address_space = std::size_t{64} << 30;
    options.output = [&](int, std::string_view text) { output += text; };
    Machine machine(program_, std::move(options));
    const Stop stop = machine.run(nullptr, Clock::now() + patience);
    if (counts != nullptr) *counts = machine.statistics();
    if (stop.exit_status != 0) throw MachineError(path_ + " failed in a guest: " + output);
    return output;
}

}  // namespace tinykvm::bench
