# Clean Debian systems in folders, for tests that need one: a minimal system is made once with debootstrap and kept, what is
# done in a system goes into a layer of its own above it. Sourced; all of it needs root.
# shellcheck shell=bash

debian_cache=${DEBIAN_CACHE:-/var/cache/tinykvm-tests}/debian

# debian_suite NUMBER: the name Debian's archive has for that release.
debian_suite() {
    case $1 in
        12) echo bookworm ;;
        13) echo trixie ;;
        *) echo "tests/tools/debian.sh does not know Debian $1" >&2; return 1 ;;
    esac
}

# The number of this machine's own release.
debian_here() { (. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_ID"); }

# debian_lacks: prints what this machine lacks for such systems, if anything.
debian_lacks() {
    if [ "$(id -u)" -ne 0 ]; then echo "needs root"; return; fi
    local probe reason=''
    mkdir -p "$debian_cache"
    probe=$(mktemp -d "$debian_cache/probe.XXXXXX")
    mkdir "$probe/lower" "$probe/upper" "$probe/work" "$probe/root"
    unshare --mount --pid --fork --propagation private mount -t overlay overlay \
        -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/root" 2>/dev/null ||
        reason="no namespaces, or no overlay file system above $debian_cache"
    rm -rf "$probe"
    if [ -n "$reason" ]; then echo "$reason"; fi
}

# debian_base NUMBER: makes $debian_cache/NUMBER when it is not there. Others that do so at the same time are waited for.
debian_base() {
    local base=$debian_cache/$1
    mkdir -p "$debian_cache/archives"
    exec 9>"$debian_cache/lock"
    flock 9
    if [ ! -e "$base/complete" ]; then
        if ! command -v debootstrap >/dev/null; then
            apt-get update -qq >/dev/null
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
        fi
        echo "Fetching a minimal Debian $1 into $base"
        rm -rf "${base:?}"
        debootstrap --variant=minbase --include=ca-certificates "$(debian_suite "$1")" "$base" >"$base.log" 2>&1 ||
            { tail -n 20 "$base.log"; exec 9>&-; return 1; }
        # Nothing that is installed starts a daemon, and nothing need survive a loss of power.
        printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d"
        chmod +x "$base/usr/sbin/policy-rc.d"
        echo force-unsafe-io >"$base/etc/dpkg/dpkg.cfg.d/unsafe-io"
        touch "$base/complete"
    fi
    exec 9>&-
}

# debian_system FOLDER LAYER...: makes FOLDER a system above these folders, the lowest last. What is done in it goes to
# FOLDER/changes, where files for it can be put while nothing runs in it. Below $debian_cache it is where debian_lacks tried.
debian_system() {
    local folder=$1
    shift
    mkdir -p "$folder/root" "$folder/changes" "$folder/overlay"
    (IFS=: && echo "$*") >"$folder/layers"
}

# Mounts the system in $1 and gives it what the kernel and a boot would. In namespaces of its own.
debian_prepare() {
    local root=$1/root device group
    mount -t overlay overlay -o "lowerdir=$(cat "$1/layers"),upperdir=$1/changes,workdir=$1/overlay" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/run/lock" "$root/dev/shm" "$root/dev/pts"
    chmod 1777 "$root/run/lock"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
    for device in null zero full random urandom tty kvm; do
        [ -e "/dev/$device" ] || continue
        # shellcheck disable=SC2046 # major and minor number
        mknod -m 666 "$root/dev/$device" c $(stat -c '0x%t 0x%T' "/dev/$device")
    done
    # As udev does it.
    group=$(sed -n 's/^kvm:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")
    if [ -n "$group" ] && [ -e "$root/dev/kvm" ]; then
        chmod 660 "$root/dev/kvm"
        chown "0:$group" "$root/dev/kvm"
    fi
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for device in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${device#*:}" "$root/dev/${device%:*}"; done
    mount --bind "$1/archives" "$root/var/cache/apt/archives"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

# debian_share_archives FROM TO: packages that one system fetched are there for the next. Each has a folder of its own with the
# same files in it: apt does not wait for one that another apt uses.
debian_share_archives() {
    mkdir -p "$2/partial"
    find "$1" -maxdepth 1 -name '*.deb' -exec cp -ln -t "$2" {} + 2>/dev/null || true
}

# debian_inside FOLDER COMMAND [ARGUMENT...]: runs it in that system as root, and ends what it leaves behind: processes,
# mounts. With DEBIAN_NETWORK=none there is but a loopback device, on which all ports are free.
debian_inside() {
    local network=() status=0
    if [ "${DEBIAN_NETWORK:-}" = none ]; then network=(--net); fi
    debian_share_archives "$debian_cache/archives" "$1/archives"
    export -f debian_prepare
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --pid --ipc --fork --kill-child "${network[@]}" --propagation private \
        bash -euo pipefail -c '
            debian_prepare "$1"
            if [ "${DEBIAN_NETWORK:-}" = none ]; then
                python3 -c "import fcntl, socket, struct  # SIOCSIFFLAGS with IFF_UP
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sh14x\", b\"lo\", 1))"
            fi
            exec chroot "$1/root" env -i HOME=/root TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
                PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"' bash "$@" || status=$?
    debian_share_archives "$1/archives" "$debian_cache/archives"
    return $status
}

# debian_layer NUMBER PACKAGE...: prints a folder that is the layer of these packages above the minimal system, made once.
debian_layer() {
    local number=$1 layer folder
    shift
    layer=$debian_cache/$number-with-$(echo "$*" | cksum | cut -d " " -f 1)
    exec 8>"$layer.lock"
    flock 8
    if [ ! -e "$layer/complete" ]; then
        folder=$(mktemp -d "$debian_cache/making.XXXXXX")
        debian_system "$folder" "$debian_cache/$number"
        # shellcheck disable=SC2016 # the shell of that system expands it
        debian_inside "$folder" sh -c 'apt-get -qq update && apt-get -y -qq upgrade &&
            apt-get -y -qq install --no-install-recommends "$@"' sh "$@" >"$layer.log" 2>&1 8>&- ||
            { tail -n 20 "$layer.log" >&2; rm -rf "$folder"; exec 8>&-; return 1; }
        touch "$folder/changes/complete"
        rm -rf "$layer"
        mv "$folder/changes" "$layer"
        rm -rf "$folder"
    fi
    exec 8>&-
    echo "$layer"
}
