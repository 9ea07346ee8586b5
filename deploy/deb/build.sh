#!/usr/bin/env bash
# Builds the Debian package. PROFILE is the cargo profile that it is made of; VERSION replaces the one of Cargo.toml, OUTPUT the
# place where the package goes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

profile="${PROFILE:-dist}"
tools="$PWD/target/tools"
export PATH="$tools/bin:$PATH"
if ! cargo deb --version >/dev/null 2>&1; then
    echo "deploy/deb/build.sh: cargo-deb is not installed, building it into target/tools" >&2
    cargo install --quiet --debug --locked --root "$tools" cargo-deb
fi

cargo build --quiet --locked --profile "$profile"
dir="target/$profile"
[ "$profile" != dev ] || dir=target/debug
version="${VERSION:-$(cargo pkgid --locked | sed 's/.*[#@]//')-1}"
epoch="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"

rm -rf target/package
mkdir -p target/package
"$dir/soakd" manual man target/package/man >/dev/null
"$dir/soakd" manual completions target/package/completions >/dev/null
gzip -9nc CHANGELOG.md >target/package/changelog.gz
# Debian wants to know who made this version of the package, and when.
cat >target/package/changelog.Debian <<END
soakd ($version) unstable; urgency=medium

  * See /usr/share/doc/soakd/changelog.gz for what is new.

 -- $(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)  $(LC_ALL=C date -u -R -d "@$epoch")
END
cargo deb --quiet --locked --no-build --profile "$profile" --deb-version "$version" --output "${OUTPUT:-target/debian/}"
