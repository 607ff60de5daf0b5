/* SPDX-License-Identifier: GPL-3.0-or-later */
/* acl.h - access control lists of POSIX */
#ifndef PL_ACL_H
#define PL_ACL_H

#include "error.h"

/*
 * A list of n bytes, as ext4 and F2FS store it, in the form that Linux shows in
 * "system.posix_acl_access": malloc()ed, *ret_n bytes.  On the disk an entry has no id unless
 * it is of a certain user or group; Linux shows all with one, and another version.  `at` is
 * where the list is, for the error.
 */
int pl_acl_show(const uint8_t *value, uint32_t n, uint64_t at, uint8_t **ret, uint32_t *ret_n,
		struct platter_error *err);

#endif
