#include "src/calls/cgi_head.hpp"

#include <optional>
#include <string_view>

#include "src/base/failure.hpp"
#include "src/base/guest_text.hpp"
#include "src/base/http_field.hpp"

namespace tinykvm::host {

namespace {

[[noreturn]] void refuse(const std::string& why) {
    throw Failure(FailureKind::invalid_answer, "the header block of the program's output " + why);
}

// Takes the header block apart, line by line.
class CgiHead {
  public:
    explicit CgiHead(std::string_view output) : rest_(output), all_(output.size()) {}

    void read() {
        for (std::string_view line = next_line(); !line.empty(); line = next_line()) {
            take(line);
        }
        if (lines_ == 0) {
            refuse("is empty; it needs Content-Type, Location or Status, and an empty line after them");
        }
    }
    std::size_t size() const { return all_ - rest_.size(); }

    std::optional<std::string> status, location, content_type;
    std::vector<std::string> others;  // "Name: value"

  private:
    // Without its end. Empty: the block ends here.
    std::string_view next_line() {
        const std::size_t end = rest_.substr(0, max_field_bytes + 2).find('\n');
        if (end == std::string_view::npos) {
            refuse(rest_.size() > max_field_bytes + 1
                       ? "has a line of more than " + std::to_string(max_field_bytes) + " bytes"
                       : "has no end (an empty line)");
        }
        std::string_view line = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        return line;
    }

    void take(std::string_view line) {
        std::string why;
        const auto field = parse_field(line, why);
        if (!field) {
            refuse("is none of CGI: a line " + why);
        }
        bytes_ += line.size();
        if (++lines_ > max_fields || bytes_ > max_fields_bytes) {
            refuse("has more than " + std::to_string(max_fields) + " fields or " + std::to_string(max_fields_bytes) +
                   " bytes");
        }
        if (field->is("Status")) {
            take_once(status, *field);
        } else if (field->is("Location")) {
            take_once(location, *field);
        } else if (field->is("Content-Type")) {
            take_once(content_type, *field);
        } else if (!is_framing_field(field->name)) {  // the length of the body is what there is of it
            others.emplace_back(line);
        }
    }

    static void take_once(std::optional<std::string>& to, const HttpField& field) {
        if (to) {
            refuse("has two fields " + std::string(field.name));
        }
        if (field.value.empty()) {
            refuse("has an empty " + std::string(field.name));
        }
        to = field.value;
    }

    std::string_view rest_;
    std::size_t all_, lines_ = 0, bytes_ = 0;
};

// "404" or "404 Not Found".
int status_of(std::string_view text) {
    const std::string_view digits = text.substr(0, text.find(' '));
    if (digits.size() != 3 || digits.find_first_not_of("0123456789") != std::string_view::npos || digits[0] < '2' ||
        digits[0] > '5') {
        refuse("has a Status that is none from 200 to 599: " + printable(text, 80));
    }
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
}

}  // namespace

CgiAnswer read_cgi_answer(std::span<const std::byte> output, int status, const std::string& content_type) {
    CgiHead head({reinterpret_cast<const char*>(output.data()), output.size()});
    head.read();
    CgiAnswer answer;
    answer.head_size = head.size();
    Response& response = answer.response;
    response.status = head.status ? status_of(*head.status) : head.location ? 302 : status;
    response.headers = std::move(head.others);
    if (head.location) {
        response.headers.push_back("Location: " + *head.location);
    }
    response.body_size = output.size() - answer.head_size;
    response.content_type = head.content_type.value_or(response.body_size != 0 ? content_type : "");
    if (!head.content_type && !head.location && !head.status) {
        refuse("has none of Content-Type, Location and Status");
    }
    if (response.content_type.empty() && response.body_size != 0) {
        refuse("has no Content-Type, and there is a body (content_type would say what it is)");
    }
    return answer;
}

}  // namespace tinykvm::host
