#include "tinykvm/linux/file_table.hpp"

#include <algorithm>
#include <cerrno>

namespace tinykvm::linux_abi {

namespace {

// Bytes of the host that a message in a pipe takes besides its own, at most.
constexpr std::size_t message_overhead = 256;

}  // namespace

bool FileTable::is_open(int fd) const {
    return fd >= 0 && static_cast<std::size_t>(fd) < descriptors_.size() &&
           descriptors_[static_cast<std::size_t>(fd)].file != none;
}

OpenFile* FileTable::find(int fd) {
    return is_open(fd) ? &files_[descriptors_[static_cast<std::size_t>(fd)].file].file : nullptr;
}

const OpenFile* FileTable::find(int fd) const {
    return is_open(fd) ? &files_[descriptors_[static_cast<std::size_t>(fd)].file].file : nullptr;
}

int FileTable::lowest_free(int from) const {
    auto fd = static_cast<std::size_t>(from);
    while (fd < descriptors_.size() && descriptors_[fd].file != none) ++fd;
    return fd < limit_ ? static_cast<int>(fd) : -EMFILE;
}

void FileTable::install(int fd, std::uint32_t file, bool close_on_exec) {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= descriptors_.size()) descriptors_.resize(index + 1);
    descriptors_[index] = {file, close_on_exec};
    ++files_[file].references;
}

std::uint32_t FileTable::add_file(OpenFile file) {
    auto slot = std::find_if(files_.begin(), files_.end(), [](const Slot& s) { return s.references == 0; });
    if (slot == files_.end()) slot = files_.insert(files_.end(), Slot{});
    slot->file = std::move(file);
    slot->file.serial = ++last_serial_;
    count_special(slot->file, 1);
    return static_cast<std::uint32_t>(slot - files_.begin());
}

void FileTable::count_special(const OpenFile& file, int change) {
    if (file.kind == &kinds::timer) timers_ += static_cast<std::uint32_t>(change);
    if (file.kind == &kinds::signals) signal_files_ += static_cast<std::uint32_t>(change);
}

void FileTable::expire_timers(std::uint64_t now) {
    for (Slot& slot : files_) {
        if (slot.references == 0 || slot.file.kind != &kinds::timer) continue;
        const std::uint64_t times = slot.file.timer.expire(now);
        if (times == 0) continue;
        // As on Linux, only the first expiration after the file was read is news.
        if (slot.file.counter == 0) note_change(slot.file);
        slot.file.counter += times;
    }
}

std::uint64_t FileTable::next_expiration() const {
    std::uint64_t next = 0;
    if (!has_timers()) return next;
    for (const Slot& slot : files_) {
        if (slot.references == 0 || slot.file.kind != &kinds::timer || !slot.file.timer.is_armed()) continue;
        next = next == 0 ? slot.file.timer.next : std::min(next, slot.file.timer.next);
    }
    return next;
}

void FileTable::thaw_timers(std::uint64_t since, std::uint64_t now) {
    for (Slot& slot : files_)
        if (slot.references != 0 && slot.file.kind == &kinds::timer) slot.file.timer.thaw(since, now);
}

void FileTable::note_signal() {
    if (signal_files_ == 0) return;
    for (Slot& slot : files_)
        if (slot.references != 0 && slot.file.kind == &kinds::signals) note_change(slot.file);
}

void FileTable::release(std::uint32_t index) {
    Slot& slot = files_[index];
    if (--slot.references != 0) return;
    note_change(slot.file);
    count_special(slot.file, -1);
    if (slot.file.inode != 0) closed_.push_back({slot.file.inode, slot.file.serial, slot.file.writes()});
    if (slot.file.kind->close) slot.file.kind->close(*this, slot.file);
    slot.file = OpenFile{};
}

int FileTable::open(OpenFile file, bool close_on_exec, int lowest) {
    const int fd = lowest_free(lowest);
    if (fd >= 0) install(fd, add_file(std::move(file)), close_on_exec);
    return fd;
}

int FileTable::duplicate(int fd, bool close_on_exec, int lowest) {
    if (!is_open(fd)) return -EBADF;
    const int copy = lowest_free(lowest);
    if (copy >= 0) install(copy, descriptors_[static_cast<std::size_t>(fd)].file, close_on_exec);
    return copy;
}

int FileTable::duplicate_to(int from, int to, bool close_on_exec) {
    if (!is_open(from) || to < 0 || static_cast<std::size_t>(to) >= limit_) return -EBADF;
    if (from == to) return to;
    const std::uint32_t file = descriptors_[static_cast<std::size_t>(from)].file;
    if (is_open(to)) close(to);
    install(to, file, close_on_exec);
    return to;
}

bool FileTable::has_room_for_two() const {
    const int first = lowest_free(0);
    return first >= 0 && lowest_free(first + 1) >= 0;
}

std::uint32_t FileTable::add_pipe(std::size_t capacity) {
    auto free = std::find_if(pipes_.begin(), pipes_.end(), [](const Pipe& pipe) { return pipe.is_free(); });
    if (free == pipes_.end()) free = pipes_.insert(pipes_.end(), Pipe{});
    free->readers = free->writers = 1;
    free->capacity = capacity;
    return static_cast<std::uint32_t>(free - pipes_.begin());
}

bool FileTable::has_room_for_connection() const {
    const std::size_t most = 2 * (limit_ + most_pending);
    if (pipes_.size() + 2 <= most) return true;
    return std::count_if(pipes_.begin(), pipes_.end(), [](const Pipe& pipe) { return pipe.is_free(); }) >= 2;
}

std::size_t FileTable::room(const Pipe& pipe) const {
    if (pipe.messages.size() >= max_messages) return 0;
    const std::size_t own = pipe.capacity - std::min(pipe.capacity, pipe.bytes.size());
    if (pipes_.size() * socket_capacity <= max_piped) return own;
    std::size_t piped = 0;
    for (const Pipe& one : pipes_) piped += one.bytes.size() + one.messages.size() * message_overhead;
    return std::min(own, max_piped - std::min(max_piped, piped));
}

std::uint64_t FileTable::changes(const OpenFile& file) const {
    std::uint64_t count = file.changes;
    if (file.incoming != no_pipe) count += incoming(file).changes;
    if (file.outgoing != no_pipe) count += outgoing(file).changes;
    if (file.is_socket()) count += socket(file).changes;
    return count;
}

void FileTable::note_change(OpenFile& file) {
    ++changes_;
    ++file.changes;
    if (file.incoming != no_pipe) ++incoming(file).changes;
    if (file.outgoing != no_pipe) ++outgoing(file).changes;
}

void FileTable::reset_reader(std::uint32_t pipe) {
    for (const Slot& slot : files_)
        if (slot.references != 0 && slot.file.is_socket() && slot.file.incoming == pipe) {
            Socket& reset = socket(slot.file);
            reset.error = ECONNRESET;
            // Nothing of a TCP connection is left then.
            if (reset.local.is_ip()) reset.shut_for_reading = reset.shut_for_writing = true;
        }
}

void FileTable::drop_unused(Pipe& pipe) {
    if (pipe.is_free()) pipe = Pipe{};
}

void FileTable::remove_reader(const OpenFile& file) {
    --incoming(file).readers;
    drop_unused(incoming(file));
}

void FileTable::remove_writer(const OpenFile& file) {
    --outgoing(file).writers;
    drop_unused(outgoing(file));
}

int FileTable::close(int fd) {
    if (!is_open(fd)) return -EBADF;
    Descriptor& descriptor = descriptors_[static_cast<std::size_t>(fd)];
    release(std::exchange(descriptor, Descriptor{}).file);
    return 0;
}

void FileTable::close_range(unsigned first, unsigned last) {
    for (std::size_t fd = first; fd < descriptors_.size() && fd <= last; ++fd) close(static_cast<int>(fd));
}

void FileTable::set_close_on_exec_range(unsigned first, unsigned last) {
    for (std::size_t fd = first; fd < descriptors_.size() && fd <= last; ++fd)
        if (descriptors_[fd].file != none) descriptors_[fd].close_on_exec = true;
}

void FileTable::release_locks() {
    // A lock with more than one reference belongs to the snapshot, too.
    for (Slot& slot : files_)
        if (slot.file.locks && slot.file.locks.use_count() == 1) slot.file.locks.reset();
}

bool FileTable::has_open(FileId inode) const {
    return std::any_of(files_.begin(), files_.end(),
                       [inode](const Slot& slot) { return slot.references != 0 && slot.file.inode == inode; });
}

std::size_t FileTable::open_descriptors() const {
    return static_cast<std::size_t>(
        std::count_if(descriptors_.begin(), descriptors_.end(), [](const Descriptor& d) { return d.file != none; }));
}

std::size_t FileTable::count(const FileKind& kind) const {
    return static_cast<std::size_t>(std::count_if(files_.begin(), files_.end(), [&kind](const Slot& slot) {
        return slot.references != 0 && slot.file.kind == &kind;
    }));
}

bool FileTable::same_description(int a, int b) const {
    return is_open(a) && is_open(b) &&
           descriptors_[static_cast<std::size_t>(a)].file == descriptors_[static_cast<std::size_t>(b)].file;
}

namespace {

bool is_state(Socket::State state) { return state <= Socket::State::connected; }

}  // namespace

// A pipe is looked up by its number without a check everywhere else.
std::string FileTable::why_impossible() const {
    constexpr const char* problem = "its open files are impossible";
    if (descriptors_.size() > limit_) return problem;
    std::vector<std::uint32_t> references(files_.size());
    for (const Descriptor& descriptor : descriptors_) {
        if (descriptor.file == none) continue;
        if (descriptor.file >= files_.size()) return problem;
        ++references[descriptor.file];
    }
    std::uint32_t timers = 0, signal_files = 0;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        if (files_[i].references != references[i]) return problem;
        if (references[i] == 0) continue;
        if (!is_possible(files_[i].file)) return problem;
        timers += files_[i].file.kind == &kinds::timer ? 1 : 0;
        signal_files += files_[i].file.kind == &kinds::signals ? 1 : 0;
    }
    if (timers != timers_ || signal_files != signal_files_) return problem;
    const auto is_pipe = [&](std::uint32_t number) { return number == no_pipe || number < pipes_.size(); };
    for (const Socket& socket : sockets_.all()) {
        if (!is_state(socket.state) || !is_pipe(socket.inbox) || socket.pending.size() > most_pending) return problem;
        for (const PendingConnection& pending : socket.pending)
            if (pending.incoming >= pipes_.size() || pending.outgoing >= pipes_.size()) return problem;
    }
    for (const Pipe& pipe : pipes_) {
        std::size_t size = 0;
        for (const Message& message : pipe.messages) {
            if (message.size > pipe.bytes.size() - size) return problem;
            size += message.size;
        }
        if (!pipe.messages.empty() && size != pipe.bytes.size()) return problem;
    }
    return "";
}

bool FileTable::is_possible(const OpenFile& file) const {
    const bool has_incoming = file.incoming < pipes_.size(), has_outgoing = file.outgoing < pipes_.size();
    if ((file.incoming != no_pipe && !has_incoming) || (file.outgoing != no_pipe && !has_outgoing)) return false;
    if (file.output_fd < 0 || file.output_fd > 2 || (file.kind == &kinds::output && file.output_fd == 0)) return false;
    if (!file.path.empty() && file.path[0] != '/') return false;
    if (file.kind == &kinds::text) return file.text != nullptr;
    for (const PolledFile& entry : file.polled)
        if (const OpenFile* polled = find(entry); polled && !polled->kind->can_be_in_epoll) return false;
    const bool is_pipe_end = file.kind == &kinds::pipe_reader || file.kind == &kinds::pipe_writer;
    if (is_pipe_end) return has_incoming && has_outgoing && !file.is_socket();
    const bool is_socket = file.kind == &kinds::socket || file.kind == &kinds::client_connection;
    if (!is_socket) return !file.is_socket() && !has_incoming && !has_outgoing;
    if (file.socket >= sockets_.all().size() || socket(file).type == 0) return false;
    if (file.kind == &kinds::client_connection) return true;
    const Socket& own = socket(file);
    // What is in a pipe of one that keeps messages is found by them.
    if (own.keeps_messages() && has_incoming && incoming(file).messages.empty() && !incoming(file).bytes.empty())
        return false;
    const bool is_connected = own.state == Socket::State::connected && own.inbox == no_pipe;
    return own.inbox != no_pipe ? has_incoming : has_incoming == has_outgoing && (has_incoming || !is_connected);
}

}  // namespace tinykvm::linux_abi
