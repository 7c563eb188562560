# Lints: format, clippy for the host and for the bare targets, and the project's own rules.

.PHONY: lint fmt rules

# No --all-targets on bare targets: their tests run on the host.
CLIPPY_END := -- -D warnings

lint: build/toolchain.mk rules ## rustfmt, clippy and the project's rules; changes nothing
	$(CARGO_FMT) --all -- --check
	$(CARGO_CLIPPY) --all-targets $(CLIPPY_END)
	RUSTC_BOOTSTRAP=1 $(CARGO_CLIPPY) $(BARE_OPTIONS) --target $(BARE_TARGET) -p kernel $(CLIPPY_END)
	RUSTC_BOOTSTRAP=1 $(CARGO_CLIPPY) $(BARE_OPTIONS) --target $(BARE_TARGET) $(addprefix -p ,$(USER_PROGRAMS)) $(CLIPPY_END)
	RUSTC_BOOTSTRAP=1 $(CARGO_CLIPPY) $(BARE_OPTIONS) --target $(LOADER_TARGET) -p boot $(CLIPPY_END)

# Who may depend on whom, where unsafe may stand, the kernel's size, the shape of a server.
rules: build/toolchain.mk
	$(CARGO) test -q -p ci --test rules

fmt: build/toolchain.mk ## format every crate
	$(CARGO_FMT) --all
