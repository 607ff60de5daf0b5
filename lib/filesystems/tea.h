/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tea.h - names hashed by TEA */
#ifndef PL_TEA_H
#define PL_TEA_H

#include "bytes.h"

/*
 * The next nr_words * 4 bytes of a name, or what is left of it, n bytes, as words: the first
 * byte is the highest, and what is left over is filled with the length.  `is_unsigned`: bytes
 * from 80 on do not count as negative.
 */
void pl_tea_pack(const uint8_t *name, size_t n, bool is_unsigned, uint32_t *words, size_t nr_words);

/* Mix four words of a name into the state, whose first two words are the hash. */
void pl_tea(uint32_t state[static 2], const uint32_t words[static 4]);

#endif
