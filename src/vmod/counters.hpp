// The VSC counters, one set for all VCLs.
//
// Thread safety: add() from any thread at any time; nothing is counted while there is no reference.
#pragma once

#include "src/base/counter_sink.hpp"

namespace tinykvm::vmod {

class Counters final : public host::CounterSink {
  public:
    static Counters& get();

    // The counters exist from the first reference to the last. CLI thread.
    void acquire();
    void release();

    void add(host::Counter counter, std::uint64_t amount) noexcept override;
};

}  // namespace tinykvm::vmod
