#!/usr/bin/env bash
# Holds alert rules, their tests and the scrape example against promtool. Says loudly what it could not look at. The metrics
# themselves are checked by `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../deploy"

if ! command -v promtool >/dev/null; then
    printf '\n*** SKIPPED: %s\n\n' "the check of deploy/alerts.yml: promtool is not installed (Debian: apt-get install prometheus)" >&2
    exit 0
fi
promtool check rules --lint=all --lint-fatal alerts.yml
promtool test rules alerts.test.yml
promtool check config --syntax-only prometheus.example.yml
