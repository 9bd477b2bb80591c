// Takes the answer of an HTTP/1.1 server apart, as it comes in. Boost.Beast does the work (RFC 9112).
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tinykvm::host {

class ResponseParser {
  public:
    ResponseParser();  // there is no answer yet
    ~ResponseParser();
    ResponseParser(const ResponseParser&) = delete;
    ResponseParser& operator=(const ResponseParser&) = delete;

    // What the answer is to. That to a HEAD has no body. That to a request for another protocol may be a 101 (Switching
    // Protocols), whose body is everything that follows, as it comes.
    enum class To { head, upgrade, other };
    // Another answer is to come.
    void begin(To what);
    // There is none any more.
    void clear();
    // More of it. What follows its end is not looked at. Throws Failure (invalid_answer).
    void put(std::span<const std::byte> data);
    // The server sends no more. Throws Failure (invalid_answer) when the answer is not whole.
    void end();

    // Is the head of the answer there? That of an interim answer (1xx) is not.
    bool has_head() const { return has_head_; }
    bool is_done() const { return is_done_; }
    // Was it a 101? Then only the end of the connection is the end of it.
    bool is_upgraded() const { return is_upgraded_; }
    // Did anything come after it?
    bool has_rest() const { return has_rest_; }
    // Has anything of the answer come?
    bool has_begun() const { return has_begun_; }
    // May another request follow on the connection?
    bool keeps_connection() const { return keeps_connection_; }

    // --- The head
    int status() const { return status_; }
    const std::string& content_type() const { return content_type_; }
    // "Name: value", without the content type and without what describes the connection.
    std::vector<std::string> take_fields();
    // Bytes; nullopt when the head does not say.
    std::optional<std::uint64_t> body_size() const { return body_size_; }

    // What has come of the body and was not taken, without the framing of chunks. The caller takes it by clearing it.
    std::vector<std::byte>& body() { return body_; }
    const std::vector<std::byte>& body() const { return body_; }

  private:
    class Beast;

    void note_head();

    std::unique_ptr<Beast> beast_;  // null: no answer is to come
    std::vector<std::byte> body_;
    std::string pending_;  // of a line that has no end yet
    To what_ = To::other;
    bool has_begun_ = false, has_head_ = false, is_done_ = false, has_rest_ = false;
    bool keeps_connection_ = false, is_upgraded_ = false;
    int status_ = 0;
    std::string content_type_;
    std::vector<std::string> fields_;
    std::optional<std::uint64_t> body_size_;
};

}  // namespace tinykvm::host
