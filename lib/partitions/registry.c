/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - every partition scheme */
#include "scheme.h"

const struct pl_scheme *const pl_schemes[] = {
	NULL,
};
