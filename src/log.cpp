#include "src/log.hpp"

#include <algorithm>

#include "api/guest_text.hpp"

namespace tinykvm::vmod {

void Log::line(enum VSL_tag_e tag, std::string_view text) const {
    const int size = static_cast<int>(text.size());
    if (vsl_ != nullptr) {
        VSLb(vsl_, tag, "%.*s", size, text.data());
    } else {
        VSL(tag, NO_VXID, "%.*s", size, text.data());
    }
}

void Log::failure(std::string_view program, const api::Failure& failure, enum VSL_tag_e tag) const {
    std::string text = "tinykvm: ";
    text += program;
    text += ": ";
    text += api::to_string(failure.kind());
    text += ": ";
    text += failure.what();
    line(tag, text);
    const std::string_view report = failure.report();
    for (std::size_t begin = 0; begin < report.size();) {
        const std::size_t end = std::min(report.find('\n', begin), report.size());
        const std::string_view one = report.substr(begin, end - begin);
        if (begin != 0 || one != failure.what()) {  // said already
            line(SLT_Error, api::printable(one));
        }
        begin = end + 1;
    }
}

void Log::lines(std::string_view program, const std::vector<std::string>& lines) const {
    for (const std::string& one : lines) {
        std::string text(program);
        text += ": ";
        text += one;
        line(SLT_VCL_Log, text);
    }
}

void Log::outcome(std::string_view program, const api::Outcome& outcome, enum VSL_tag_e fatal) const {
    lines(program, outcome.log);
    for (std::size_t i = 0; i < outcome.failures.size(); i++) {
        const bool last = i + 1 == outcome.failures.size();
        failure(program, outcome.failures[i], last && !outcome.answered ? fatal : SLT_Error);
    }
}

void log_without_transaction(const std::string& program, std::string_view text) {
    VSL(SLT_VCL_Log, NO_VXID, "tinykvm: %s: %.*s", program.c_str(), static_cast<int>(text.size()), text.data());
}

}  // namespace tinykvm::vmod
