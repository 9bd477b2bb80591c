# Running Varnish with a VMOD that was built with sanitizers. Sourced by tests/vtc/run and tests/gallery/run.
# shellcheck shell=bash

# sanitizer_runtimes FILE: the runtime libraries a program or library was linked with, a line each; none without sanitizers.
sanitizer_runtimes() { ldd "$1" 2>/dev/null | sed -n 's/.*=> \(.*\/lib[a-z]*san\.so[.0-9]*\) .*/\1/p'; }

# varnishd_for BUILD_DIR FOLDER: when that build's VMOD has sanitizers, makes a varnishd in FOLDER, to be first in PATH, that
# has their runtimes from its start, and larger stacks for larger frames. varnishd alone: curl stands still with them.
# Varnish leaks on purpose. What sanitizers find ends the worker, which every suite notices.
varnishd_for() {
    local build=$1 folder=$2 varnishd runtimes
    runtimes=$(sanitizer_runtimes "$build/libvmod_tinykvm.so" | tr '\n' ' ')
    if [ -z "$runtimes" ]; then return; fi
    varnishd=$(command -v varnishd)
    cat >"$folder/varnishd" <<SCRIPT
#!/bin/bash
export LD_PRELOAD="$runtimes"
export ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_abort=0:use_sigaltstack=0:detect_stack_use_after_return=0:abort_on_error=1
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
exec $varnishd "\$@" -p thread_pool_stack=1m
SCRIPT
    chmod +x "$folder/varnishd"
    PATH=$folder:$PATH
}

# sanitizers_agree BUILD_DIR: the build has sanitizers when it was configured with them, and the varnishd that PATH leads to
# then starts with every runtime its VMOD needs. Without this a suite could run something else than it says.
sanitizers_agree() {
    local build=$1 wanted loaded runtime
    wanted=$(sed -n 's/^TINYKVM_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt" 2>/dev/null || true)
    if [ -z "$wanted" ]; then return; fi
    if [ -z "$(sanitizer_runtimes "$build/libvmod_tinykvm.so")" ]; then
        echo "$build was configured with TINYKVM_SANITIZE=$wanted, but its VMOD needs no runtime of a sanitizer"
        return 1
    fi
    loaded=$(LD_DEBUG=libs varnishd -V 2>&1)
    for runtime in $(sanitizer_runtimes "$build/libvmod_tinykvm.so"); do
        if ! grep -qF "calling init: $runtime" <<<"$loaded"; then
            echo "varnishd does not start with $runtime, which the VMOD in $build needs"
            return 1
        fi
    done
}
