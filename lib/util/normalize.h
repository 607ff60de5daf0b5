/* SPDX-License-Identifier: GPL-3.0-or-later */
/* normalize.h - names that Unicode holds to be the same */
#ifndef PL_NORMALIZE_H
#define PL_NORMALIZE_H

#include <stddef.h>

/*
 * The canonical decomposition (NFD) of the UTF-8 in `text`, for names: letters and their
 * accents stand apart, in one order.  Bytes that are no UTF-8 stay.  malloc()ed, with a NUL
 * behind it, *ret_n bytes; NULL: no memory.
 */
char *pl_text_decompose(const char *text, size_t n, size_t *ret_n);

#endif
