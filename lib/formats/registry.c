/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - every image format */
#include "format.h"

const struct pl_format *const pl_formats[] = {
	NULL,
};
