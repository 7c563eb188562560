# Putting images together: the initial file system and the disk.

.PHONY: image build/initfs.img

IMAGE_TOOL := $(HOST_BIN)/filesystem-image

build/initfs.img: programs host-tools
	@$(IMAGE_TOOL) initfs --root filesystem-image/ --programs $(BARE_BIN) --out $@

image: kernel loader build/initfs.img host-tools ## build/limitless.img, for an emulator or a USB stick
	@$(IMAGE_TOOL) image --kernel build/kernel.stripped.elf \
		--loader $(TARGET_DIR)/$(LOADER_TARGET)/release/boot.efi \
		--initfs build/initfs.img --out build/limitless.img
