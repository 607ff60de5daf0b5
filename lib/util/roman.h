/* SPDX-License-Identifier: GPL-3.0-or-later */
/* roman.h - the letters of Mac OS before Unicode */
#ifndef PL_ROMAN_H
#define PL_ROMAN_H

#include <stdint.h>

/* The character of Unicode that a byte of Mac OS Roman is; none is past U+FFFF. */
uint16_t pl_mac_roman(uint8_t byte);

#endif
