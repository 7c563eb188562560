# Tests: on the host, in the emulator, and the long ones.

.PHONY: test test-host test-long fuzz

# FILTER='fat' runs the emulator tests whose name holds it; MULT multiplies the long ones
# (the model of the core: ten million operations).
FILTER ?=
MULT ?= 1

test: image kernel-measure ## host tests and emulator tests; ends with "N passed, N failed"
	@CARGO=$(CARGO) mk/test.sh host system $(FILTER)

test-host: build/toolchain.mk ## the tests that need no emulator
	@CARGO=$(CARGO) mk/test.sh host

test-long: image kernel-measure ## longer campaigns (MULT=n), and ci/fresh: both commands in a bare Debian 12
	@CARGO=$(CARGO) MULT=$(MULT) MODEL_MULT=$$((50 * $(MULT))) mk/test.sh host long $(FILTER)
	@ci/fresh

fuzz: build/toolchain.mk ## libFuzzer on the kernel's core, and the property tests: T seconds, seed S
	@CARGO=$(CARGO) RUSTC=$(RUSTC) mk/fuzz.sh "$(or $(T),60)" "$(or $(S),1)"
