# Building: kernel and user programs (bare target), UEFI loader, host tools.
#
# Everything goes to one target directory, build/target (.cargo/config.toml). The bare targets
# are always built in release, the host's tools and tests in dev: their build scripts and macros
# are then kept apart, and RUSTC_BOOTSTRAP, which some of them look at, never makes them rebuild
# each other.

# The caller's own flags would rebuild the world.
unexport RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET CARGO_BUILD_TARGET_DIR RUSTUP_TOOLCHAIN

TARGET_DIR := build/target
BARE_TARGET := x86_64-unknown-none
LOADER_TARGET := x86_64-unknown-uefi
BARE_BIN := $(TARGET_DIR)/$(BARE_TARGET)/release
HOST_BIN := $(TARGET_DIR)/debug

BUILD_STD := -Zbuild-std=core,alloc,compiler_builtins -Zbuild-std-features=compiler-builtins-mem
BARE_CARGO := RUSTC_BOOTSTRAP=1 $(CARGO)
BARE_OPTIONS := --release $(BUILD_STD)

.PHONY: kernel kernel-measure programs loader host-tools run-parts

kernel: build/toolchain.mk
	@# As one unit, for the length of its paths: it is small.
	CARGO_PROFILE_RELEASE_LTO=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
		$(BARE_CARGO) build $(BARE_OPTIONS) --target $(BARE_TARGET) -p kernel
	@# The firmware reads it slowly: what boots goes without debug information.
	@strip --strip-debug -o build/kernel.stripped.elf $(BARE_BIN)/kernel

# The same with time stamps at its ways in and out, apart from it: each build has its own.
kernel-measure: build/toolchain.mk
	CARGO_PROFILE_RELEASE_LTO=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
		$(BARE_CARGO) build $(BARE_OPTIONS) --target $(BARE_TARGET) -p kernel --features measure \
		--target-dir $(TARGET_DIR)-measure
	@strip --strip-debug -o build/kernel.measure.elf $(TARGET_DIR)-measure/$(BARE_TARGET)/release/kernel

# A kernel with a fault in it, for the test that has to find it. Apart, so that it never takes the real one's place.
.PHONY: no-shootdown
no-shootdown: build/toolchain.mk
	CARGO_PROFILE_RELEASE_LTO=true CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
		$(BARE_CARGO) build $(BARE_OPTIONS) --target $(BARE_TARGET) --target-dir build/no-shootdown -p kernel --features no-shootdown
	@strip --strip-debug -o build/kernel.no-shootdown.elf build/no-shootdown/$(BARE_TARGET)/release/kernel

# One invocation for all programs: they share their libraries and one unified feature set.
programs: build/toolchain.mk
	$(BARE_CARGO) build $(BARE_OPTIONS) --target $(BARE_TARGET) $(addprefix -p ,$(USER_PROGRAMS))

loader: build/toolchain.mk
	$(BARE_CARGO) build $(BARE_OPTIONS) --target $(LOADER_TARGET) -p boot

host-tools: build/toolchain.mk
	$(CARGO) build -p ci -p filesystem-image

# All that mk/run needs.
run-parts: kernel build/initfs.img host-tools
