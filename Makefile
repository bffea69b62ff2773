# The two commands a newcomer needs are `make demo` and `make test`.

CARGO ?= cargo
# Cargo with what the tests need.
TESTED = CARGO="$(CARGO)" ./scripts/with-features

.PHONY: help demo test test-valkey test-redis-6.2 test-kafka test-clients test-iceberg test-s3 test-page bench-sidecar bench-compare openapi settings simulate campaign model fuzz two-versions ci lint licences public-api examples doc setup build install wheel dist compare clean

help: ## Show this list
	@grep -hE '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9.-]+):.*## /  make \1\t/'

demo: build ## Build, then show the main job on real files; ends by itself
	./target/release/onward demo

test: setup ## Run every test against real servers
	$(TESTED) test --lib --bins --test it --test kafka-command
	$(TESTED) test --test kafka -- --skip broker:: --skip example::
	$(TESTED) test --doc

campaign: setup ## A thousand real faults, audited; ONWARD_TEST_CASES and ONWARD_TEST_SEED change it
	ONWARD_TEST_CASES=$${ONWARD_TEST_CASES:-1000} ONWARD_TEST_SEED=$${ONWARD_TEST_SEED:-random} \
		ONWARD_TEST_REPORT=$${ONWARD_TEST_REPORT:-target/campaign} \
		$(TESTED) test --release --test it -- \
		campaign:: --nocapture --test-threads 1

test-valkey: ## Run those that talk to Redis on Valkey instead
	./scripts/test-redis valkey

test-redis-6.2: ## The same on the oldest Redis that Onward works on
	./scripts/test-redis 6.2

test-kafka: setup ## The Kafka sink on a real broker, from its published jars; needs Java and Maven
	./scripts/test-kafka

test-clients: setup ## lakeFS's own Python clients, as they come from PyPI, against a sidecar; --lakectl by the script
	./scripts/test-clients

test-iceberg: setup ## Iceberg's own clients against sidecars: PyIceberg, Java, DuckDB; needs Python, a JDK and Maven
	./scripts/test-iceberg

test-s3: setup ## S3's clients against sidecars: boto3, awscli, DuckDB, polars, pyarrow, delta-rs, rclone, Hadoop; needs Python, a JDK and Maven
	./scripts/test-s3

test-page: setup ## Every page of the sidecar in a real browser: Debian's chromium, playwright-core from npm
	./scripts/test-page

bench-sidecar: build ## How fast the sidecar is here: commits by wrk, streams, S3, idle connections
	./scripts/bench-sidecar

bench-compare: build ## Ratios of this program to OLD=path (or of NEW=path), run in turns; BENCH="contend --writers 64"
	./target/release/onward bench compare --old $(OLD) $(if $(NEW),--new $(NEW)) $(if $(BENCH),-- $(BENCH))

openapi: ## Write docs/openapi.json anew from the code
	$(CARGO) run --locked --package onward-server --features describe --example openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

settings: ## Write the made part of docs/settings.md anew from the command's parser
	ONWARD_WRITE_SETTINGS=1 ./scripts/with-features test --bins reference

simulate: ## Simulated histories, CASES=100000 of them from a random seed, or ONWARD_TEST_SEED, on
	ONWARD_TEST_CASES=$(or $(CASES),100000) ONWARD_TEST_SEED=$${ONWARD_TEST_SEED:-random} \
		$(TESTED) test --release --test it -- \
		simulation::every_history_keeps_the_promises --nocapture

model: ## Explore the model of the commit protocol further than the tests do (up to an hour)
	$(CARGO) run --locked --release --example model

ci: ## Everything that must hold before a merge
	./.ci/run

lint: ## Formatting and lints, in every feature set
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --lib --bins --no-default-features -- -D warnings
	$(TESTED) clippy --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --bins --features otel,tls -- -D warnings

public-api: ## Take the public face of the library as it is into docs/public-api.txt
	./scripts/public-api --write

examples: setup ## Run the examples that users copy, each on a private Redis of its own
	for example in commit producer merge tickets reads; do \
		$(CARGO) run --locked --quiet --package onward --example $$example || exit 1; \
	done
	set -e; dir=$$(mktemp -d); for start in first second; do \
		$(CARGO) run --locked --quiet --package onward --example loader $$dir; \
	done; redis-cli -s $$dir/redis.sock shutdown; rm -r $$dir

licences: ## Licences, sources and known vulnerabilities of what is compiled in
	./scripts/check-licences

doc: ## The documentation of the library
	RUSTDOCFLAGS="-D warnings" $(TESTED) doc --no-deps

fuzz: ## Hostile bytes against every decoder, for FUZZ_SECONDS=60, under a coverage-guided fuzzer
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) ./scripts/fuzz

two-versions: ## This program and the one of commit OLD=… work on one branch at once
	./scripts/two-versions $(OLD)

setup: ## Install what is missing (redis-server, g++, make, curl) and check the rest
	./scripts/setup

build: setup ## The release binary
	$(CARGO) build --locked --release

install: ## Put the command into ~/.local/bin: what is built, or a new build
	./scripts/install

wheel: ## The command as a Python wheel in dist/, tried in a fresh environment
	./scripts/wheel --try

dist: ## A static binary with checksums and an SBOM in dist/
	./scripts/dist

compare: ## delta-rs, PyIceberg, Icechunk and Onward side by side, as in the README
	./scripts/compare

clean: ## Remove what was built
	$(CARGO) clean
