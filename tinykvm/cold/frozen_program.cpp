#include "tinykvm/cold/frozen_program.hpp"

#include <string>
#include <utility>

#include "tinykvm/cold/archive.hpp"
#include "tinykvm/cold/image_check.hpp"
#include "tinykvm/cold/process_check.hpp"
#include "tinykvm/errors.hpp"
#include "tinykvm/linux/guest_file_system.hpp"
#include "tinykvm/linux/refused_paths.hpp"
#include "tinykvm/platform/platform.hpp"
#include "tinykvm/size_limit.hpp"
#include "tinykvm/x86/layout.hpp"

namespace tinykvm::cold {

namespace {

void require_none(const std::string& problem) {
    if (!problem.empty()) throw MachineError(problem);
}

}  // namespace

FrozenProgram::FrozenProgram(const SnapshotContents& contents)
    : counters_(Counters::now()),
      image_(contents.memory),
      process_(contents.process),
      host_files_(note_host_files(process_)),
      registers_(contents.registers),
      pointers_{contents.system_registers.fs.base, contents.system_registers.gs.base},
      vector_state_(contents.vector_state),
      request_area_(contents.request_area) {
    if (!contents.seen_files) throw MachineError("it was not noted which files of the host the program looked at");
    if (!contents.options.kept_file.path.empty()) throw MachineError("the host keeps a file of the program");
    seen_files_ = *contents.seen_files;
    require_none(seen_files_.uncertainty());
    require_none(seen_files_.difference(process_));
    for (const elf::LoadedProgram& one : contents.programs) placements_.push_back({one.bias, one.begin, one.end});
    for (const auto& [begin, region] : contents.memory->regions)
        if (region.file) throw MachineError("the program shows a copy of a file (" + region.name + ")");
}

std::unique_ptr<const SnapshotContents> FrozenProgram::open(FileDescriptor file, std::uint64_t begin,
                                                            const std::shared_ptr<const Program>& program,
                                                            const Options& options) {
    require_none(counters_.why_not(Counters::now()));
    auto contents = std::make_unique<SnapshotContents>();
    contents->options = options;
    process_.file_system = std::make_shared<const linux_abi::GuestFileSystem>(options);
    process_.refused_paths = std::make_shared<linux_abi::RefusedPaths>();
    const auto image = image_.open(std::move(file), begin);
    check_image(*image, options, request_area_);
    check_process(process_, image->regions, options, x86::Platform::instance().vector_state_size());
    require_none(seen_files_.difference(process_));
    reopen_host_files(process_, host_files_);
    if (options.share_mapped_files) image->file_copies = std::make_shared<FileCopies>(options.max_memory);
    contents->programs = load_programs(program, options);
    contents->memory = image;
    contents->process = std::move(process_);
    contents->request_area = request_area_;
    take_registers(*contents);
    return contents;
}

std::vector<elf::LoadedProgram> FrozenProgram::load_programs(const std::shared_ptr<const Program>& program,
                                                             const Options& options) const {
    const auto& file_system = *process_.file_system;
    std::vector<std::shared_ptr<const Program>> files = {program};
    if (const std::string& path = program->interpreter(); !path.empty()) {
        const auto found = file_system.resolve(process_, "/", path, linux_abi::GuestFileSystem::Last::follow);
        FileDescriptor file(found.exists() ? file_system.open(found, 0) : -1);
        if (!file) throw MachineError("its interpreter " + path + " cannot be read");
        files.push_back(Program::open(std::move(file), path, program_size_limit(options.max_memory)));
    }
    if (files.size() != placements_.size()) throw Malformed("it is not of the program");
    std::vector<elf::LoadedProgram> programs;
    for (std::size_t i = 0; i < files.size(); ++i)
        programs.push_back({files[i], placements_[i].bias, placements_[i].begin, placements_[i].end});
    return programs;
}

// A vCPU that never runs says what the system registers of all are, and whether KVM takes the vector registers.
void FrozenProgram::take_registers(SnapshotContents& contents) const {
    const x86::Platform& platform = x86::Platform::instance();
    const kvm::Vm vm(0, Clock::now() + contents.options.max_creation_time);
    kvm::Vcpu vcpu(vm, platform.cpuid());
    platform.prepare(vcpu, x86::window_base + x86::page_tables_offset);
    contents.system_registers = vcpu.system_registers();
    if (pointers_.fs_base >= x86::user_end || pointers_.gs_base >= x86::user_end)
        throw Malformed("its thread pointers are beyond user space");
    contents.system_registers.fs.base = pointers_.fs_base;
    contents.system_registers.gs.base = pointers_.gs_base;
    contents.registers = check_registers(registers_);
    if (vector_state_.size() != vcpu.vector_state_size() || !vcpu.set_vector_state(vector_state_))
        throw Malformed("KVM refuses its vector registers");
    contents.vector_state = vector_state_;
}

}  // namespace tinykvm::cold
