# Debian's kernel and the modules both emulated machines need, fetched once into a cache. Sourced by amd and intel.
# shellcheck shell=bash

cache=${OTHER_KVM_CACHE:-/var/cache/tinykvm-tests}

# require_packages PACKAGE...: installs what is missing; one after the other, because two machines may start together.
require_packages() {
    local package missing=()
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -ne 0 ]; then
        apt-get update -qq >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null 9>&-
    fi
    exec 9>&-
}

# Leaves $cache/vmlinuz, $cache/modules/*.ko and $cache/modules/order (in which they can be loaded).
fetch_kernel() {
    [ -e "$cache/complete" ] && return
    local package unpacked release module file
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    if [ -e "$cache/complete" ]; then
        exec 9>&-
        return
    fi
    package=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
    unpacked=$(mktemp -d "$cache/unpack.XXXXXX")
    (cd "$unpacked" && apt-get download "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb .)
    cp "$unpacked"/boot/vmlinuz-* "$cache/vmlinuz"
    release=$(ls "$unpacked/lib/modules")
    depmod -b "$unpacked" "$release"
    rm -rf "$cache/modules"
    mkdir "$cache/modules"
    for module in virtio_pci 9pnet_virtio 9p overlay ccp kvm-amd kvm-intel; do
        modprobe -d "$unpacked" -S "$release" --show-depends "$module" | awk '/^insmod/ { print $2 }' |
            while read -r file; do
                [ -e "$cache/modules/$(basename "$file")" ] && continue
                cp "$file" "$cache/modules/"
                basename "$file" >>"$cache/modules/order"
            done
    done
    rm -rf "$unpacked"
    touch "$cache/complete"
    exec 9>&-
}

# pack_initramfs FOLDER FILE
pack_initramfs() {
    (cd "$1" && find . | cpio -o -H newc --quiet | gzip -1) >"$2"
}
