// Notices that a client has left while its request runs on the thread that serves it, which then cannot look itself.
//
// One thread of this process asks for all requests, now and then; it sleeps while there are none.
#pragma once

#include <functional>

namespace tinykvm::host {

// Asked now and then while a request waits or runs: has its client gone? Null: no client can go.
using IsClientGone = std::function<bool()>;

// While it lives, `on_gone` is called, again and again, once `gone` has said yes. Both are borrowed and called on a
// thread of their own, never after the destructor has returned. A null `gone` costs nothing.
class ClientWatch {
  public:
    // Does nothing when no thread can be started.
    ClientWatch(const IsClientGone& gone, const std::function<void()>& on_gone) noexcept;
    ClientWatch(const IsClientGone&&, const std::function<void()>&) = delete;  // temporary ones would be gone at once
    ClientWatch(const IsClientGone&, const std::function<void()>&&) = delete;
    ~ClientWatch();
    ClientWatch(const ClientWatch&) = delete;
    ClientWatch& operator=(const ClientWatch&) = delete;

  private:
    friend class ClientWatcher;
    const IsClientGone& gone_;
    const std::function<void()>& on_gone_;
    bool is_watched_ = false;
    ClientWatch* next_ = nullptr;
    ClientWatch* previous_ = nullptr;
    bool is_new_ = true;
};

}  // namespace tinykvm::host
