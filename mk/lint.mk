# Lints: format, clippy for the host and for the bare targets, and the project's own rules.

LINTS := lint-format lint-host lint-kernel lint-programs lint-loader rules

.PHONY: lint fmt $(LINTS)

# All of them run, so that one look shows all there is to mend.
lint: build/toolchain.mk ## rustfmt, clippy and the project's rules; changes nothing
	@status=0; for lint in $(LINTS); do $(MAKE) $$lint || status=1; done; exit $$status

lint-format: build/toolchain.mk
	$(CARGO_FMT) --all -- --check

lint-host: build/toolchain.mk
	$(CARGO_CLIPPY) --all-targets -- -D warnings

# No --all-targets on the bare targets: their tests run on the host.
BARE_CLIPPY := RUSTC_BOOTSTRAP=1 $(CARGO_CLIPPY) $(BARE_OPTIONS)

lint-kernel: build/toolchain.mk
	$(BARE_CLIPPY) --target $(BARE_TARGET) -p kernel -- -D warnings

lint-programs: build/toolchain.mk
	$(BARE_CLIPPY) --target $(BARE_TARGET) $(addprefix -p ,$(USER_PROGRAMS)) -- -D warnings

lint-loader: build/toolchain.mk
	$(BARE_CLIPPY) --target $(LOADER_TARGET) -p boot -- -D warnings

# Who may depend on whom, where unsafe may stand, the kernel's size, the shape of a server.
rules: build/toolchain.mk
	$(CARGO) test -q -p ci --test rules

fmt: build/toolchain.mk ## format every crate
	$(CARGO_FMT) --all
