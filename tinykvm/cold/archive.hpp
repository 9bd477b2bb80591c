// Values as bytes: Writer appends them, Reader takes them back. A type says once, in its member archive(), of which
// values it consists, and both follow it; so they cannot come apart. A Writer changes nothing of what it writes.
//
// What is read comes from a file and may be anything: Reader throws Malformed, and allocates no more than the file
// warrants. It knows lengths only; what values mean is checked by others.
//
// Thread safety: one thread at a time per object.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tinykvm/errors.hpp"

namespace tinykvm::cold {

// The bytes are not what they should be; the message says what.
class Malformed : public MachineError {
  public:
    using MachineError::MachineError;
};

inline void require(bool holds, const char* otherwise) {
    if (!holds) throw Malformed(otherwise);
}

template <typename T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Writer {
  public:
    static constexpr bool is_reading = false;

    template <typename... Values>
    void operator()(const Values&... values) {
        (put(values), ...);
    }
    void require(bool, const char*) {}

    const std::vector<std::byte>& bytes() const { return bytes_; }

  private:
    void append(const void* data, std::size_t size) {
        const auto* begin = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), begin, begin + size);
    }
    template <Plain T>
    void put(const T& value) {
        append(&value, sizeof value);
    }
    template <typename T>
    requires std::is_class_v<T>
    void put(const T& value) { const_cast<T&>(value).archive(*this); }
    void put(const std::string& text) {
        put(std::uint64_t{text.size()});
        append(text.data(), text.size());
    }
    void put(const std::vector<std::byte>& bytes) {
        put(std::uint64_t{bytes.size()});
        append(bytes.data(), bytes.size());
    }
    void put(const timespec& time) { (*this)(time.tv_sec, time.tv_nsec); }
    template <typename Clock, typename Duration>
    void put(const std::chrono::time_point<Clock, Duration>& time) {
        put(time.time_since_epoch().count());
    }
    template <typename T>
    void put(const std::vector<T>& values) {
        put(std::uint64_t{values.size()});
        for (const T& value : values) put(value);
    }
    template <typename T, std::size_t size>
    void put(const std::array<T, size>& values) {
        for (const T& value : values) put(value);
    }
    template <typename Key, typename T>
    void put(const std::map<Key, T>& values) {
        put(std::uint64_t{values.size()});
        for (const auto& [key, value] : values) (*this)(key, value);
    }
    template <typename A, typename B>
    void put(const std::pair<A, B>& values) {
        (*this)(values.first, values.second);
    }
    template <typename T>
    void put(const std::optional<T>& value) {
        put(value.has_value());
        if (value) put(*value);
    }
    template <typename T>
    void put(const std::shared_ptr<T>& value) {
        put(value != nullptr);
        if (value) put(*value);
    }

    std::vector<std::byte> bytes_;
};

class Reader {
  public:
    static constexpr bool is_reading = true;

    // The bytes are borrowed.
    explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

    template <typename... Values>
    void operator()(Values&... values) {
        (take(values), ...);
    }
    void require(bool holds, const char* otherwise) { cold::require(holds, otherwise); }
    bool at_end() const { return rest_.empty(); }

  private:
    void extract(void* to, std::size_t size) {
        require(size <= rest_.size(), "it ends too early");
        if (size != 0) std::memcpy(to, rest_.data(), size);
        rest_ = rest_.subspan(size);
    }
    // Each element takes a byte at least.
    std::size_t take_count() {
        std::uint64_t count = 0;
        take(count);
        require(count <= rest_.size(), "it has more elements than bytes");
        return count;
    }
    template <Plain T>
    void take(T& value) {
        if constexpr (std::is_same_v<T, bool>) {
            std::uint8_t byte = 0;
            extract(&byte, 1);
            require(byte <= 1, "it has something that is neither true nor false");
            value = byte == 1;
        } else {
            extract(&value, sizeof value);
        }
    }
    template <typename T>
    requires std::is_class_v<T>
    void take(T& value) { value.archive(*this); }
    void take(std::string& text) {
        text.resize(take_count());
        extract(text.data(), text.size());
    }
    void take(std::vector<std::byte>& bytes) {
        bytes.resize(take_count());
        extract(bytes.data(), bytes.size());
    }
    void take(timespec& time) { (*this)(time.tv_sec, time.tv_nsec); }
    template <typename Clock, typename Duration>
    void take(std::chrono::time_point<Clock, Duration>& time) {
        typename Duration::rep count{};
        take(count);
        time = std::chrono::time_point<Clock, Duration>(Duration(count));
    }
    template <typename T>
    void take(std::vector<T>& values) {
        values.clear();
        for (std::size_t count = take_count(); count > 0; --count) take(values.emplace_back());
    }
    template <typename T, std::size_t size>
    void take(std::array<T, size>& values) {
        for (T& value : values) take(value);
    }
    template <typename Key, typename T>
    void take(std::map<Key, T>& values) {
        values.clear();
        for (std::size_t count = take_count(); count > 0; --count) {
            std::pair<Key, T> entry;
            take(entry);
            require(values.insert(std::move(entry)).second, "it has something twice");
        }
    }
    template <typename A, typename B>
    void take(std::pair<A, B>& values) {
        (*this)(values.first, values.second);
    }
    template <typename T>
    void take(std::optional<T>& value) {
        bool there = false;
        take(there);
        if (there) take(value.emplace());
    }
    template <typename T>
    void take(std::shared_ptr<T>& value) {
        bool there = false;
        take(there);
        value = nullptr;
        if (!there) return;
        auto fresh = std::make_shared<std::remove_const_t<T>>();
        take(*fresh);
        value = std::move(fresh);
    }

    std::span<const std::byte> rest_;
};

}  // namespace tinykvm::cold
