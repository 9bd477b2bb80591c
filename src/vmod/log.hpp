// Lines in Varnish's log, for the transaction they belong to.
//
// Thread safety: a Log is used where its transaction is; log_without_transaction() anywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/vmod/varnish.hpp"
#include "src/vms/pool.hpp"

namespace tinykvm::vmod {

class Log {
  public:
    explicit Log(VRT_CTX) : vsl_(ctx != nullptr ? ctx->vsl : nullptr) {}
    explicit Log(struct vsl_log* vsl) : vsl_(vsl) {}

    // Each line of the text is a record of its own, and prints whatever it quotes (printable()); long ones are cut by
    // Varnish (vsl_reclen).
    void error(std::string_view text) const { line(SLT_Error, text); }
    void line(enum VSL_tag_e tag, std::string_view text) const;

    // What came of a request: the program's own lines, then its failures, the last of them as `fatal` if
    // nothing else answered, with registers and backtrace after each.
    void outcome(std::string_view program, const host::Outcome& outcome, enum VSL_tag_e fatal) const;
    // The program's own lines.
    void lines(std::string_view program, const std::vector<std::string>& lines) const;
    void failure(std::string_view program, const host::Failure& failure, enum VSL_tag_e tag) const;

  private:
    struct vsl_log* vsl_;  // null outside of transactions
};

void log_without_transaction(const std::string& program, std::string_view text);

}  // namespace tinykvm::vmod
