/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "epoch.h"

#include <stdlib.h>
#include <sys/random.h>

#include "bytes.h"
#include "md5.h"

/* The last second of the year 9999: no field of a date has room for more. */
#define LAST_SECOND 253402300799

int
pl_epoch(int64_t *ret, struct platter_error *err)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	*ret = -1;
	if (!text || !*text)
		return 0;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || *ret > LAST_SECOND)
		return pl_invalid(err, "SOURCE_DATE_EPOCH is '%s', not seconds since 1970", text);
	return 0;
}

int
pl_derive_guid(int64_t epoch, const char *what, uint8_t ret[static 16], struct platter_error *err)
{
	uint8_t seed[PL_MD5_SHORT] = { 0 };

	if (epoch < 0) {
		if (getrandom(ret, 16, 0) != 16)
			return pl_fail_errno(err, -errno, "get random bytes");
	} else {
		put_le64(seed, (uint64_t)epoch);
		memcpy(seed + 8, what, PL_MIN(strlen(what), sizeof seed - 8));
		pl_md5_short(seed, sizeof seed, ret);
	}
	ret[7] = (uint8_t)((ret[7] & 0x0f) | 0x40);
	ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
	return 0;
}
