# What ./demo, ./check and tests/bench/run share: packages, building, asking for KVM. Sourced.
# shellcheck shell=bash

# shellcheck disable=SC2034 # demo, check and tests/bench/run read these
build_packages=(cmake g++ ninja-build pkg-config python3 python3-docutils lowdown libelf-dev libvarnishapi-dev varnish
    nlohmann-json3-dev libsimdjson-dev libcurl4-openssl-dev libssl-dev libarchive-dev libisal-dev liblzma-dev libzstd-dev
    libboost-dev libpcre2-dev libcli11-dev)
emulator_packages=(qemu-system-x86 busybox-static cpio kmod xz-utils)
bench_packages=("${build_packages[@]}" golang-go jq libbenchmark-dev libnginx-mod-http-echo
    linux-perf musl-tools nginx-light nodejs wrk)
# Python's own tests have the version of Debian's Python in their name.
python_tests=libpython3.11-testsuite
if [ "$(. /etc/os-release && echo "${VERSION_ID:-}")" = 13 ]; then python_tests=libpython3.13-testsuite; fi
# What the program for pictures is built with; the VMOD does not need it.
image_packages=(libavif-dev libgif-dev libjpeg-dev liblcms2-dev libpng-dev libwebp-dev)
# The same for those that speak and read.
speech_packages=(libespeak-ng-dev libopus-dev libopusenc-dev libtesseract-dev)
# The same for minify-web, js and lua.
text_packages=(duktape-dev golang-go golang-github-tdewolff-minify-dev liblua5.4-dev)
# And for those for documents.
document_packages=(libbrotli-dev libdeflate-dev libxml2-dev)
# What tests/bench/gallery compares with.
bench_gallery_packages=(curl espeak-ng fonts-dejavu-core imagemagick opus-tools tesseract-ocr tesseract-ocr-eng)
# What the page of ./demo shows.
demo_packages=("${build_packages[@]}" "${image_packages[@]}" "${speech_packages[@]}" "${text_packages[@]}" "${document_packages[@]}"
    curl iso-codes nodejs tesseract-ocr-eng)
# A browser that shows it to its test.
page_packages=(chromium chromium-driver python3-selenium)
# What everything is built with, and what vtc needs.
build_all_packages=("${demo_packages[@]}" "${bench_packages[@]}" build-essential clang gdb libclang-rt-dev
    libgtest-dev rustc)
# Programs that the gallery runs, or compares with.
gallery_packages=(adwaita-icon-theme brotli cargo chromium default-jdk-headless espeak-ng ffmpeg fonts-dejavu-core ghostscript gifsicle graphicsmagick graphviz imagemagick jq
    libavif-bin libimage-exiftool-perl libjs-bootstrap5 libjs-three librsvg2-bin librust-hyper-dev librust-sha2-dev librust-tiny-http-dev libvips-tools
    libxml2-utils node-typescript node-ws pandoc php-cgi pigz poppler-utils python3-html5lib python3-uvicorn python3-waitress python3-websockets shared-mime-info sox tesseract-ocr tesseract-ocr-deu tesseract-ocr-eng tzdata webp
    xsltproc zstd)
# shellcheck disable=SC2034
check_packages=("${build_all_packages[@]}" "${gallery_packages[@]}" "${bench_gallery_packages[@]}" "${page_packages[@]}" clang-format
    clang-tidy debhelper debootstrap libnss3 libsodium23
    lintian "$python_tests" shellcheck)

# A heading, bold on a terminal.
say() {
    if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi
}

# install_packages PACKAGE...: Debian packages that are missing, when we may; else says which and ends.
install_packages() {
    local package missing=()
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing; as root:"
        echo "    apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
    say "Installing ${missing[*]}"
    apt-get -o DPkg::Lock::Timeout=300 update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Node from elsewhere brings an npm of its own, beside which Debian's cannot be installed.
install_npm() { command -v npm >/dev/null || install_packages npm; }

# Options of CMake for every build; ./check makes warnings errors.
build_options=()

# configure PRESET: from nothing when that is not possible with what an earlier one left, as of another generator, or of a
# folder that was moved.
configure() {
    cmake --preset "$1" "${build_options[@]}" || cmake --fresh --preset "$1" "${build_options[@]}"
}

# build PRESET [TARGET...]: configures and builds these targets, or everything; quiet unless it fails.
build() {
    local preset=$1 folder log status=0 targets=()
    shift
    if [ $# -gt 0 ]; then targets=(--target "$@"); fi
    folder=build-$preset
    if [ "$preset" = release ]; then folder=build; fi
    mkdir -p "$folder"
    log=$folder/build.log
    say "Building ($preset) in $folder/"
    { configure "$preset" && cmake --build --preset "$preset" -j "$(nproc)" "${targets[@]}"; } >"$log" 2>&1 || status=$?
    if [ $status -ne 0 ]; then
        grep -E -A 12 'error: |Error [0-9]|^FAILED: |undefined reference|^CMake Error' "$log" | head -n 80 || tail -n 40 "$log"
        echo "The build failed; all of it is in $log"
    fi
    return $status
}

# kvm_usable BUILD_DIR: or says why not.
kvm_usable() {
    local report
    report=$("$1/bin/tinykvm" probe 2>&1) && return
    echo "$report"
    return 1
}

# kvm_trouble: why this user cannot open /dev/kvm, "missing" or "denied"; nothing when it opens. Needs nothing built.
kvm_trouble() {
    local error
    if [ ! -c /dev/kvm ]; then echo missing; return; fi
    if error=$(LC_ALL=C; { : <>/dev/kvm; } 2>&1); then return; fi
    case $error in
        *"No such device"*) echo missing ;;  # a node that no module answers
        *) echo denied ;;
    esac
}

# kvm_advice TROUBLE: what to do about it, in lines; `tinykvm probe` and the VMOD's log say the same.
kvm_advice() { sed -n "s/^KVM_ADVICE($1, \"\(.*\)\")\$/\1/p" tinykvm/kvm/advice.def; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
