#!/usr/bin/env bash
# Installs, upgrades, removes and purges the package in a Debian root of its own, made by debootstrap and entered by chroot,
# with a run in progress. There is no systemd as process 1 in a chroot: the script starts the daemon as the unit does, restarts
# it where the package asks systemd to, and looks at what the package asks for. Needs root; says SKIPPED loudly where it
# cannot run. PACKAGE is a package that was built before; without it one is built of the development profile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skip() {
    printf '\n*** SKIPPED: %s\n\n' "the test of the package: $1" >&2
    exit 0
}
fail() {
    echo "tests/package.sh: $1" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || skip "it needs root, for chroot"
command -v debootstrap >/dev/null || skip "debootstrap is missing (Debian: apt-get install debootstrap)"

work=$(mktemp -d "${TMPDIR:-/tmp}/soakd-package.XXXXXX")
root="$work/root"
log="$work/daemon.log"
daemon=
clean_up() {
    if [ -n "$daemon" ]; then
        kill -KILL "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    if mountpoint -q "$root/proc" && ! umount "$root/proc" && ! umount --lazy "$root/proc"; then
        echo "tests/package.sh: $root/proc is still mounted; unmount it and remove $work" >&2
        return
    fi
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

base=.cache/debian-root.tar
if [ ! -f "$base" ]; then
    echo "package: making a Debian root" >&2
    debootstrap --variant=minbase --include=adduser,ca-certificates,systemd bookworm "$work/base" >"$work/debootstrap.log" 2>&1 ||
        { tail -5 "$work/debootstrap.log" >&2; skip "debootstrap failed, most likely because no Debian mirror can be reached"; }
    mkdir -p .cache
    tar -C "$work/base" -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf --one-file-system "$work/base"
fi
mkdir "$root"
tar -C "$root" -xf "$base"
mount -t proc proc "$root/proc" 2>/dev/null || skip "a proc file system cannot be mounted here"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
# Runs a program as somebody.
as() { chroot --userspec="$1" "$root" /usr/bin/env -i -C /tmp PATH=/usr/bin:/bin HOME=/nonexistent "${@:2}"; }
quietly() { "$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "this failed: $*"; }; }
files() { (cd "$root" && find . -xdev ! -path "./proc/*" ! -path "./run/*" ! -path './tmp/*.deb' | sort); }

# The second version has another configuration, too: only then does dpkg have to choose.
build() {
    PROFILE=dev VERSION=0.1.0~test1 OUTPUT="$work/one.deb" deploy/deb/build.sh
}
if [ -n "${PACKAGE:-}" ]; then cp "$PACKAGE" "$work/one.deb"; else quietly build; fi
dpkg-deb -R "$work/one.deb" "$work/two"
sed -i 's/^Version: .*/&+test2/' "$work/two/DEBIAN/control"
echo "# A line that the new version brings." >>"$work/two/etc/soakd/soakd.toml"
dpkg-deb -Znone -b "$work/two" "$work/two.deb" >/dev/null
rm -rf "$work/two"
cp "$work/one.deb" "$work/two.deb" "$root/tmp/"
files >"$work/before"

echo "package: install" >&2
quietly inside dpkg -i /tmp/one.deb
quietly inside getent passwd soakd
for path in usr/bin/soakd etc/soakd/soakd.toml usr/lib/systemd/system/soakd.service usr/lib/systemd/system/soakd@.service \
    usr/share/man/man1/soakd.1.gz usr/share/man/man1/soakd-run.1.gz usr/share/bash-completion/completions/soakd \
    usr/share/zsh/vendor-completions/_soakd usr/share/fish/vendor_completions.d/soakd.fish usr/share/soakd/alerts.yml \
    usr/share/soakd/grafana-dashboard.json usr/share/soakd/openapi.json usr/share/soakd/webhook.schema.json \
    usr/share/doc/soakd/changelog.Debian.gz usr/share/doc/soakd/config.example.toml; do
    [ -e "$root/$path" ] || fail "$path is not installed"
done
grep -q 'License: Bitstream-Vera' "$root/usr/share/doc/soakd/copyright" || fail "the licence of the font is missing"
[ ! -e "$root/usr/share/man/man1/soakd-worker.1.gz" ] || fail "a hidden command has a man page"
access() { inside stat -c '%U:%G %a' "$1"; }
for dir in /var/lib/soakd /var/log/soakd; do
    [ "$(access $dir)" = "soakd:soakd 750" ] || fail "$dir has other rights: $(access $dir)"
done
[ "$(access /etc/credstore)" = "root:root 700" ] || fail "others can look into /etc/credstore"
[ "$(inside dpkg-query --show --showformat='${Conffiles}' soakd | awk 'NF { print $1 }')" = /etc/soakd/soakd.toml ] ||
    fail "the configuration is not the only conffile"
quietly as soakd:soakd soakd check
grep -q /var/lib/soakd "$work/said" || fail "the installed configuration does not lead to /var/lib/soakd"
cp "$root/etc/soakd/soakd.toml" "$root/etc/soakd/one.toml"
quietly inside soakd check -c /etc/soakd/one.toml
grep -q /var/lib/soakd-one "$work/said" || fail "the configuration of an instance does not lead to its own directory"
quietly inside bash -c 'source /usr/share/bash-completion/completions/soakd && complete -p soakd'
[ ! -e "$root/etc/systemd/system/multi-user.target.wants/soakd.service" ] || fail "the service is enabled without being asked"
quietly inside systemctl enable soakd soakd@one

echo "package: upgrade with a run in progress" >&2
# A load that takes ten seconds however fast soakd is: each iteration waits for one.
sed -i 's/^scale = "small"/scale = "custom"\nrows = 1000\niterations = 10\ndatabases = 2\nmode = "incremental"\nwait = "1s"/' \
    "$root/etc/soakd/soakd.toml"
echo "# A line of the administrator's own." >>"$root/etc/soakd/soakd.toml"
cp "$root/etc/soakd/soakd.toml" "$work/changed.toml"
inside install -d -m 0750 -o soakd -g soakd /run/soakd
# Starts what the unit starts, in the same place, with lines for people.
start() {
    local command
    command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/soakd.service")
    : >"$log"
    # shellcheck disable=SC2086 # the command and its arguments
    chroot --userspec=soakd:soakd "$root" /usr/bin/env -i -C /var/lib/soakd PATH=/usr/bin:/bin RUNTIME_DIRECTORY=/run/soakd \
        STATE_DIRECTORY=/var/lib/soakd sh -c 'umask 0027; exec "$@"' sh $command --plain >"$log" 2>&1 &
    daemon=$!
}
# Waits until the daemon's output has a line like this, for a minute at most.
await() {
    for _ in $(seq 600); do
        if grep -q "$1" "$log"; then return; fi
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    cat "$log" >&2
    fail "the daemon did not say: $1"
}
# Ends the daemon; one that is told to stop has the exit code 2, which the unit takes as a success.
stop() {
    local code=0
    kill -TERM "$daemon"
    wait "$daemon" || code=$?
    daemon=
    [ "$code" -eq 2 ] || { cat "$log" >&2; fail "the daemon ended with $code"; }
}
start
await "cycle 1: load"
# Somebody who writes down what the package asks systemd for, in the place of a systemd that runs.
mkdir -p "$root/run/systemd/system"
mv "$root/usr/bin/systemctl" "$work/systemctl"
printf '#!/bin/sh\necho "$*" >>/tmp/asked\n' >"$root/usr/bin/systemctl"
chmod 755 "$root/usr/bin/systemctl"
quietly inside dpkg --force-confold -i /tmp/two.deb
for asked in daemon-reload "try-restart soakd.service" 'try-restart soakd@\*.service'; do
    grep -q -e "$asked" "$root/tmp/asked" || fail "the upgrade does not ask systemd for: $asked"
done
! grep -q -e '^stop' -e ' stop ' "$root/tmp/asked" || fail "the upgrade stops the service"
mv "$work/systemctl" "$root/usr/bin/systemctl"
rm -r "$root/run/systemd/system" "$root/tmp/asked"
cmp -s "$work/changed.toml" "$root/etc/soakd/soakd.toml" || fail "the changed configuration was replaced"
kill -0 "$daemon" || fail "the upgrade ended the daemon, which only systemd may do"
stop
start
await "goes on in cycle 1, phase load"
await "cycle 1: PASS"

echo "package: commands beside the daemon" >&2
for who in root:root soakd:soakd nobody:soakd; do
    quietly as $who soakd status
    quietly as $who soakd report
    quietly as $who soakd runs
    [ "$(grep -c -e ' soak ' "$work/said")" -eq 1 ] || { cat "$work/said" >&2; fail "the upgrade did not go on with the run"; }
done
if as nobody:nogroup soakd status >/dev/null 2>&1; then fail "anybody may ask the daemon"; fi
quietly as root:root soakd pause --reason "package test"
quietly as root:root soakd resume
stop
[ -f "$root/var/lib/soakd/soakd.redb" ] || fail "the state is not in /var/lib/soakd"
others=$(inside find /var/lib/soakd /var/log/soakd ! -user soakd -o -perm /o+rwx ! -type l)
[ -z "$others" ] || fail "these belong to others, or others can read them: $others"

echo "package: remove, install again, purge" >&2
quietly inside dpkg --remove soakd
[ -f "$root/var/lib/soakd/soakd.redb" ] || fail "removing the package removes the state"
quietly inside dpkg -i /tmp/two.deb
cmp -s "$work/changed.toml" "$root/etc/soakd/soakd.toml" || fail "installing again replaced the changed configuration"
start
await "goes on in"
stop
# What an instance leaves, and what is none of the package's business.
inside install -d -o soakd -g soakd /var/lib/soakd-one /var/lib/soakd-one/runs
inside install -d /var/lib/soakd-of-somebody
inside install -m 0600 /dev/null /etc/credstore/soakd.mail-password
quietly inside dpkg --purge soakd
[ -d "$root/var/lib/soakd-of-somebody" ] || fail "a purge removes what is not soakd's"
[ -f "$root/etc/credstore/soakd.mail-password" ] || fail "a purge removes the administrator's secrets"
[ -f "$root/etc/soakd/one.toml" ] || fail "a purge removes the configuration of an instance"
rm -r "$root/etc/soakd"
rmdir "$root/var/lib/soakd-of-somebody" "$root/run/soakd"
rm "$root/etc/credstore/soakd.mail-password"
left() {
    files | comm -13 "$work/before" - |
        grep -v -E -e '^./etc/credstore$' -e '^./var/lib/dpkg/' -e '^./etc/(passwd|group|shadow|gshadow|subuid|subgid)-$' || true
}
[ -z "$(left)" ] || fail "a purge leaves: $(left)"
quietly inside dpkg -i /tmp/one.deb
quietly inside dpkg --purge soakd
quietly inside dpkg --purge soakd
[ -z "$(left)" ] || fail "the second purge leaves: $(left)"
echo "package: passed" >&2
