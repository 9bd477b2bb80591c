// A filter of system calls for the rest of this process (seccomp(2)), which a test gives to a child of its own.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <vector>

namespace tinykvm::test {

// What `program` does not decide is allowed. Ends the process when the kernel refuses the filter.
inline void install_filter(std::vector<sock_filter> program) {
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        ::_exit(100);
}

}  // namespace tinykvm::test
