#!/usr/bin/env bash
# Measures the bank on PostgreSQL beside pgbench with as many clients and threads, the dashboard on and off, and memory over many operations. Everything runs on
# this machine; figures are compared within one run only. BENCH_OPERATIONS sets how many operations the memory is watched over
# (default 10000000, about ten minutes).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

soakd=$PWD/target/release/soakd
[ -x "$soakd" ] || { echo "tests/bench_direct.sh: $soakd is missing; run: make bench" >&2; exit 1; }
clients=${BENCH_CLIENTS:-4} seconds=${BENCH_SECONDS:-10} operations=${BENCH_OPERATIONS:-10000000}
work=$(mktemp -d "${TMPDIR:-/tmp}/soakd-bench-direct.XXXXXX")
chmod 755 "$work"
postgres= daemon=
cleanup() {
    if [ -n "$daemon" ]; then kill -9 "$daemon" 2>/dev/null || true; fi
    if [ -n "$postgres" ]; then as_postgres "$bin/pg_ctl" -D "$work/pg/data" -m immediate stop >/dev/null 2>&1 || true; fi
    rm -rf "$work"
}
trap cleanup EXIT

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}
median() { sort -g | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
# Operations per second of a lane in the newest report of a state directory.
rate() {
    python3 -c 'import glob,json,os,sys
report = json.load(open(max(glob.glob(sys.argv[1] + "/reports/*/report.json"), key=os.path.getmtime)))
lanes = report["lanes"].values() if sys.argv[2] == "all" else [report["lanes"][sys.argv[2]]]
print(sum(lane["acknowledged"] * 1000 / lane["ms"] for lane in lanes))' "$1" "$2"
}

# A configuration of transferrers alone: name, engine.
transfers() {
    cat >"$work/$1.toml" <<TOML
[run]
cycles = 1
seed = 7
state_dir = "$work/$1"
[workload.bank]
seconds = $seconds
inserters = 0
transferrers = $clients
readers = 0
checkers = 0
deleters = 0
pool = $clients
engine = "$2"
[target.postgres]
url = { env = "BENCH_URL" }
[log]
level = "error"
TOML
}

# Both sides meet a deadlock now and then; it must not cost one of them a second, which would be the whole difference.
bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
bin=${bin:-$(dirname "$(command -v pgbench)")}
mkdir "$work/pg" && chmod 777 "$work/pg"
as_postgres "$bin/initdb" -D "$work/pg/data" -U postgres -A trust -N --no-locale -E UTF8 >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
as_postgres "$bin/pg_ctl" -D "$work/pg/data" -w -l "$work/pg/log" \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c deadlock_timeout=10ms" start >/dev/null
postgres=yes
export BENCH_URL=postgres://postgres@127.0.0.1:$port/postgres
psql=("$bin/psql" -h 127.0.0.1 -p "$port" -U postgres -qAt)

# The same transaction as pgbench scripts: the page of 50, then one of 100 pairs of its accounts.
scripts() {
    rm -f "$work"/pair-*.sql
    "${psql[@]}" -c "SELECT id, name FROM accounts ORDER BY name LIMIT 50" | awk -F'|' -v dir="$work" '
        { id[NR] = $1; name[NR] = $2 }
        END {
            srand(7)
            for (n = 1; n <= 100; n++) {
                a = int(rand() * NR) + 1; b = int(rand() * NR) + 1; if (a == b) b = b % NR + 1
                file = dir "/pair-" n ".sql"
                print "SELECT id, name, balance, ref_id, interest_rate, risk_score, created_at FROM accounts ORDER BY name LIMIT 50 OFFSET 0;" > file
                print "BEGIN;" > file
                print "SELECT id, balance FROM accounts WHERE name = \x27" name[a] "\x27 FOR UPDATE;" > file
                print "SELECT id, balance FROM accounts WHERE name = \x27" name[b] "\x27 FOR UPDATE;" > file
                print "UPDATE accounts SET balance = balance - 1 WHERE id = " id[a] ";" > file
                print "UPDATE accounts SET balance = balance + 1 WHERE id = " id[b] ";" > file
                print "INSERT INTO transfers (from_account, to_account, amount, ref_id, created_at) VALUES (" id[a] ", " id[b] ", 1, \x27018ecfc2-b2b1-7cc3-a9f0-000000000001\x27, now());" > file
                print "SELECT balance FROM accounts WHERE id = " id[a] ";" > file
                print "SELECT balance FROM accounts WHERE id = " id[b] ";" > file
                print "COMMIT;" > file
                close(file)
            }
        }'
}
pgbench() {
    local files=()
    for file in "$work"/pair-*.sql; do files+=(-f "$file"); done
    # Two that meet in opposite order are a deadlock there as here, and are tried again.
    "$bin/pgbench" -h 127.0.0.1 -p "$port" -U postgres -n -M prepared -c "$clients" -j "$1" -T "$seconds" \
        --max-tries=100 "${files[@]}" postgres 2>/dev/null | awk '/^tps/ { print $3 }' | head -n 1
}

echo "soakd $("$soakd" --version | cut -d' ' -f2), $(date -u +%Y-%m-%d), $(nproc) cores, PostgreSQL $("${psql[@]}" -c 'SHOW server_version'), load before: $(cut -d' ' -f1 /proc/loadavg)"
echo "transfers a second with $clients clients, middle of three turns of $seconds s each:"
: >"$work/threads" >"$work/async" >"$work/pgbench-threads" >"$work/pgbench-async"
for _ in 1 2 3; do
    for engine in threads async; do
        transfers "$engine.run" "$engine"
        "$soakd" run --fresh --plain -c "$work/$engine.run.toml" >"$work/out" 2>&1 || { tail -n 60 "$work/out" >&2; exit 1; }
        rate "$work/$engine.run" transferrer >>"$work/$engine"
    done
    scripts
    pgbench "$clients" >>"$work/pgbench-threads"
    "${psql[@]}" -c "TRUNCATE transfers"
    pgbench 1 >>"$work/pgbench-async"
    "${psql[@]}" -c "TRUNCATE transfers"
done
for engine in threads async; do
    threads=$clients of=$(median <"$work/$engine") base=$(median <"$work/pgbench-$engine")
    if [ "$engine" = async ]; then threads=1; fi
    printf '  engine %-8s %8.0f   pgbench -M prepared -c %s -j %s %8.0f   ratio %s (goal 0.90)\n' \
        "$engine" "$of" "$clients" "$threads" "$base" "$(ratio "$of" "$base")"
done

echo "dashboard, operations a second of the bank on SQLite, five turns of $seconds s each:"
: >"$work/plain" >"$work/ui"
bank=(run bank --seconds "$seconds" --seed 7 --fresh)
for _ in 1 2 3 4 5; do
    "$soakd" "${bank[@]}" --plain --state-dir "$work/off" >/dev/null 2>&1
    rate "$work/off" all >>"$work/plain"
    TERM=xterm script -qec "stty rows 50 cols 160; $soakd ${bank[*]} --ui --state-dir $work/on" /dev/null >/dev/null 2>&1 </dev/null
    rate "$work/on" all >>"$work/ui"
done
printf '  off %10.0f (%s)\n  on  %10.0f (%s)   ratio %s\n' "$(median <"$work/plain")" "$(sort -g "$work/plain" | sed -n '1p;$p' | cut -d. -f1 | paste -sd-)" \
    "$(median <"$work/ui")" "$(sort -g "$work/ui" | sed -n '1p;$p' | cut -d. -f1 | paste -sd-)" "$(ratio "$(median <"$work/ui")" "$(median <"$work/plain")")"

# Memory over many operations: readers and checkers do most of them, writers keep the ledger busy.
cat >"$work/long.toml" <<TOML
[run]
cycles = 1
seed = 7
state_dir = "$work/long"
[workload.bank]
seconds = 86400
inserters = 1
transferrers = 2
readers = 1
checkers = 3
deleters = 1
[workload.bank.rate]
inserter = 5.0
[log]
level = "error"
TOML
"$soakd" run --plain -c "$work/long.toml" >/dev/null 2>"$work/long.err" &
daemon=$!
echo "memory of the worker over $operations operations of the bank on SQLite:"
first= last=
while kill -0 "$daemon" 2>/dev/null; do
    pid=$(for child in $(cat "/proc/$daemon/task/"*/children 2>/dev/null); do tr '\0' ' ' <"/proc/$child/cmdline" | grep -q ' worker ' && echo "$child"; done | head -n 1)
    count=$("$soakd" status --format json --state-dir "$work/long" 2>/dev/null | python3 -c 'import json,sys
try: print(sum(row["ops"] for row in json.load(sys.stdin)["board"]["workers"]))
except Exception: print(0)')
    rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null || echo 0)
    if [ "$count" -ge $((operations / 10)) ] && [ -z "$first" ]; then
        first=$rss
        printf '  after %12s operations %8.1f MiB\n' "$count" "$(awk -v k="$rss" 'BEGIN { print k / 1024 }')"
    fi
    if [ "$count" -ge "$operations" ]; then
        last=$rss
        printf '  after %12s operations %8.1f MiB   ratio %s\n' "$count" "$(awk -v k="$rss" 'BEGIN { print k / 1024 }')" "$(ratio "$last" "$first")"
        break
    fi
    sleep 2
done
[ -n "$last" ] || { echo "the run ended before: $(tail -n 3 "$work/long.err")" >&2; exit 1; }
