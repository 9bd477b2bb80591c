// A value that copies share until one of them is changed: copying it copies a pointer.
//
// Thread safety: as of the value. Copies may be used by different threads at once.
#pragma once

#include <memory>

namespace tinykvm {

template <typename Value>
class CopyOnWrite {
  public:
    const Value& operator*() const {
        static const Value empty{};
        return value_ ? *value_ : empty;
    }
    const Value* operator->() const { return &**this; }

    // The value, to be changed: this copy's own.
    Value& change() {
        if (!value_) {
            value_ = std::make_shared<Value>();
        } else if (value_.use_count() > 1) {
            value_ = std::make_shared<Value>(*value_);
        }
        return *value_;
    }

    template <typename Archive>
    void archive(Archive& archive) {
        if constexpr (Archive::is_reading)
            archive(change());
        else
            archive(**this);
    }

  private:
    std::shared_ptr<Value> value_;  // null: Value()
};

}  // namespace tinykvm
