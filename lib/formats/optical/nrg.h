/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nrg.h - inside the driver of Nero's images: nrg.c reads, nrg-writer.c writes */
#ifndef PL_NRG_H
#define PL_NRG_H

#include "reader.h"

/* A version 2 image: raw sectors behind 150 of pregap, then the chunks. */
int pl_nrg_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);

#endif
