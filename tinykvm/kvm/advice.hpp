// What to tell users whose /dev/kvm cannot be opened.
//
// Any thread; nothing here throws anything but std::bad_alloc.
#pragma once

#include <string>

namespace tinykvm::kvm {

// For the errno that opening /dev/kvm left: the reason, then a line for each thing to do about it. No line is longer
// than what Varnish keeps of one in its log (255 bytes, vsl_reclen) with the name of a program before it.
std::string describe_open_failure(int error);

}  // namespace tinykvm::kvm
