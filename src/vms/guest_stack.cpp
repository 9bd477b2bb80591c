#include "src/vms/guest_stack.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "tinykvm/errors.hpp"
#include "tinykvm/os/address_sanitizer.hpp"
#include "tinykvm/types.hpp"

extern "C" void tinykvm_call_on_stack(void (*function)(void*), void* argument, void* top);

namespace tinykvm::host {

namespace {

constexpr std::size_t stack_size = std::size_t{256} << 10;

}  // namespace

GuestStack::GuestStack()
    : stack_("cannot map a stack to run guests on", page_size + stack_size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK) {
    // What is below stays inaccessible: an overflow ends there.
    if (::mprotect(stack_.data() + page_size, stack_size, PROT_READ | PROT_WRITE) != 0) {
        throw MachineError::from_errno("cannot map a stack to run guests on", errno);
    }
}

void GuestStack::call(void (*function)(void*), void* argument) {
#ifdef TINYKVM_ADDRESS_SANITIZER
    function(argument);  // AddressSanitizer wants to know about stacks; the threads of its tests have large ones
#else
    tinykvm_call_on_stack(function, argument, stack_.data() + page_size + stack_size);
#endif
}

}  // namespace tinykvm::host
