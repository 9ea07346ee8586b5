#!/usr/bin/env bash
# Installs what the tests need where it is missing; may be run any number of times. What cannot be had is named, here and,
# with --remind, after the tests: those that need it fail or are skipped, and prove nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=.cache
missing=$cache/missing-for-tests
extension_script=tests/support/fetch-cloudsync.sh
cluster_conf=

cleanup() {
    if [ -n "$cluster_conf" ]; then rm -f "$cluster_conf"; fi
}
trap cleanup EXIT

lacks() {
    echo "$1" >>"$missing"
}

remind() {
    [ -s "$missing" ] || return 0
    {
        printf '\n*** NOT EVERYTHING CAN BE TESTED HERE. Missing, so that the tests that need it fail or are skipped:\n'
        sed 's/^/***   /' "$missing"
        printf '\n'
    } >&2
}

# Installs Debian packages; fails where that is not possible.
install() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    echo "tests/setup.sh: installing $*"
    if [ -z "${apt_updated:-}" ]; then
        apt-get update -qq </dev/null || return 1
        apt_updated=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$@" </dev/null
}

has_postgresql() {
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Debian's package makes and starts a cluster of its own; the tests make theirs, so it is told not to.
install_postgresql() {
    local dir=/etc/postgresql-common/createcluster.d failed=0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && mkdir -p "$dir"; then
        cluster_conf=$dir/zz-soakd-tests.conf
        echo 'create_main_cluster = false' >"$cluster_conf"
    fi
    install postgresql || failed=1
    cleanup
    cluster_conf=
    return "$failed"
}

if [ "${1:-}" = --remind ]; then
    remind
    exit 0
fi

mkdir -p "$cache"
: >"$missing"

if ! has_postgresql && ! install_postgresql; then
    lacks "PostgreSQL: the embedded target's PostgreSQL store (Debian: apt-get install postgresql, as root)"
fi

if ! command -v promtool >/dev/null && ! install prometheus; then
    lacks "promtool: the form of the metrics, and the alert rules (Debian: apt-get install prometheus, as root)"
fi

# Does nothing where the file is there already; else it needs npm.
fetch_extension() {
    bash "$extension_script" </dev/null && return
    if ! command -v npm >/dev/null; then
        install npm && bash "$extension_script" </dev/null
    else
        return 1
    fi
}

if [ -f "$extension_script" ] && ! fetch_extension; then
    if command -v npm >/dev/null; then
        lacks "the CloudSync extension: $extension_script could not fetch it, for the reason above"
    else
        lacks "the CloudSync extension: npm is needed to fetch it (Debian: apt-get install npm, as root)"
    fi
fi

remind
