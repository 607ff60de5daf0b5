/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nvme.h - NVMe namespaces and their controller */
#ifndef PL_NVME_H
#define PL_NVME_H

#include "hardware.h"
#include "transport.h"

/* As pl_hardware_look() and pl_hardware_erase(). */
int pl_nvme_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err);
int pl_nvme_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
		  struct platter_error *err);

#endif
