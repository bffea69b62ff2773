# The two commands a newcomer needs are `make demo` and `make test`.

CARGO ?= cargo
# What the tests need besides the default: named points of failure, and S3 over HTTP.
TEST_FEATURES ?= failpoints,aws

.PHONY: help demo test model ci lint doc setup build clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: build ## Build, then show the main job on real files; ends by itself
	./target/release/onward demo

test: setup ## Run every test against real servers
	$(CARGO) test --locked --features $(TEST_FEATURES)

model: ## Explore the model of the commit protocol further than the tests do (up to an hour)
	$(CARGO) run --locked --release --example model

ci: ## Everything that must hold before a merge
	./.ci/run

lint: ## Formatting and lints, in every feature set
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --lib --bins -- -D warnings
	$(CARGO) clippy --locked --all-targets --features $(TEST_FEATURES) -- -D warnings

doc: ## The documentation of the library
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --features $(TEST_FEATURES)

setup: ## Install what is missing (redis-server) and check the rest
	./scripts/setup

build: setup ## The release binary
	$(CARGO) build --locked --release

clean: ## Remove what was built
	$(CARGO) clean
