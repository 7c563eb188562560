#!/bin/bash
# Fuzzing: libFuzzer on the core's targets (kernel/fuzz), then the property tests of every crate.
#
#   mk/fuzz.sh SECONDS SEED          two thirds of the time for the targets, side by side, the rest for the property tests
#   mk/fuzz.sh replay TARGET INPUT   what an input does, operation by operation
#   mk/fuzz.sh fold                  the finds of earlier runs into the kept corpus, made as small as it can be
#
# Ends with a summary; its status is not 0 if anything was found. Everything about it: mk/README.md.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
cargo=${CARGO:-cargo}
TARGETS=(calls messages)
WORK=build/fuzz

say() { echo "fuzz: $*"; }
die() { echo "fuzz: $*" >&2; exit 1; }

# --- Building -----------------------------------------------------------------------------------

host=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')
BINARIES=build/target-fuzz/$host/release
PACKER=build/target/debug/fuzz-corpus

# What libFuzzer sees of a run: a counter for each edge, where each edge is, and what was compared with what.
# The stable compiler makes all of that; only its sanitizers need another one.
COVERAGE="-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table
    -C llvm-args=-sanitizer-coverage-trace-compares -C debug-assertions -C codegen-units=1 --cfg fuzzing"

build_packer() { "$cargo" build -q -p kernel-fuzz --features "${FEATURES:-}" --bin fuzz-corpus; }

# --target keeps the flags away from build scripts. FEATURES=planted: a core with a fault, to be found.
build_targets() {
    SETUP_FUZZ=1 mk/setup.sh || return 1
    RUSTFLAGS=$COVERAGE "$cargo" build -q --release -p kernel-fuzz --features "libfuzzer ${FEATURES:-}" \
        "${TARGETS[@]/#/--bin=fuzz-}" --target "$host" --target-dir build/target-fuzz
}

unpack() { # the kept corpus of a target, in files
    rm -rf "$WORK/$1/kept" && mkdir -p "$WORK/$1/found" || return 1
    "$PACKER" unpack "kernel/fuzz/corpus/$1.pack" "$WORK/$1/kept" >/dev/null
}

# --- The targets --------------------------------------------------------------------------------

# Ends at the first finding; what covers more than anything before goes to found/.
fuzz_target() { # target, seconds, seed
    local at=$WORK/$1
    "$BINARIES/fuzz-$1" -max_total_time="$2" -seed="$3" -max_len=600 -len_control=0 -timeout=30 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$at/finding-" "$at/found" "$at/kept" >"$at/log" 2>&1
}

number() { sed -n "$2" "$1" | tail -1; }

# One line of a target's run; status 1 if it found something.
summary() { # target, seed, status of the run
    local log=$WORK/$1/log runs edges all before finding
    runs=$(number "$log" 's/^stat::number_of_executed_units: *//p')
    edges=$(number "$log" 's/.* cov: \([0-9]*\) .*/\1/p')
    before=$(sed -n 's/.*INITED cov: \([0-9]*\) .*/\1/p' "$log" | head -1)
    all=$(sed -n 's/.*PC tables (\([0-9]*\) PCs).*/\1/p' "$log" | head -1)
    if [ "$3" != 0 ] || [ -z "$runs" ]; then
        grep -m1 -A4 'panicked at\|^==.*ERROR' "$log" || tail -20 "$log"
        finding=$(number "$log" 's/.*Test unit written to //p')
        say "$1: FAILED after ${runs:-0} runs, seed $2; the whole of it: $log"
        [ -z "$finding" ] || say "$1: to see what it does: mk/fuzz.sh replay $1 $finding"
        return 1
    fi
    say "$1: $runs runs without a failure, seed $2; $edges of $all edges, ${before:-0} of them by the corpus;" \
        "$(number "$log" 's/^stat::new_units_added: *//p') new inputs: at 95 %, at most" \
        "$(awk "BEGIN { printf \"%.2g\", 3 / ($runs > 0 ? $runs : 1) }") failures a run"
}

fuzz_all() { # seconds, seed
    local target pids=() failed=0 i=0
    say "${TARGETS[*]} for $1 s from seed $2"
    build_packer && build_targets || die "the targets can't be built"
    for target in "${TARGETS[@]}"; do
        unpack "$target" || die "the kept corpus of $target can't be read"
        fuzz_target "$target" "$1" "$2" &
        pids+=($!)
    done
    for target in "${TARGETS[@]}"; do
        wait "${pids[$i]}"
        summary "$target" "$2" $? || failed=1
        i=$((i + 1))
    done
    return $failed
}

# --- The property tests -------------------------------------------------------------------------

# In rounds of fresh seeds until the time is up.
properties() { # seconds, seed
    local crates end rounds=0 round_seed
    mapfile -t crates < <(grep -l '^proptest' --include=Cargo.toml -r kernel schemes drivers init relibc-lite apps \
        | xargs -r sed -n 's/^name = "\(.*\)"/-p\1/p' | sort -u)
    [ ${#crates[@]} -gt 0 ] || die "no crate has property tests"
    say "the property tests of ${crates[*]#-p} for $1 s from seed $2"
    "$cargo" test -q "${crates[@]}" --no-run || return 1
    end=$((SECONDS + $1))
    while [ "$rounds" = 0 ] || [ $SECONDS -lt $end ]; do
        round_seed=$(($2 + rounds))
        if ! PROPTEST_RNG_SEED=$round_seed PROPTEST_CASES=${CASES:-2000} "$cargo" test -q "${crates[@]}" prop \
            >$WORK/properties.log 2>&1; then
            cat $WORK/properties.log
            say "properties: FAILED in round $((rounds + 1)), seed $round_seed"
            return 1
        fi
        rounds=$((rounds + 1))
    done
    say "properties: $rounds rounds without a failure, seeds $2 to $(($2 + rounds - 1)):" \
        "at 95 %, at most $(awk "BEGIN { printf \"%.2g\", 3 / $rounds }") failures a round"
}

# --- What is asked ------------------------------------------------------------------------------

fold() {
    local target
    build_packer && build_targets || die "the targets can't be built"
    for target in "${TARGETS[@]}"; do
        unpack "$target" || die "the kept corpus of $target can't be read"
        rm -rf "$WORK/$target/small" && mkdir -p "$WORK/$target/small" || exit 1
        # As few inputs as reach every edge that all of them reach, however often.
        "$BINARIES/fuzz-$target" -set_cover_merge=1 -use_counters=0 "$WORK/$target/small" "$WORK/$target/kept" "$WORK/$target/found" \
            >"$WORK/$target/log" 2>&1 || { tail -5 "$WORK/$target/log"; die "$target could not be merged"; }
        say "$target: $("$PACKER" pack "$WORK/$target/small" "kernel/fuzz/corpus/$target.pack")"
        rm -rf "$WORK/$target/found"
    done
}

mkdir -p $WORK || exit 1
case "${1:-}" in
    fold) fold ;;
    replay)
        [ $# = 3 ] || die "replay TARGET INPUT"
        build_packer && FUZZ_TRACE=1 "$PACKER" run "$2" "$3"
        ;;
    *)
        [[ "${1:-}" =~ ^[0-9]+$ && "${2:-}" =~ ^[0-9]+$ ]] || die "SECONDS SEED, replay TARGET INPUT, or fold"
        status=0
        fuzz_all $((($1 * 2 + 2) / 3)) "$2" || status=1
        properties $(($1 / 3)) "$2" || status=1
        [ $status = 0 ] && say "nothing was found" || say "FAILED: see above"
        exit $status
        ;;
esac
