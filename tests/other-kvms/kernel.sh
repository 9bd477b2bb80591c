# Debian's kernel and the modules both emulated machines need, fetched once into a cache. Sourced by amd and intel.
# shellcheck shell=bash

# shellcheck source-path=SCRIPTDIR source=../tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tools/common.sh"

cache=${OTHER_KVM_CACHE:-/var/cache/tinykvm-tests}
if [ -z "${OTHER_KVM_CACHE:-}" ] && [ "$(id -u)" -ne 0 ]; then cache=${XDG_CACHE_HOME:-$HOME/.cache}/tinykvm-tests; fi
modules=(virtio_pci virtio_net 9pnet_virtio 9p overlay ccp kvm-amd kvm-intel)

# locked COMMAND...: one after the other, because two machines may start together.
locked() {
    mkdir -p "$cache"
    (
        exec 9>"$cache/lock"
        flock 9
        "$@" 9>&-
    )
}

# require_packages PACKAGE...: installs what is missing, or says so and ends.
require_packages() { locked install_packages "$@" >&2 || exit 1; }

# Leaves $cache/vmlinuz, $cache/modules/*.ko and $cache/modules/order (in which they can be loaded).
fetch_kernel() {
    if ! locked fetch_kernel_once; then
        echo "Debian's kernel, which the emulated machine runs, is not to be had (apt-get update; apt-get download)" >&2
        exit 1
    fi
}

# fetch_modules FOLDER RELEASE INTO: the modules we load of the kernel unpacked in FOLDER, without compression.
fetch_modules() {
    local module file name
    depmod -b "$1" "$2"
    for module in "${modules[@]}"; do
        modprobe -d "$1" -S "$2" --show-depends "$module" | awk '/^insmod/ { print $2 }' |
            while read -r file; do
                name=$(basename "${file%.xz}")
                if [ -e "$3/$name" ]; then continue; fi
                case $file in *.xz) xz -dc "$file" >"$3/$name" ;; *) cp "$file" "$3/$name" ;; esac
                echo "$name" >>"$3/order"
            done
    done
}

# A cache with other modules than we load now is not ours.
fetch_kernel_once() {
    if [ "$(cat "$cache/complete" 2>/dev/null)" = "${modules[*]}" ]; then return; fi
    local package unpacked release
    if [ "$(id -u)" -eq 0 ] && [ -z "$(kernel_package)" ]; then apt-get -o DPkg::Lock::Timeout=300 update -qq >/dev/null; fi
    package=$(kernel_package)
    if [ -z "$package" ]; then return 1; fi
    unpacked=$(mktemp -d "$cache/unpack.XXXXXX")
    (cd "$unpacked" && apt-get download "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb .) || return 1
    # Since Debian 13 everything is below /usr.
    if [ ! -e "$unpacked/lib" ]; then ln -s usr/lib "$unpacked/lib"; fi
    release=$(ls "$unpacked/lib/modules")
    rm -rf "$cache/modules" "$cache/complete"
    mkdir "$cache/modules"
    fetch_modules "$unpacked" "$release" "$cache/modules" && cp "$unpacked"/boot/vmlinuz-* "$cache/vmlinuz" || return 1
    rm -rf "$unpacked"
    echo "${modules[*]}" >"$cache/complete"
}

kernel_package() { apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }'; }

# pack_initramfs FOLDER FILE
pack_initramfs() {
    (cd "$1" && find . | cpio -o -H newc --quiet | gzip -1) >"$2"
}
