# LimitlessOS: the ways in. `make` prints the targets; mk/README.md says how it hangs together.

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# Goals that build nothing need no tools.
QUIET_GOALS := help clean
ifneq ($(filter-out $(QUIET_GOALS),$(MAKECMDGOALS)),)
include build/toolchain.mk
endif

include mk/user.mk
include mk/build.mk
include mk/image.mk
include mk/test.mk
include mk/lint.mk

.PHONY: FORCE help setup qemu run bench bench-baseline windows costs doc reference clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1\t\2/p' $(MAKEFILE_LIST) | grep -v '^\s' \
		| sort -u | awk -F '\t' '{ printf "make %-14s %s\n", $$1, $$2 }'

# Runs before anything else whenever a goal needs tools; rewrites the file only when it changes.
build/toolchain.mk: FORCE
	@mk/setup.sh

setup: build/toolchain.mk ## find or install the toolchain and the tools
	@echo "setup: complete ($(TOOLCHAIN_VERSION))"

qemu: image host-tools ## build everything and boot it through UEFI firmware
	@$(HOST_BIN)/mk-qemu $(if $(SMOKE),--smoke)

run: run-parts ## run one command inside: make run CMD='ls /'
	@$(if $(CMD),,echo "usage: make run CMD='command'" >&2; exit 2;) mk/run -- $(CMD)

bench: run-parts ## the measurements: a table here and build/bench.json
	@$(HOST_BIN)/mk-bench --out build/bench.json

bench-baseline: export REASON := $(REASON)
bench-baseline: run-parts ## write the figures that make test holds the measurements against: REASON='why they changed'
	@$(if $(REASON),,echo "usage: make bench-baseline REASON='why the figures are what they are now'" >&2; exit 2;) \
		$(HOST_BIN)/mk-bench --write-baseline "$$REASON"

windows: kernel-measure run-parts ## how long interrupts are off through the worst cases, and how late an urgent thread is
	@$(HOST_BIN)/mk-bench --windows

costs: run-parts ## measure what each call costs, and write docs/costs.txt and the reference anew
	@$(HOST_BIN)/mk-bench --write-costs docs/costs.txt
	@$(MAKE) reference

doc: build/toolchain.mk ## the reference pages of every crate, under build/target/doc
	$(CARGO) doc --no-deps --document-private-items

reference: build/toolchain.mk ## write docs/reference.md anew from the contract
	$(CARGO) run -q -p ci --bin mk-reference

clean: ## remove what was built (the downloads in cargo's home stay)
	rm -rf build
