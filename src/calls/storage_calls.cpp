// The calls of a program that has a storage, and those of the storage itself.
#include <algorithm>
#include <array>
#include <cerrno>

#include "src/calls/guest_calls.hpp"
#include "src/calls/storage.hpp"

namespace tinykvm::host {

namespace {

constexpr std::size_t max_buffers = 64;
constexpr std::size_t max_task_bytes = std::size_t{1} << 20;
constexpr std::size_t max_tasks_at_boot = 64, max_functions = 4096;

HostCallResult error(int code) { return HostCallResult::resume(-code); }

std::optional<StorageBytes> copy(const GuestMemory& memory, GuestAddr from, std::size_t size) {
    StorageBytes bytes(size);
    return memory.read(from, bytes.data(), size) ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace

HostCallResult GuestCalls::is_storage(const HostCall&, GuestMemory&) {
    return HostCallResult::resume(environment_.is_storage ? 1 : 0);
}

// Requests may see main() make this call, too: there it means nothing.
HostCallResult GuestCalls::storage_allow(const HostCall& call, GuestMemory&) {
    auto& functions = registration_.storage_functions;
    if (!environment_.is_storage) {
        return environment_.services.storage == nullptr ? no_storage("sys_storage_allow") : HostCallResult::resume(0);
    }
    if (phase_ != Phase::boot) {
        return error(EPERM);
    }
    if (functions.size() == max_functions) {
        return error(ENOSPC);
    }
    functions.push_back(call.args[0]);
    return HostCallResult::resume(0);
}

HostCallResult GuestCalls::storage_callv(const HostCall& call, GuestMemory& memory) {
    const auto [function, count, list, result_at, room, unused] = call.args;
    if (environment_.services.storage == nullptr) {
        return no_storage("storage_callv");
    }
    if (environment_.is_storage) {
        note("storage_callv: the storage cannot wait for itself");
        return error(EDEADLK);
    }
    if (!environment_.services.storage->allows(function)) {
        return error(EPERM);
    }
    if (count > max_buffers) {
        return error(E2BIG);
    }
    std::array<abi::Buffer, max_buffers> buffers{};
    if (!memory.read(list, buffers.data(), count * sizeof(abi::Buffer)) || !memory.is_writable(result_at, room)) {
        return error(EFAULT);
    }
    StorageCall wanted;
    wanted.function = function;
    // No more could be written to its memory.
    wanted.room = std::min(room, environment_.max_request_memory);
    wanted.deadline = call.deadline;
    wanted.is_cancelled = [&call] { return call.is_interrupted(); };
    wanted.inside_of = phase_ == Phase::request ? origin_.request : 0;
    std::size_t total = 0;
    for (const abi::Buffer& buffer : std::span(buffers).first(count)) {
        // The host keeps a copy, of no more than the caller itself may take.
        if (buffer.length > environment_.max_request_memory - total) {
            return error(E2BIG);
        }
        total += buffer.length;
        auto bytes = copy(memory, buffer.data, buffer.length);
        if (!bytes) {
            return error(EFAULT);
        }
        wanted.buffers.push_back(*std::move(bytes));
    }
    const StorageResult result = environment_.services.storage->call(std::move(wanted));
    if (result.error != 0) {
        return error(result.error);
    }
    return memory.write(result_at, result.bytes.data(), result.bytes.size())
               ? HostCallResult::resume(static_cast<std::int64_t>(result.size))
               : error(EFAULT);
}

HostCallResult GuestCalls::storage_task(const HostCall& call, GuestMemory& memory) {
    const auto [function, data, size, delay, period, unused] = call.args;
    constexpr std::uint64_t longest = std::uint64_t{365} * 24 * 3600 * 1000;
    const bool boots = environment_.is_storage && phase_ == Phase::boot;
    if (environment_.services.storage == nullptr && !boots) {
        return no_storage("storage_task");
    }
    if (!environment_.is_storage && !environment_.services.storage->allows(function)) {
        return error(EPERM);
    }
    if (size > max_task_bytes) {
        return error(E2BIG);
    }
    if (delay > longest || period > longest) {
        return error(EINVAL);
    }
    auto bytes = copy(memory, data, size);
    if (!bytes) {
        return error(EFAULT);
    }
    StorageTask task{function, *std::move(bytes), std::chrono::milliseconds(delay), std::chrono::milliseconds(period)};
    if (!boots) {
        return HostCallResult::resume(environment_.services.storage->begin(std::move(task)));
    }
    if (registration_.storage_tasks.size() == max_tasks_at_boot) {
        return error(EAGAIN);
    }
    registration_.storage_tasks.push_back(std::move(task));
    return HostCallResult::resume(static_cast<std::int64_t>(registration_.storage_tasks.size()));
}

HostCallResult GuestCalls::stop_storage_task(const HostCall& call, GuestMemory&) {
    if (environment_.services.storage == nullptr) {
        return no_storage("stop_storage_task");
    }
    return environment_.services.storage->stop(static_cast<long>(call.args[0])) ? HostCallResult::resume(0)
                                                                                : error(ENOENT);
}

HostCallResult GuestCalls::storage_return(const HostCall& call, GuestMemory& memory) {
    if (phase_ == Phase::restore) {
        const std::size_t size = std::min<std::uint64_t>(call.args[1], restored_->size());
        return memory.write(call.args[0], restored_->data(), size)
                   ? HostCallResult::resume(static_cast<std::int64_t>(restored_->size()))
                   : error(EFAULT);
    }
    if (phase_ != Phase::storage && phase_ != Phase::hand_over) {
        return environment_.services.storage == nullptr ? no_storage("storage_return") : error(EPERM);
    }
    StorageResult result;
    result.size = call.args[1];
    auto bytes = copy(memory, call.args[0], std::min<std::size_t>(call.args[1], result_room_));
    if (!bytes) {
        return error(EFAULT);
    }
    result.bytes = *std::move(bytes);
    storage_result_ = std::move(result);
    return HostCallResult::resume(0);
}

HostCallResult GuestCalls::storage_noreturn(const HostCall& call, GuestMemory& memory) {
    const HostCallResult taken = storage_return(call, memory);
    return taken.value >= 0 ? HostCallResult::stop() : taken;
}

HostCallResult GuestCalls::no_storage(const char* name) {
    if (environment_.verbose) {
        note(std::string(name) + ": the program has no storage (\"storage\")");
    }
    return error(ENOSYS);
}

}  // namespace tinykvm::host
