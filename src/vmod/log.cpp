#include "src/vmod/log.hpp"

#include <algorithm>
#include <utility>

#include "tinykvm/printable.hpp"

namespace tinykvm::vmod {

namespace {

constexpr std::size_t most_bytes = 4096;  // the most that vsl_reclen can be

// Varnish's log is one of lines, each cut at vsl_reclen; without what does not print, whatever the text quotes.
template <typename Function>
void for_each_line(std::string_view text, Function function) {
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        function(printable(text.substr(begin, end - begin), most_bytes));
        begin = end + 1;
    }
}

}  // namespace

void Log::line(enum VSL_tag_e tag, std::string_view text) const {
    for_each_line(text, [&](const std::string& one) {
        if (vsl_ != nullptr) {
            VSLb(vsl_, tag, "%s", one.c_str());
        } else {
            VSL(tag, NO_VXID, "%s", one.c_str());
        }
    });
}

void Log::failure(std::string_view program, const host::Failure& failure, enum VSL_tag_e tag) const {
    std::string text = "tinykvm: ";
    text += program;
    text += ": ";
    text += host::to_string(failure.kind());
    text += ": ";
    text += failure.what();
    line(tag, text);
    bool first = true;
    for_each_line(failure.report(), [&](const std::string& one) {
        if (!std::exchange(first, false) || one != failure.what()) {  // said already
            line(SLT_Error, one);
        }
    });
}

void Log::lines(std::string_view program, const std::vector<std::string>& lines) const {
    for (const std::string& one : lines) {
        std::string text(program);
        text += ": ";
        text += one;
        line(SLT_VCL_Log, text);
    }
}

void Log::outcome(std::string_view program, const host::Outcome& outcome, enum VSL_tag_e fatal) const {
    lines(program, outcome.log);
    for (std::size_t i = 0; i < outcome.failures.size(); i++) {
        const bool last = i + 1 == outcome.failures.size();
        failure(program, outcome.failures[i], last && !outcome.answered ? fatal : SLT_Error);
    }
}

void log_without_transaction(const std::string& program, std::string_view text) {
    for_each_line(text, [&](const std::string& one) {
        VSL(SLT_VCL_Log, NO_VXID, "tinykvm: %s: %s", program.c_str(), one.c_str());
    });
}

}  // namespace tinykvm::vmod
