#!/usr/bin/env bash
# Installs, upgrades and purges the package in a Debian root of its own (made by debootstrap, entered by chroot), with a run
# in progress. Needs root; says SKIPPED loudly where it cannot run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skip() {
    echo "SKIPPED: the package test did not run: $1" >&2
    exit 0
}
fail() {
    echo "package test: $1" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || skip "it needs root, for chroot"
command -v debootstrap >/dev/null || skip "debootstrap is missing; Debian: apt-get install debootstrap"
[ "$(dpkg --print-architecture)" = amd64 ] || skip "it was made for amd64"

work=$(mktemp -d /tmp/soakd-package.XXXXXX)
root="$work/root"
daemon=
mounted=
clean_up() {
    [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
    [ -z "$mounted" ] || umount "$root/proc" || true
    [ -n "$mounted" ] && mountpoint -q "$root/proc" || rm -rf "$work"
}
trap clean_up EXIT

base=.cache/debian-root.tar
if [ ! -f "$base" ]; then
    echo "package test: making a Debian root" >&2
    debootstrap --variant=minbase --include=adduser,systemd bookworm "$work/base" >"$work/debootstrap.log" 2>&1 ||
        { tail -5 "$work/debootstrap.log" >&2; skip "debootstrap failed, most likely because no Debian mirror can be reached"; }
    mkdir -p .cache
    tar -C "$work/base" -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf "$work/base"
fi
mkdir "$root"
tar -C "$root" -xf "$base"
if mount -t proc proc "$root/proc" 2>/dev/null; then mounted=yes; else skip "a proc file system cannot be mounted here"; fi

for version in 0.1.0~test1 0.1.0~test2; do
    PROFILE=dev VERSION=$version OUTPUT="$work/$version.deb" deploy/deb/build.sh
    cp "$work/$version.deb" "$root/tmp/"
done
inside() { chroot "$root" "$@"; }
install_version() {
    inside env DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "/tmp/$1.deb" >"$work/dpkg.log" 2>&1 ||
        { cat "$work/dpkg.log" >&2; fail "dpkg could not install $1"; }
}

echo "package test: install" >&2
install_version 0.1.0~test1
inside getent passwd soakd >/dev/null || fail "there is no user soakd"
for path in usr/bin/soakd etc/soakd/soakd.toml lib/systemd/system/soakd.service lib/systemd/system/soakd@.service \
    usr/share/man/man1/soakd.1.gz usr/share/man/man1/soakd-run.1.gz usr/share/bash-completion/completions/soakd \
    usr/share/zsh/vendor-completions/_soakd usr/share/fish/vendor_completions.d/soakd.fish \
    usr/share/doc/soakd/copyright usr/share/doc/soakd/config.example.toml; do
    [ -e "$root/$path" ] || [ -e "$root/usr/$path" ] || fail "$path is not installed"
done
[ "$(stat -c %U:%a "$root/var/lib/soakd")" = "$(stat -c %U "$root/var/lib/soakd"):750" ] || fail "/var/lib/soakd is open"
[ "$(stat -c %a "$root/etc/soakd/credentials")" = 700 ] || fail "/etc/soakd/credentials is open"
inside dpkg-query --show --showformat='${Conffiles}' soakd | grep -q /etc/soakd/soakd.toml || fail "there is no conffile"
inside soakd check -c /etc/soakd/soakd.toml --state-dir /tmp/check >"$work/check.log" 2>&1 ||
    { cat "$work/check.log" >&2; fail "the installed configuration is not a good one"; }
inside systemctl enable soakd >/dev/null 2>&1 || fail "the service cannot be enabled"

echo "package test: upgrade with a run in progress" >&2
cat >>"$root/etc/soakd/soakd.toml" <<'EOF'

# A line of the administrator's own.
[verify]
evidence = 49
EOF
start() {
    chroot --userspec=soakd:soakd "$root" /usr/bin/soakd run -c /etc/soakd/soakd.toml --state-dir /var/lib/soakd --plain \
        >>"$work/daemon.log" 2>&1 &
    daemon=$!
}
# Waits until the daemon's output has a line like this, for a minute at most.
await() {
    for _ in $(seq 600); do
        grep -q "$1" "$work/daemon.log" && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/daemon.log" >&2
    fail "the daemon did not say: $1"
}
stop() {
    kill -TERM "$daemon"
    wait "$daemon" || true
    daemon=
}
start
await "cycle 1: load"
install_version 0.1.0~test2
grep -q "A line of the administrator's own" "$root/etc/soakd/soakd.toml" || fail "the changed configuration was replaced"
kill -0 "$daemon" || fail "the upgrade ended the daemon where no systemd restarts it"
stop
: >"$work/daemon.log"
start
await "goes on in cycle"
await "cycle 1: PASS"
stop

echo "package test: purge" >&2
inside dpkg --purge soakd >"$work/dpkg.log" 2>&1 || { cat "$work/dpkg.log" >&2; fail "dpkg could not purge"; }
left=$(cd "$root" && find etc usr lib var -xdev -iname '*soakd*' ! -path 'var/lib/dpkg/*' ! -path 'var/log/*' 2>/dev/null || true)
[ -z "$left" ] || fail "a purge leaves: $left"
echo "package test: passed" >&2
