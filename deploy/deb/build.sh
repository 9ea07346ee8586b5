#!/usr/bin/env bash
# Builds the Debian package. PROFILE is the cargo profile that it is made of; VERSION replaces the one of Cargo.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

profile="${PROFILE:-dist}"
tools="$PWD/target/tools"
if ! cargo deb --version >/dev/null 2>&1 && [ ! -x "$tools/bin/cargo-deb" ]; then
    echo "deploy/deb/build.sh: cargo-deb is not installed, building it into target/tools" >&2
    cargo install --quiet --debug --locked --root "$tools" cargo-deb
fi
export PATH="$tools/bin:$PATH"

cargo build --quiet --locked --profile "$profile"
dir="target/$profile"
[ "$profile" != dev ] || dir=target/debug
rm -rf target/package
"$dir/soakd" manual man target/package/man >/dev/null
"$dir/soakd" manual completions target/package/completions >/dev/null
cargo deb --quiet --locked --no-build --profile "$profile" ${VERSION:+--deb-version "$VERSION"} --output "${OUTPUT:-target/debian/}"
