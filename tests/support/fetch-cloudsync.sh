#!/bin/sh
# Fetches the CloudSync extension that the tests load, and checks it. Needs npm as set up on this machine.
# It is other people's work under its own licence (LICENSE.md in the package): it is never shipped with soakd.
set -eu
name=@sqliteai/sqlite-sync-linux-x86_64@1.1.4
sum=6a9ccc74a4dc28c59e4743f9f1d1c1a7a68c64e8457913aef272ddd4154619fc
dir=$(cd "$(dirname "$0")/../.." && pwd)/.cache/cloudsync
mkdir -p "$dir"
if echo "$sum  $dir/cloudsync.so" | sha256sum --check --status 2>/dev/null; then
    echo "$dir/cloudsync.so is there"
    exit 0
fi
work=$(mktemp -d "$dir/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$name" >/dev/null && tar -xzf ./*.tgz)
found=$(find "$work/package" -name cloudsync.so | head -n 1)
[ -n "$found" ] || { echo "the package $name holds no cloudsync.so" >&2; exit 1; }
echo "$sum  $found" | sha256sum --check --status || { echo "$name has another sha256 than $sum" >&2; exit 1; }
mv "$found" "$dir/cloudsync.so"
echo "$dir/cloudsync.so"
