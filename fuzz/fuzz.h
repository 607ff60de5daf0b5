/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz.h - the entry point that libFuzzer, or replay.c, calls with each input
 *
 * A target must return whatever the input is: it passes when nothing crashes, no
 * sanitizer speaks, and time and memory stay bounded.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
