#!/usr/bin/env bash
# Holds the dependencies against deny.toml. Says loudly what it could not look at.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

skipped() {
    printf '\n*** SKIPPED: %s\n\n' "$1" >&2
}

if ! cargo deny --version >/dev/null 2>&1; then
    skipped "the check of dependencies against deny.toml: cargo-deny is not installed (cargo install --locked cargo-deny)"
    exit 0
fi
cargo deny --locked check bans licenses sources
# Advisories come from a repository in the network; what cannot be had is no reason to fail.
if cargo deny --locked fetch db; then
    cargo deny --locked check --disable-fetch advisories
else
    skipped "the check for advisories: the advisory database could not be fetched"
fi
