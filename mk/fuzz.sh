#!/bin/bash
# mk/fuzz.sh SECONDS SEED: what there is of fuzzing so far: every crate's property tests, in
# rounds of fresh seeds until the time is up. Prints rounds, seed and the bound they support.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
seconds=$1 seed=$2 cargo=${CARGO:-cargo}

mapfile -t crates < <(grep -l '^proptest' --include=Cargo.toml -r kernel schemes drivers init relibc-lite apps \
    | xargs -r sed -n 's/^name = "\(.*\)"/-p\1/p')
[ ${#crates[@]} -gt 0 ] || { echo "fuzz: no crate has property tests"; exit 1; }
echo "fuzz: the property tests of ${crates[*]#-p}, for $seconds s from seed $seed (no coverage-guided fuzzer yet)"
"$cargo" test -q "${crates[@]}" --no-run || exit 1

end=$((SECONDS + seconds)) rounds=0
while [ "$rounds" = 0 ] || [ $SECONDS -lt $end ]; do
    round_seed=$((seed + rounds))
    if ! PROPTEST_RNG_SEED=$round_seed PROPTEST_CASES=${CASES:-2000} "$cargo" test -q "${crates[@]}" prop >build/fuzz.log 2>&1; then
        cat build/fuzz.log
        echo "fuzz: failed in round $((rounds + 1)), seed $round_seed"
        exit 1
    fi
    rounds=$((rounds + 1))
done
echo "fuzz: $rounds rounds without a failure, seeds $seed to $((seed + rounds - 1)):" \
    "at 95 %, at most $(awk "BEGIN { printf \"%.2g\", 3 / $rounds }") failures a round"
