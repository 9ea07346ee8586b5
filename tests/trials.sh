#!/usr/bin/env bash
# Trials of what soakd claims of itself, on the real program: a soak with a planted fault fails and names part and metric, the
# same soak without one passes; two runs of one build compare as the same, and a build that is a tenth slower as worse.
# Prints Markdown tables with counts. Each trial takes about half a minute, all of them half an hour; figures of time mean
# something only on a machine that does nothing else, so the load is shown too.
#
#   SOAKD_BIN       the program (target/release/soakd)
#   TRIALS          comparisons of each kind (20; 0 for none)
#   HEALTHY         soaks without a fault (5; 0 for none of the first part)
#   COMPARE_CYCLES  cycles of each run that is compared (30)
#   TRIALS_OUT      a file for a line about every trial
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

soakd=${SOAKD_BIN:-$PWD/target/release/soakd}
[ -x "$soakd" ] || { echo "tests/trials.sh: $soakd is missing; run: make trials" >&2; exit 1; }
trials=${TRIALS:-20}
healthy=${HEALTHY:-5}
compare_cycles=${COMPARE_CYCLES:-30}
out=${TRIALS_OUT:-/dev/stderr}
work=$(mktemp -d "${TMPDIR:-/tmp}/soakd-trials.XXXXXX")
trap 'rm -rf "$work"' EXIT
wrong=0

# Writes a configuration: name, cycles, and what follows.
configuration() {
    cat >"$work/$1.toml" <<TOML
[run]
name = "$1"
seed = 7
cycles = $2
state_dir = "$work/$1"
[workload.sync]
scale = "custom"
mode = "contended"
rows = 100
iterations = 1
databases = 4
contention = 1.0
offline = 0.0
[verify]
isolation = false
[log]
level = "error"
$3
TOML
}

# The last run of a state directory.
last() { basename "$(ls -td "$work/$1"/reports/*/ | head -n 1)"; }

# Runs a soak with what is planted, as a test bed needs it; the exit code is that of its verdict.
soak() {
    local name=$1 plants=(--plant base-latency=150ms --plant wal-pages=50) scale=$2 code=0
    shift 2
    while [ $# -gt 0 ]; do plants+=(--plant "$1"); shift; done
    "$soakd" run --plain -c "$work/$name.toml" --testing --time-scale "$scale" "${plants[@]}" \
        >"$work/$name.out" 2>"$work/$name.err" || code=$?
    return $code
}

note() { printf '%s\n' "$*" >>"$out"; }

# What failed or is inconclusive in the last run of a state directory: lines of criterion, metric and verdict.
judged() {
    awk -F '"' '$2 == "criterion" { criterion = $4 } $2 == "metric" { metric = $4 }
        $2 == "verdict" && criterion != "" {
            if ($4 != "" && $4 != "pass") print criterion " of " metric ": " $4
            criterion = metric = ""
        }' "$work/$1/reports/$(last "$1")/report.json"
}

load() { cut -d' ' -f1-3 /proc/loadavg; }

echo "soakd $("$soakd" --version | cut -d' ' -f2), $(date -u '+%Y-%m-%d %H:%M UTC'), $(nproc) cores, load $(load)"

# ---- faults that are planted, and none ------------------------------------------------------------------------------------
found=() passed=0
fault() {
    local plant=$1 criterion=$2 part=$3 code=0 said
    rm -rf "$work/faults"
    soak faults 2880 "$plant" || code=$?
    said=$(judged faults | tr '\n' ';')
    note "fault $plant: exit $code, load $(load): $said"
    if [ "$code" = 1 ] && grep -q "$criterion of [a-z0-9_]*\.$part: fail" <<<"${said//;/$'\n'}"; then
        found+=("| \`$plant\` | found | $said |")
    else
        found+=("| \`$plant\` | **MISSED** (exit $code) | $said |")
        wrong=1
    fi
}

if [ "$healthy" -gt 0 ]; then
    criteria=$'[criteria]\nmemory_slope = "1MiB"\ndescriptors_slope = 1.0\nwal_slope = "128KiB"\np99_drift = 0.05'
    configuration faults 64 "$criteria"
    fault leak-memory=131072 memory_slope target
    fault leak-descriptor=5 descriptors_slope target
    fault slow-later=10@420 p99_drift '\(sent\|received\)'
    fault keep-wal wal_slope target
    for trial in $(seq "$healthy"); do
        rm -rf "$work/faults"
        code=0
        soak faults 2880 || code=$?
        note "healthy $trial: exit $code, load $(load): $(judged faults | tr '\n' ';')"
        if [ "$code" = 0 ]; then passed=$((passed + 1)); fi
    done
    [ "$passed" = "$healthy" ] || wrong=1
    printf '\n| planted | result | what the report says |\n|---|---|---|\n'
    printf '%s\n' "${found[@]}"
    printf '| nothing | passed %s of %s times | |\n' "$passed" "$healthy"
    printf '\nEach: 64 cycles, 4 databases, `--time-scale 2880 --plant base-latency=150ms --plant wal-pages=50 --plant PLANT`.\n'
fi

# ---- builds that are compared ----------------------------------------------------------------------------------------------
# Says what the last run of a state directory is against another one.
compared() {
    local code=0
    "$soakd" compare --state-dir "$work/builds" "$1" "$2" >"$work/compared.txt" 2>&1 || code=$?
    echo "exit $code, $(head -n 1 "$work/compared.txt")"
}

if [ "$trials" -gt 0 ]; then
    configuration builds "$compare_cycles" ''
    same=0 worse=0 seconds=$SECONDS
    for trial in $(seq "$trials"); do
        # Each trial has a directory of its own, so that nothing is learnt from the trials before it.
        rm -rf "$work/builds"
        soak builds 1 version=one || true
        one=$(last builds)
        soak builds 1 version=one || true
        two=$(last builds)
        soak builds 1 version=two slow-down=10 || true
        three=$(last builds)
        again=$(compared "$one" "$two") slower=$(compared "$one" "$three")
        note "trial $trial: same build: $again | 10 % slower: $slower | load $(load)"
        case ${again,,} in "exit 0, same"*) same=$((same + 1)) ;; esac
        case ${slower,,} in "exit 1, worse"*) worse=$((worse + 1)) ;; esac
    done
    least=$((trials - trials / 20))
    printf '\n| compared | expected | result | at least |\n|---|---|---|---|\n'
    printf '| two runs of one build | same | %s of %s | %s |\n' "$same" "$trials" "$least"
    printf '| a build that is 10 %% slower | worse | %s of %s | %s |\n' "$worse" "$trials" "$least"
    printf '\nEach run: %s cycles, 4 databases, `--plant base-latency=150ms`, the slower build with `--plant slow-down=10`; %s s in all.\n' \
        "$compare_cycles" "$((SECONDS - seconds))"
    if [ "$same" -lt "$least" ] || [ "$worse" -lt "$least" ]; then wrong=1; fi
fi
echo
echo "Load at the end: $(load)"
exit $wrong
