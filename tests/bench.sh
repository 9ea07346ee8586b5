#!/usr/bin/env bash
# Measures soakd against its limits and prints a table: figure, limit, share of the limit. Takes about ten minutes;
# BENCH_QUICK=1 takes 4 of the 50 iterations of the large scale, and says so. Figures of time mean something only on a
# machine that does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

soakd=$PWD/target/release/soakd
[ -x "$soakd" ] || { echo "tests/bench.sh: $soakd is missing; run: make bench" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/soakd-bench.XXXXXX")
daemon=
cleanup() {
    if [ -n "$daemon" ]; then kill -9 "$daemon" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT

ticks=$(getconf CLK_TCK)
iterations=50
if [ -n "${BENCH_QUICK:-}" ]; then iterations=4; fi

# Writes a configuration: name, rows, iterations, databases.
configuration() {
    cat >"$work/$1.toml" <<TOML
[run]
name = "$1"
seed = 7
cycles = 1
state_dir = "$work/$1"
[workload.sync]
scale = "custom"
rows = $2
iterations = $3
databases = $4
[log]
level = "error"
TOML
}

# Starts a run in the background, its output in a file.
start() {
    : >"$work/$1.err"
    "$soakd" run --plain -c "$work/$1.toml" >"$work/$1.out" 2>"$work/$1.err" &
    daemon=$!
}

# Waits until the run has said something; fails when it ended before.
await() {
    until grep -q -- "$2" "$work/$1.err"; do
        kill -0 "$daemon" 2>/dev/null || { cat "$work/$1.err" >&2; echo "the run ended before: $2" >&2; exit 1; }
        sleep 0.02
    done
}

# One figure of a process in kB; nothing if it is gone.
memory() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status" 2>/dev/null || true; }
cpu() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
workers() {
    local pid
    for pid in $(cat "/proc/$daemon/task/"*/children 2>/dev/null); do
        if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ' worker '; then echo "$pid"; fi
    done
}
# The first number behind a key of the JSON report.
number() { grep -o "\"$2\": *[0-9]*" "$(ls -d "$work/$1"/reports/*/report.json)" | head -n 1 | grep -o '[0-9]*$'; }

over=0
row() {
    if [ -z "$2" ]; then
        echo "$1: NOT MEASURED"
        over=1
        return
    fi
    if awk -v figure="$2" -v limit="$4" 'BEGIN { exit figure <= limit }'; then over=1; fi
    awk -v what="$1" -v figure="$2" -v unit="$3" -v limit="$4" \
        'BEGIN { printf "%-58s %10.2f %-4s %10.2f %6.1f %%  %s\n", what, figure, unit, limit, figure / limit * 100,
                 figure <= limit ? "ok" : "OVER" }'
}

echo "soakd $("$soakd" --version | cut -d' ' -f2), $(date -u +%Y-%m-%d), $(nproc) cores," \
    "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)," \
    "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), load before: $(cut -d' ' -f1 /proc/loadavg)"

configuration large 100000 "$iterations" 4
start large
await large 'cycle 1: load'
load_from=$(date +%s.%N) cpu_from=$(cpu "$daemon")
daemon_max=0 worker_max=0 daemon_early=0 load_until= cpu_until=
while kill -0 "$daemon" 2>/dev/null; do
    now=$(memory "$daemon" VmRSS)
    high=$(memory "$daemon" VmHWM)
    if [ -n "$high" ] && [ "$high" -gt "$daemon_max" ]; then daemon_max=$high; fi
    for pid in $(workers); do
        # VmHWM is the highest that the process ever was.
        high=$(memory "$pid" VmHWM)
        if [ -n "$high" ] && [ "$high" -gt "$worker_max" ]; then worker_max=$high; fi
    done
    if [ "$daemon_early" = 0 ]; then daemon_early=${now:-0}; fi
    if [ -z "$load_until" ] && grep -q 'cycle 1: settle' "$work/large.err"; then
        load_until=$(date +%s.%N) cpu_until=$(cpu "$daemon") daemon_late=$now
    fi
    sleep 0.5
done
wait "$daemon" || { tail -n 40 "$work/large.out" "$work/large.err" >&2; echo "the large run did not pass" >&2; exit 1; }
daemon=
cycle_ms=$(( $(number large load_ms) + $(number large settle_ms) + $(number large verify_ms) ))
busy=$(awk -v a="$cpu_from" -v b="$cpu_until" -v t="$ticks" -v x="$load_from" -v y="$load_until" \
    'BEGIN { print (b - a) / t / (y - x) * 100 }')

# Restarts: killed in the middle of a load, five times.
configuration medium 10000 30 4
restarts=$(
    for _ in 1 2 3 4 5; do
        start medium
        await medium ': load'
        sleep 2
        kill -9 "$daemon"
        wait "$daemon" 2>/dev/null || true
        from=$(date +%s%N)
        start medium
        await medium ': load'
        echo $(( ($(date +%s%N) - from) / 1000000 ))
        kill -9 "$daemon"
        wait "$daemon" 2>/dev/null || true
    done
)
daemon=
slowest=$(sort -n <<<"$restarts" | tail -n 1)
median=$(sort -n <<<"$restarts" | sed -n 3p)

days=$(cargo test --locked --quiet --lib -- --nocapture forty_eight_days 2>/dev/null |
    grep -o '[0-9.]* MiB' | head -n 1 | cut -d' ' -f1)

echo
printf '%-58s %10s %-4s %10s %8s\n' "what" "figure" "" "limit" "of it"
row "large scale, 100,000 x $iterations x 4, RLS on, verified" "$(awk -v ms="$cycle_ms" 'BEGIN { print ms / 60000 }')" min 10
row "  of it load" "$(awk -v ms="$(number large load_ms)" 'BEGIN { print ms / 60000 }')" min 10
row "daemon memory, highest" "$(awk -v kb="$daemon_max" 'BEGIN { print kb / 1024 }')" MiB 64
row "daemon memory, growth from start to end of the load" "$(awk -v a="$daemon_early" -v b="${daemon_late:-0}" 'BEGIN { print (b > a ? (b - a) / 1024 : 0) }')" MiB 64
row "worker memory, highest (2 x 2 MiB of SQLite cache in it)" "$(awk -v kb="$worker_max" 'BEGIN { print kb / 1024 }')" MiB 64
row "daemon CPU during the load, of one core" "$busy" % 2
row "checkpoint cost, of the cycle" "$(awk -v us="$(number large checkpoint_us)" -v ms="$cycle_ms" 'BEGIN { print us / 10 / ms }')" % 1
row "restart after kill -9 until it loads again, median of 5" "$median" ms 2000
row "restart after kill -9 until it loads again, slowest of 5" "$slowest" ms 2000
if [ -n "$days" ]; then
    row "state file after 48 days at one cycle a minute (simulated)" "$days" MiB 256
else
    echo "state file after 48 days: NOT MEASURED (the simulation printed no figure)"
    over=1
fi
if [ -n "${BENCH_QUICK:-}" ]; then echo "QUICK: 4 of the 50 iterations of the large scale; the first figures prove nothing about all 50."; fi
exit "$over"
