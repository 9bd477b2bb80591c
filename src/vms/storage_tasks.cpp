#include "src/vms/storage_tasks.hpp"

#include <algorithm>
#include <cerrno>

namespace tinykvm::host {

namespace {

constexpr std::size_t max_tasks = 1024, max_bytes = std::size_t{16} << 20;

}  // namespace

long StorageTasks::add(StorageTask task, Clock::time_point now) {
    if (tasks_.size() == max_tasks || task.data.size() > max_bytes - bytes_) {
        return -EAGAIN;
    }
    bytes_ += task.data.size();
    const Clock::time_point due = now + task.delay;
    tasks_.emplace(++last_number_, Entry{std::move(task), due});
    return last_number_;
}

bool StorageTasks::remove(long number) {
    const auto found = tasks_.find(number);
    if (found == tasks_.end()) {
        return false;
    }
    bytes_ -= found->second.task.data.size();
    tasks_.erase(found);
    return true;
}

std::map<long, StorageTasks::Entry>::const_iterator StorageTasks::first() const {
    return std::min_element(tasks_.begin(), tasks_.end(),
                            [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
}

std::optional<Clock::time_point> StorageTasks::next() const {
    const auto found = first();
    return found == tasks_.end() ? std::nullopt : std::optional(found->second.due);
}

std::optional<StorageTask> StorageTasks::take_due(Clock::time_point now) {
    const auto found = first();
    if (found == tasks_.end() || found->second.due > now) {
        return std::nullopt;
    }
    const long number = found->first;
    StorageTask task = found->second.task;
    if (task.period.count() == 0) {
        (void)remove(number);
    } else {
        Clock::time_point& due = tasks_.at(number).due;
        due = due + task.period > now ? due + task.period : now + task.period;
    }
    return task;
}

std::size_t StorageTasks::count_due(Clock::time_point now) const {
    return static_cast<std::size_t>(
        std::count_if(tasks_.begin(), tasks_.end(), [now](const auto& one) { return one.second.due <= now; }));
}

}  // namespace tinykvm::host
