# SPDX-License-Identifier: GPL-3.0-or-later
#
# The few commands people type.  The work is meson's; scripts/setup installs from
# Debian what a target needs and does nothing where all of it is there.

BUILD ?= build
PREFIX ?= /usr/local

.PHONY: all demo check check-long bench fuzz install format clean

all:
	@scripts/setup build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX)
	@ninja -C $(BUILD)

demo: all
	@scripts/setup demo
	@scripts/demo $(BUILD)/platter

check:
	@scripts/setup check
	@scripts/check

check-long:
	@scripts/setup check-long
	@scripts/check --long

bench: all
	@scripts/setup bench
	@bench/run $(BUILD)/platter

# FUZZ_SECONDS of fuzzing for each target, also in check-long
fuzz:
	@scripts/setup check
	@scripts/fuzz

install: all
	@ninja -C $(BUILD) install

format:
	@scripts/setup check
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf $(BUILD) build-*
