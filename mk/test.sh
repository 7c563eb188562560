#!/bin/bash
# Runs the tests named by its arguments and ends with one line: "N passed, N failed".
#
#   mk/test.sh [host] [system|long] [FILTER…]
#
# The counts are what each runner printed; a runner that printed none, or that failed without
# a failing test (a crate that does not build, say), counts as one failure.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

passed=0 failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

# Adds one runner's counts; $1 its exit status, $2 passed, $3 failed.
add() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    if [ "$1" != 0 ] && [ "$3" = 0 ]; then
        failed=$((failed + 1))
    fi
}

# Runs cargo's tests with the arguments given, and adds their counts.
cargo_tests() {
    "${CARGO:-cargo}" test --no-fail-fast "$@" 2>&1 | tee "$out"
    local status=$?
    # shellcheck disable=SC2046
    add "$status" $(awk '/^test result: / { p += $4; f += $6 } END { print p + 0, f + 0 }' "$out")
}

host() {
    echo "== tests on the host"
    rm -rf build/pairs && mkdir -p build/pairs || exit 1
    LIMITLESS_PAIRS=$PWD/build/pairs cargo_tests
    pairs
}

# Every documented error of a call was provoked by some host test, and no other.
pairs() {
    echo "== errors of calls"
    "${CARGO:-cargo}" run -q -p ci --bin mk-pairs -- build/pairs 2>&1 | tee "$out"
    local status=$?
    local counts
    counts=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$out")
    [ -n "$counts" ] || { counts="0 0"; status=1; }
    # shellcheck disable=SC2086
    add "$status" $counts
}

# The loader against firmware, with a kernel of its own: needs what `make image` has built.
loader() {
    echo "== tests of the loader in the emulator"
    cargo_tests -p filesystem-image --test firmware -- --ignored
}

system() {
    echo "== tests in the emulator"
    build/target/debug/ci-tests "$@" 2>&1 | tee "$out"
    local status=$?
    local counts
    counts=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$out")
    # A run that ends without its counts has failed, whatever its status says.
    [ -n "$counts" ] || { counts="0 0"; status=1; }
    # shellcheck disable=SC2086
    add "$status" $counts
}

[ "${1:-}" = host ] && { shift; host; }
case "${1:-}" in
    # A filter is for the system's own tests.
    system) shift; [ $# -gt 0 ] || loader; system "$@" ;;
    long) shift; loader; system --long --mult "${MULT:-1}" "$@" ;;
esac

mkdir -p build
echo "$passed passed, $failed failed" | tee build/.counts
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
