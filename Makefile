# GNU make. Downloads and build results live in a cache outside the checkout, so that they survive it: IPFS_KITD_CACHE moves it.
cache := $(or $(IPFS_KITD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ipfs-kitd)
CARGO_TARGET_DIR ?= $(cache)/target
export CARGO_TARGET_DIR

PREFIX ?= /usr/local
CARGO ?= cargo
dist := .deps/dist

.DEFAULT_GOAL := help
.PHONY: help setup ours build test bench run demo lint dist install clean

help: ## Show this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.* ## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@echo "Cache: $(cache)   Build results: $(CARGO_TARGET_DIR)"

setup: ## Fetch what the build and the tests need: DuckDB's library and Kubo (once; 1 to 5 minutes)
	@tools/check-tools
	@tools/libduckdb/fetch >/dev/null
	@tools/kubo/fetch >/dev/null

# Without a dynamic linker `ipfs-kitctl` starts in three quarters of the time. It needs the C library's libc.a, and a target of its own name,
# so that only what is for the program itself is static.
host := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
alone := $(if $(filter /%,$(shell $(or $(CC),cc) -print-file-name=libc.a 2>/dev/null)),$(filter %-linux-gnu,$(host)))

# Cargo tells checkouts that share a build directory apart by the times of their files alone: what another one left of our own
# packages is dropped, what it built of all others stays.
ours: setup
	@if [ -d "$(CARGO_TARGET_DIR)" ] && [ "$$(cat "$(CARGO_TARGET_DIR)/checkout" 2>&1)" != "$(CURDIR)" ]; then \
	  for of in "--profile dev" "--profile dist" $(if $(alone),"--profile dist --target $(alone)"); do \
	    $(CARGO) clean --quiet --locked $$of -p ipfs-kitd -p ipfs-kitctl -p proto-msgs -p fake-kubo || exit 1; done; fi
	@mkdir -p "$(CARGO_TARGET_DIR)" && printf '%s' "$(CURDIR)" >"$(CARGO_TARGET_DIR)/checkout"

build: ours ## Build ipfs-kitd and ipfs-kitctl (5 minutes the first time)
	$(CARGO) build --workspace --locked

test: ours ## Run all tests, with a real Kubo among them
	$(CARGO) test --workspace --locked

bench: build dist ## Measure, and print each figure beside its limit
	LD_LIBRARY_PATH="$(CURDIR)/$(dist)" IPFS_KITD_BENCH_PROGRAMS="$(CURDIR)/$(dist)" $(CARGO) bench --profile dev --locked -p ipfs-kitd --bench '*'

run: build ## Run a daemon with a Kubo of its own and a few real pins, in the foreground
	@tools/run

demo: build ## Tour the main commands in a throw-away place
	@tools/demo

lint: ours ## Check formatting, clippy, and licences where cargo-deny is installed
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
	  echo "lint: licences and advisories were NOT checked: cargo-deny is not installed (cargo install cargo-deny --locked)"; \
	else \
	  $(CARGO) deny --locked check bans licenses sources || exit 1; \
	  if $(CARGO) deny fetch db >/dev/null 2>&1; then $(CARGO) deny --locked check advisories; \
	  else echo "lint: advisories were NOT checked: their database can't be reached"; fi; \
	fi

dist: ours ## Build optimised binaries and gather what `make install` copies
	IPFS_KITD_DIST=1 $(CARGO) build --profile dist --locked -p ipfs-kitd $(if $(alone),,-p ipfs-kitctl)
	$(if $(alone),IPFS_KITD_DIST=1 RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static" $(CARGO) build --profile dist --locked -p ipfs-kitctl --target $(alone),@echo "dist: ipfs-kitctl is linked dynamically: there is no libc.a (glibc-static) here")
	@mkdir -p $(dist)
	cp "$(CARGO_TARGET_DIR)/dist/ipfs-kitd" "$(CARGO_TARGET_DIR)/$(if $(alone),$(alone)/)dist/ipfs-kitctl" .deps/duckdb/libduckdb.so $(dist)/

# Under sudo nothing is built: root has another cache, and no business in running compilers. There it is `make dist` first.
install: $(if $(SUDO_USER),,dist) ## Install below PREFIX (/usr/local), DESTDIR in front of it; with sudo: make dist, then sudo make install
	@test -x $(dist)/ipfs-kitd || { echo "install: nothing is built yet. Run make dist first, without sudo." >&2; exit 1; }
	install -D -m 755 $(dist)/ipfs-kitd "$(DESTDIR)$(PREFIX)/bin/ipfs-kitd"
	install -D -m 755 $(dist)/ipfs-kitctl "$(DESTDIR)$(PREFIX)/bin/ipfs-kitctl"
	install -D -m 644 $(dist)/libduckdb.so "$(DESTDIR)$(PREFIX)/lib/ipfs-kitd/libduckdb.so"
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/install-units
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/install-shell

clean: ## Remove build results; downloads stay in the cache
	$(CARGO) clean
	rm -rf $(dist)
