# The programs of the first file system: what filesystem-image/initfs.toml lists. Each is a
# package with a binary of the same name.

USER_PROGRAMS := $(shell sed -n 's/^name = "\(.*\)"/\1/p' filesystem-image/initfs.toml)
