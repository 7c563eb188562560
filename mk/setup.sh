#!/bin/bash
# Finds or installs what the build and the tests need, and writes build/toolchain.mk.
#
# Every make target that builds runs this first. When nothing is missing it looks at a few
# files and ends (some hundredths of a second). What is missing is installed by apt, after
# saying so; on a system without apt it prints exactly what is missing and ends with status 1.
#
# The rule for Rust (docs: mk/README.md): a rustup toolchain that has rust-src and a linker,
# else Debian's own packages. Nothing of rustup's is changed.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

MIN_MINOR=96                       # Rust 1.96: what the crates in Cargo.lock are tested with
RUST_PACKAGES=(rustc-web cargo-web rust-web-src rustfmt-web rust-web-clippy rust-web-llvm lld-22)
MAKEFILE=build/toolchain.mk

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

# --- Rust -------------------------------------------------------------------------------------

# The root of the toolchain whose programs are in $1, if every part that is needed is there.
sound() {
    local bin=$1 root minor tool
    for tool in rustc cargo rustdoc rustfmt cargo-fmt cargo-clippy clippy-driver; do
        [ -x "$bin/$tool" ] || return 1
    done
    root=$("$bin/rustc" --print sysroot 2>/dev/null) || return 1
    [ -f "$root/lib/rustlib/src/rust/library/Cargo.lock" ] || return 1
    minor=$("$bin/rustc" --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$MIN_MINOR" ] || return 1
    # rustc looks for rust-lld among its own tools first, then in PATH.
    local lld
    for lld in "$root"/lib/rustlib/*/bin/rust-lld "$bin/rust-lld"; do
        "$lld" -flavor gnu --version >/dev/null 2>&1 && return 0
    done
    return 1
}

# The directory of a sound toolchain's programs, on standard output.
find_rust() {
    local known bin
    # What was chosen before stays chosen while it is sound: changing compilers rebuilds everything.
    known=$(sed -n 's/^TOOLCHAIN_BIN := //p' "$MAKEFILE" 2>/dev/null)
    for bin in "$known" "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/{stable,1.,nightly}*/bin /usr/bin /usr/local/bin; do
        if [ -n "$bin" ] && sound "$bin"; then
            echo "$bin"
            return 0
        fi
    done
    return 1
}

# --- Tools ------------------------------------------------------------------------------------

# /usr/sbin holds mkfs.fat and sgdisk and is not in everyone's PATH.
export PATH="$PATH:/usr/sbin:/sbin"

links() { # can the C compiler link a program? (a bare gcc comes without libc's headers and start files)
    local dir
    dir=$(mktemp -d) || return 1
    echo 'int main(void){return 0;}' >"$dir/a.c"
    cc -o "$dir/a" "$dir/a.c" >/dev/null 2>&1
    local status=$?
    rm -rf "$dir"
    return $status
}

missing_tools() { # Debian package names of what is not there, one a line
    command -v qemu-system-x86_64 >/dev/null || echo qemu-system-x86
    ls /usr/share/OVMF/OVMF_CODE_4M.fd >/dev/null 2>&1 || echo ovmf
    command -v mcopy >/dev/null || echo mtools
    { command -v mkfs.fat && command -v fsck.fat; } >/dev/null || echo dosfstools
    command -v sgdisk >/dev/null || echo gdisk
    command -v setpriv >/dev/null || echo util-linux
    { [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/ssl/cert.pem ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ]; } || echo ca-certificates
    if ! command -v cc >/dev/null; then
        printf '%s\n' gcc libc6-dev
    elif [ ! -f "$MAKEFILE" ] && ! links; then
        echo libc6-dev
    fi
    # libFuzzer is C++: for `make fuzz` alone (mk/fuzz.sh says so).
    [ -z "${SETUP_FUZZ:-}" ] || command -v g++ >/dev/null || echo g++
    # A window needs QEMU's GTK part, which the lean emulator package leaves out.
    if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v apt-get >/dev/null \
        && ! ls /usr/lib/*/qemu/ui-gtk.so >/dev/null 2>&1; then
        echo qemu-system-gui
    fi
}

# --- apt --------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n true 2>/dev/null || say "sudo may ask for your password"
        sudo "$@"
    else
        die "must be root (or have sudo) to install: ${WANTED[*]}"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p' | grep -v '(none)'; }

# Rust as new as needed comes from Debian's security archive; a bare debootstrap does not list it.
security_archive() {
    local version codename
    version=$(candidate rustc-web)
    dpkg --compare-versions "${version:-0}" ge "1.$MIN_MINOR" && return 0
    codename=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}")
    [ -n "$codename" ] || return 1
    local list=/etc/apt/sources.list.d/limitlessos-security.list
    [ -e "$list" ] && return 1
    say "adding Debian's security archive to apt's sources ($list)"
    echo "deb http://deb.debian.org/debian-security $codename-security main" \
        | as_root tee "$list" >/dev/null || return 1
    apt update || return 1
    version=$(candidate rustc-web)
    dpkg --compare-versions "${version:-0}" ge "1.$MIN_MINOR"
}

install_packages() {
    say "installing with apt: $*"
    if ! apt install --no-install-recommends "$@"; then
        # A newer qemu-utils (from backports, say) refuses to stand beside the stable emulator.
        # Bring what is installed of QEMU to the emulator's own version and try again.
        local version pins=() package offered
        version=$(candidate qemu-system-x86)
        for package in $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 'qemu-*' 2>/dev/null | sed -n 's/^ii *//p'); do
            # The newest that is no newer than the emulator (not every package is rebuilt with it).
            while read -r offered; do
                if dpkg --compare-versions "$offered" le "${version:-0}"; then
                    pins+=("$package=$offered")
                    break
                fi
            done < <(apt-cache madison "$package" | awk '{ print $3 }' | sort -rV)
        done
        [ ${#pins[@]} -gt 0 ] || return 1
        say "that failed; trying again with QEMU's packages at one version: ${pins[*]}"
        apt install --no-install-recommends --allow-downgrades "$@" "${pins[@]}" || return 1
    fi
}

get_what_is_missing() {
    if ! command -v apt-get >/dev/null; then
        {
            echo "setup: this system has no apt; please install what is missing (Debian's package names):"
            printf 'setup:   %s\n' "${WANTED[@]}"
            [ "$NEED_RUST" = 1 ] && echo "setup: Rust may also come from rustup: rustup toolchain install stable --component rust-src,rustfmt,clippy"
        } >&2
        exit 1
    fi
    say "missing: ${WANTED[*]}"
    # The package lists may be absent or old: they are fetched once, when something is to be installed.
    apt update || say "apt-get update failed; trying with the lists that are there"
    if [ "$NEED_RUST" = 1 ] && ! security_archive; then
        die "apt offers no rustc-web 1.$MIN_MINOR or newer; install Rust by rustup instead: rustup toolchain install stable --component rust-src,rustfmt,clippy"
    fi
    if ! install_packages "${WANTED[@]}"; then
        # The lists may name files that have just been replaced.
        apt update && install_packages "${WANTED[@]}" || die "could not install: ${WANTED[*]}"
    fi
}

# --- The work ---------------------------------------------------------------------------------

mkdir -p build || exit 1
mapfile -t WANTED < <(missing_tools)
NEED_RUST=0
BIN=$(find_rust) || { NEED_RUST=1; WANTED+=("${RUST_PACKAGES[@]}"); }

if [ ${#WANTED[@]} -gt 0 ]; then
    get_what_is_missing
    mapfile -t STILL < <(missing_tools)
    [ ${#STILL[@]} -eq 0 ] || die "still missing after the installation: ${STILL[*]}"
    BIN=$(find_rust) || die "the Rust toolchain is still not complete after the installation"
fi

SYSROOT=$("$BIN/rustc" --print sysroot)
VERSION=$("$BIN/rustc" --version)

# Cargo needs the standard library's own dependencies at hand; fetched once for a toolchain.
FETCHED=build/.library-fetched
if [ "$(cat "$FETCHED" 2>/dev/null)" != "$SYSROOT $VERSION" ]; then
    say "using $VERSION in $BIN"
    if PATH="$BIN:$PATH" RUSTC_BOOTSTRAP=1 "$BIN/cargo" fetch -q --locked \
        --manifest-path "$SYSROOT/lib/rustlib/src/rust/library/Cargo.toml"; then
        echo "$SYSROOT $VERSION" >"$FETCHED"
    else
        say "could not fetch the library's dependencies now; the build will try again"
    fi
fi

# Written only when it changes: make starts again whenever this file is newer.
NEW=$(
    cat <<END
# Written by mk/setup.sh: the toolchain that was chosen. Delete this file to choose anew.
TOOLCHAIN_BIN := $BIN
TOOLCHAIN_VERSION := $VERSION
CARGO := $BIN/cargo
RUSTC := $BIN/rustc
RUSTDOC := $BIN/rustdoc
RUSTFMT := $BIN/rustfmt
CARGO_FMT := $BIN/cargo-fmt fmt
CARGO_CLIPPY := $BIN/cargo-clippy clippy
export PATH := $BIN:$(printf '%s' '$(PATH)'):/usr/sbin:/sbin
END
)
if [ "$(cat "$MAKEFILE" 2>/dev/null)" != "$NEW" ]; then
    printf '%s\n' "$NEW" >"$MAKEFILE"
fi
