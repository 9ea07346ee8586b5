# What one does with soakd's sources. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help demo test bench trials lint deb package-test tools
# lint comes before test where both are asked for, and their output is not mixed.
.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools ## Build soakd, run a small soak on its own sync server, print the report
	cargo build --release --locked
	./target/release/soakd run --demo

test: tools ## Install what the tests need where it is missing, and run all of them
	tests/setup.sh
	@echo cargo test --locked --no-fail-fast; cargo test --locked --no-fail-fast; code=$$?; \
	    tests/package.sh || code=1; tests/setup.sh --remind; exit $$code

bench: tools ## Measure speed and memory, and print figures against the limits
	cargo build --release --locked
	bash tests/bench.sh
	cargo test --release --locked --test weeks -- --ignored --nocapture
	bash tests/bench_direct.sh
	cargo test --release --locked --test bench_direct -- --ignored --nocapture

trials: tools ## Try often what soakd claims: planted faults are found, healthy soaks pass, builds compare as they should
	cargo build --release --locked
	tests/trials.sh

deb: tools ## Build the Debian package (target/debian/*.deb)
	deploy/deb/build.sh

package-test: tools ## Install, upgrade and purge the package in a Debian root of its own (as root)
	tests/setup.sh
	tests/package.sh

lint: tools ## Check format, lints, dependencies, systemd units and alert rules
	@cargo fmt --version >/dev/null 2>&1 || \
	    { echo "make lint: rustfmt is missing; install it with: rustup component add rustfmt" >&2; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 || \
	    { echo "make lint: clippy is missing; install it with: rustup component add clippy" >&2; exit 1; }
	cargo fmt --check || { echo "make lint: put the format right with: cargo fmt" >&2; exit 1; }
	cargo clippy --locked --all-targets -- -D warnings
	tests/dependencies.sh
	tests/systemd.sh
	tests/prometheus.sh

tools:
	@command -v cargo >/dev/null || \
	    { echo "make: cargo is missing; install Rust 1.90 or newer, see https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || \
	    { echo "make: a C compiler is missing (SQLite is built from C); Debian: apt-get install gcc libc6-dev" >&2; exit 1; }
