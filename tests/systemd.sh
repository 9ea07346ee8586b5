#!/usr/bin/env bash
# Holds the units against systemd's own checks, against a limit of exposure, and against each other. Says loudly what it could
# not look at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Highest exposure, in tenths, that `systemd-analyze security` may find.
exposure_max=15
units=(systemd/soakd.service systemd/soakd@.service)
failed=0

fail() {
    printf 'tests/systemd.sh: %s\n' "$1" >&2
    failed=1
}

# The template must say what the single unit says, with the instance's name in it.
in_step() {
    # Headers differ: they say what each of the two is for.
    diff --label "${units[0]}" --label "${units[1]} without %i" \
        <(sed -n '/^\[Unit\]$/,$p' "${units[0]}") \
        <(sed -n '/^\[Unit\]$/,$p' "${units[1]}" | sed 's#/etc/soakd/%i\.toml#/etc/soakd/soakd.toml#; s/[-@ ]%i//g')
}

if ! in_step; then
    fail "the two units are not in step; make the same change to both"
fi
if ! grep -q '%i' "${units[1]}"; then
    fail "${units[1]} does not use the instance's name"
fi

if ! command -v systemd-analyze >/dev/null; then
    printf '\n*** SKIPPED: %s\n\n' \
        "the check of the units with systemd-analyze: it is not installed (Debian: apt-get install systemd)" >&2
    exit "$failed"
fi

# systemd-analyze wants to see the program that a unit starts, and soakd may not be installed here: copies start another one.
copies=$(mktemp -d)
trap 'rm -rf "$copies"' EXIT
for unit in "${units[@]}"; do
    if ! grep -q '^ExecStart=/usr/bin/soakd run -c /etc/soakd/' "$unit"; then
        fail "$unit does not start /usr/bin/soakd with a configuration below /etc/soakd"
    fi
    sed 's#^ExecStart=/usr/bin/soakd#ExecStart=/bin/true#' "$unit" >"$copies/${unit#systemd/}"
done
# A template is checked through an instance of it.
cp "$copies/soakd@.service" "$copies/soakd@one.service"

# Checks one unit file, and shows what systemd says of it; it warns of much without an exit code.
verify() {
    local said
    if ! said=$(systemd-analyze verify --man=no "$1" 2>&1) || grep -q 'soakd' <<<"$said"; then
        printf '%s\n' "$said" >&2
        fail "systemd-analyze verify is not content with ${1##*/}"
    fi
}

# Prints the exposure of one unit, and fails when it is too high.
exposure() {
    local said score
    if ! said=$(systemd-analyze security --offline=true --threshold="$exposure_max" --no-pager "$1" 2>&1); then
        printf '%s\n' "$said" >&2
        fail "the exposure of ${1##*/} is above $((exposure_max / 10)).$((exposure_max % 10))"
    fi
    score=$(grep -o 'exposure level for .*: [0-9.]*' <<<"$said") || score="unknown: $said"
    printf '%s (limit %s.%s)\n' "$score" "$((exposure_max / 10))" "$((exposure_max % 10))"
}

for unit in soakd.service soakd@one.service; do
    verify "$copies/$unit"
    exposure "$copies/$unit"
done
exit "$failed"
