/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wipe-certificate.h - what was wiped, as JSON and as a page to print and sign */
#ifndef WIPE_CERTIFICATE_H
#define WIPE_CERTIFICATE_H

#include <jansson.h>
#include <platter/wipe.h>

#include "options.h"

/* STATUS_DONE, or STATUS_USAGE with the reason told: -o and --certificate as given are fine. */
int certificate_check(const struct arguments *args);

/* "full" and the like, as JSON and --verify have them. */
const char *wipe_verify_name(enum platter_wipe_verify verify);
const char *wipe_outcome_name(enum platter_wipe_outcome outcome);

/* The answer of --json, which is also what a certificate in JSON holds; to be released. */
json_t *json_wipes(const struct arguments *args, const struct platter_wipe_report *const *reports,
		   size_t nr);

/* Write every file that --certificate names.  Returns an exit status; failures were told. */
int certificates_write(const struct arguments *args,
		       const struct platter_wipe_report *const *reports, size_t nr);

#endif
