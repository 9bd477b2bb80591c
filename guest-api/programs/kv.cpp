// SPDX-License-Identifier: BSD-2-Clause
// Keeps values under the paths of URLs: PUT or POST stores the body with its content type, GET gives it back, DELETE
// forgets it. They are in the program's storage ("storage": true), so all requests see the same ones; with a
// "state_file" it saves them there, and has them again when Varnish starts again. docs/storage.md has the keys of its
// argument.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kvm_api.hpp"
#include "options.hpp"
#include "program.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t largest_value = std::int64_t{16} << 20;

struct Options {
    double ttl = 0;  // seconds; 0: for ever
    std::size_t max_value = std::size_t{1} << 20, max_bytes = std::size_t{64} << 20;
    bool durable = false;
};

Options parse_options(std::string_view argument, Options options) {
    constexpr double longest = 10 * 365 * 86400.0;
    const auto bytes = [](const auto& key, const auto& value, std::int64_t most) {
        return static_cast<std::size_t>(gallery::integer(key, value, 1, most));
    };
    gallery::take(
        "", gallery::parse_argument(argument),
        {{"durable", [&](const auto& key, const auto& value) { options.durable = gallery::truth(key, value); }},
         {"ttl", [&](const auto& key, const auto& value) { options.ttl = gallery::number(key, value, 0, longest); }},
         {"max_value",
          [&](const auto& key, const auto& value) { options.max_value = bytes(key, value, largest_value); }},
         {"max_bytes",
          [&](const auto& key, const auto& value) { options.max_bytes = bytes(key, value, std::int64_t{1} << 40); }}});
    return options;
}

Options defaults;

// --- In the storage: what it keeps, and the functions that requests call there.

struct Value {
    std::string type, data;
    Clock::time_point expires = Clock::time_point::max();

    bool is_over() const { return Clock::now() >= expires; }
};
std::unordered_map<std::string, Value> values;
std::size_t bytes_kept = 0;

std::size_t size_of(const std::string& key, const Value& value) {
    constexpr std::size_t overhead = 128;  // of an entry of the table, and of what malloc() adds
    return key.size() + value.type.size() + value.data.size() + overhead;
}

void forget(std::unordered_map<std::string, Value>::iterator entry) {
    bytes_kept -= size_of(entry->first, entry->second);
    values.erase(entry);
}

std::string text(const virtbuffer& buffer) { return {static_cast<const char*>(buffer.data), buffer.len}; }

void answer(std::string_view text) { storage_return(text.data(), text.size()); }

// --- Its state_file: a head, then for each value the lengths of key, type and data, when it expires, and these texts.

constexpr std::string_view head = "kv 1\n";
bool is_changed = false;  // since it was saved

struct Entry {
    std::uint64_t key_size = 0, type_size = 0, data_size = 0;
    std::int64_t expires = 0;  // milliseconds since 1970; 0: never
};

std::int64_t now_in_milliseconds() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void write_entry(std::ostream& out, const std::string& key, const Value& value) {
    Entry entry{key.size(), value.type.size(), value.data.size()};
    if (value.expires != Clock::time_point::max()) {
        entry.expires = now_in_milliseconds() +
                        std::chrono::duration_cast<std::chrono::milliseconds>(value.expires - Clock::now()).count();
    }
    out.write(reinterpret_cast<const char*>(&entry), sizeof(entry));
    out << key << value.type << value.data;
}

// The file is on the disk of the host when it has been closed.
bool save() {
    const char* path = std::getenv("KVM_STATE");
    if (!is_changed || path == nullptr || *path == 0) return true;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << head;
    for (const auto& [key, value] : values) write_entry(out, key, value);
    out.close();
    is_changed = out.fail();
    return !is_changed;
}

// False: there is no entry left, or it is cut off.
bool read_entry(std::istream& in, std::string& key, Value& value) {
    Entry entry;
    if (!in.read(reinterpret_cast<char*>(&entry), sizeof(entry))) return false;
    for (const std::uint64_t size : {entry.key_size, entry.type_size, entry.data_size})
        if (size > static_cast<std::uint64_t>(largest_value)) return false;
    key.resize(entry.key_size);
    value.type.resize(entry.type_size);
    value.data.resize(entry.data_size);
    for (std::string* text : {&key, &value.type, &value.data})
        if (!in.read(text->data(), static_cast<std::streamsize>(text->size()))) return false;
    value.expires = entry.expires == 0
                        ? Clock::time_point::max()
                        : Clock::now() + std::chrono::milliseconds(entry.expires - now_in_milliseconds());
    return true;
}

// False: there is a file, and it is another program's.
bool restore() {
    const char* path = std::getenv("KVM_STATE");
    std::ifstream in(path == nullptr ? "" : path, std::ios::binary);
    if (!in) return true;
    std::string first(head.size(), 0);
    if (!in.read(first.data(), static_cast<std::streamsize>(first.size())) || first != head) return false;
    std::string key;
    for (Value value; read_entry(in, key, value);) {
        if (value.is_over()) continue;
        bytes_kept += size_of(key, value);
        values.emplace(key, value);
    }
    return in.eof() && in.gcount() == 0;
}

// A letter, then the type with a zero, then the data.
void get(std::size_t, virtbuffer buffers[], std::size_t) {
    const auto found = values.find(text(buffers[0]));
    if (found == values.end() || found->second.is_over()) return answer("-");
    answer("+" + found->second.type + '\0' + found->second.data);
}

// Buffers: the key, the type, the data, the seconds as a double.
void put(std::size_t, virtbuffer buffers[], std::size_t) {
    Value value{text(buffers[1]), text(buffers[2])};
    double ttl = 0;
    std::memcpy(&ttl, buffers[3].data, sizeof(ttl));
    if (ttl > 0)
        value.expires = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(ttl));
    std::string key = text(buffers[0]);
    const auto former = values.find(key);
    const std::size_t freed = former == values.end() ? 0 : size_of(key, former->second);
    if (bytes_kept - freed + size_of(key, value) > defaults.max_bytes) return answer("full");
    const bool is_new = former == values.end() || former->second.is_over();
    if (former != values.end()) forget(former);
    bytes_kept += size_of(key, value);
    values.emplace(std::move(key), std::move(value));
    is_changed = true;
    if (defaults.durable && !save()) return answer("unsaved");
    answer(is_new ? "new" : "replaced");
}

void remove(std::size_t, virtbuffer buffers[], std::size_t) {
    const auto found = values.find(text(buffers[0]));
    const bool was_there = found != values.end() && !found->second.is_over();
    if (found != values.end()) forget(found);
    is_changed = is_changed || was_there;
    if (defaults.durable && !save()) return answer("unsaved");
    answer(was_there ? "+" : "-");
}

// Every second, by itself.
void look_after(void*, std::size_t) {
    for (auto one = values.begin(); one != values.end();) {
        const auto entry = one++;
        if (entry->second.is_over()) forget(entry);
    }
    save();
}

// --- In requests

kvm::Response plain(int status, std::string text) { return kvm::Response(status, "text/plain", std::move(text)); }

kvm::Response unsaved() { return plain(503, "That is changed, but could not be saved.\n"); }

std::string key_of(const kvm::Request& request) {
    return std::string(request.url().substr(0, request.url().find('?')));
}

kvm::Response answer_get(const std::string& key) {
    const std::string found = Storage::get<largest_value + 8192>(key, get);
    if (found[0] == '-') return plain(404, "There is no such key.\n");
    const std::size_t end = found.find('\0');
    return kvm::Response(200, found.substr(1, end - 1), found.substr(end + 1));
}

kvm::Response answer_put(const kvm::Request& request, const std::string& key, const Options& options) {
    if (request.text().size() > options.max_value) {
        return plain(413, "The value has more than " + std::to_string(options.max_value) + " bytes (max_value).\n");
    }
    const std::string_view ttl(reinterpret_cast<const char*>(&options.ttl), sizeof(options.ttl));
    char result[16];
    const std::string_view type = request.content_type().empty() ? "application/octet-stream" : request.content_type();
    const std::string_view what = Storage::get<sizeof(result)>(put, result, key, type, request.text(), ttl);
    if (what == "unsaved") return unsaved();
    if (what == "full") return plain(507, "There is no more room (max_bytes).\n");
    return plain(what == "new" ? 201 : 204, "");
}

kvm::Response answer_request(const kvm::Request& request) {
    try {
        const Options options = parse_options(request.argument(), defaults);
        const std::string key = key_of(request);
        const std::string_view method = request.method();
        if (method == "GET" || method == "HEAD") return answer_get(key);
        if (method == "PUT" || method == "POST") return answer_put(request, key, options);
        if (method == "DELETE") {
            const std::string removed = Storage::get<16>(key, remove);
            if (removed == "unsaved") return unsaved();
            return removed == "+" ? plain(204, "") : plain(404, "There is no such key.\n");
        }
        return plain(405, "GET, PUT, POST or DELETE it.\n").header("Allow", "GET, HEAD, PUT, POST, DELETE");
    } catch (const gallery::Error& error) {
        return plain(error.status(), std::string(error.what()) + "\n");
    } catch (const std::system_error& error) {
        kvm::log(std::string("kv: ") + error.what());
        return plain(503, std::string("The storage does not answer: ") + error.code().message() + ".\n");
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (!kvm::is_sandboxed()) {
        std::puts("kv is for Varnish: a key-value store in the storage of a program");
        return 0;
    }
    try {
        defaults = parse_options(argc > 1 ? argv[1] : "", {});
    } catch (const gallery::Error& error) {
        std::fprintf(stderr, "kv: %s\n", error.what());
        return 2;
    }
    if (IS_STORAGE()) {
        for (const storage_func function : {get, put, remove}) STORAGE_ALLOW(function);
        STORAGE_ALLOW(look_after);
        schedule_storage_task(look_after, nullptr, 0, 1, 1);
        if (!restore()) {
            std::fprintf(stderr, "kv: the state_file is not one of kv, or broken\n");
            return 2;
        }
        wait_for_requests();
    }
    kvm::on_request(answer_request);
    kvm::serve();
}
