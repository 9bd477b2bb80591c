# The Varnish of ./demo, which the tests of its page start, too: docs/examples/demo.vcl with the programs of a build. Sourced,
# after common.sh.
# shellcheck shell=bash

demo_source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
demo_pid=''

# what_is_missing BUILD_DIR: what the page has to do without on this machine, as JSON: a sentence for each card or control.
what_is_missing() {
    local build=$1 separator='{'
    because() {
        printf '%s\n  "%s": "%s"' "$separator" "$1" "$2"
        separator=,
    }
    # because_of_no FILE PACKAGE NAME
    because_of_no() { [ -e "$1" ] || because "$3" "This machine has no $1: apt install $2, and start the demo again."; }
    because_emulated() {
        local name
        for name; do because "$name" "Left out here, because in an emulated machine it takes too long."; done
    }
    if [ -n "${OTHER_KVM:-}" ]; then
        because_emulated avif node read answer
    else
        because_of_no /usr/bin/node nodejs node
        if [ ! -x /usr/bin/node ] || [ ! -e "$build/programs/answer/node_modules/.package-lock.json" ]; then
            because answer "Its neural network comes from npm: with node, npm and a network, cmake --build build --target guest_answer fetches it; then start the demo again."
        fi
    fi
    [ "$separator" = , ] || printf '{'
    printf '\n}\n'
}

# start_demo BUILD_DIR WORK_DIR PORT ADDRESS...: comes back when Varnish serves the page, or failed to, which it says.
start_demo() {
    local build=$1 work=$2 port=$3 i listen=() library
    shift 3
    for i; do listen+=(-a "$i:$port"); done
    cp -r "$demo_source/docs/examples/demo" "$work/page"
    what_is_missing "$build" >"$work/page/page/missing.json"
    for library in compression documents images minify ocr speech storage; do
        sed "s|/usr/lib/tinykvm/|$build/programs/|" "$demo_source/guest-api/programs/$library.json" >"$work/$library.json"
    done
    sed -e "s|/usr/lib/tinykvm/|$build/programs/|" -e "s|/etc/varnish/|$work/|" -e "s|/srv/demo|$work/page|g" \
        -e "s|/srv/answer|$build/programs/answer|g" "$demo_source/docs/examples/demo.vcl" >"$work/demo.vcl"
    varnishd -F -j none -n "$work/varnish" "${listen[@]}" -f "$work/demo.vcl" -s malloc,256m -p workspace_client=256k \
        -p "vmod_path=$build:$(pkg-config --variable=vmoddir varnishapi)" >"$work/varnishd.log" 2>&1 &
    demo_pid=$!
    for ((i = 0; i < 300; i++)); do
        if curl -s -f -o /dev/null "http://127.0.0.1:$port/missing.json"; then return; fi
        kill -0 "$demo_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "Varnish did not start:"
    cat "$work/varnishd.log"
    return 1
}

stop_demo() {
    if [ -n "$demo_pid" ]; then
        kill "$demo_pid" 2>/dev/null || true
        wait "$demo_pid" 2>/dev/null || true
        demo_pid=''
    fi
}
