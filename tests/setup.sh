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

# A mail server with TLS and logins; the tests run their own beside the system's. Postfix takes the place of another mail
# server, so that nothing is installed where one would have to go.
has_postfix() {
    [ -x /usr/sbin/postfix ] && [ -x /usr/sbin/saslpasswd2 ] && command -v openssl >/dev/null &&
        compgen -G '/usr/lib/*/sasl2/libplain.so*' >/dev/null
}

install_postfix() {
    command -v debconf-set-selections >/dev/null || return 1
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || return 1
    install --no-remove postfix sasl2-bin libsasl2-modules openssl
}

if ! has_postfix && ! install_postfix; then
    lacks "Postfix with SASL: delivery by mail (Debian: apt-get install postfix sasl2-bin libsasl2-modules openssl, as root)"
elif [ "$(id -u)" -ne 0 ]; then
    lacks "root, which Postfix needs: delivery by mail"
fi
if ! command -v python3 >/dev/null && ! install python3; then
    lacks "Python: it reads the mails that were delivered (Debian: apt-get install python3, as root)"
fi
if ! command -v systemd-analyze >/dev/null && ! install systemd; then
    lacks "systemd-analyze: the check of the units in make lint (Debian: apt-get install systemd, as root)"
fi
if ! command -v promtool >/dev/null && ! install prometheus; then
    lacks "promtool: the form of the metrics, and the alert rules (Debian: apt-get install prometheus, as root)"
fi

if ! command -v debootstrap >/dev/null && ! install debootstrap; then
    lacks "debootstrap: the test of the package (Debian: apt-get install debootstrap, as root)"
elif [ "$(id -u)" -ne 0 ]; then
    lacks "root, which a Debian root needs: the test of the package"
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
