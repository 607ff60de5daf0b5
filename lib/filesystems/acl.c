/* SPDX-License-Identifier: GPL-3.0-or-later */
/* acl.c - access control lists of POSIX, as ext2 and what followed it store them */
#include "acl.h"

#include "bytes.h"

int
pl_acl_show(const uint8_t *value, uint32_t n, uint64_t at, uint8_t **ret, uint32_t *ret_n,
	    struct platter_error *err)
{
	enum {
		ACL_VERSION = 1,
		SHOWN_VERSION = 2,
		TAG_USER = 2,
		TAG_GROUP = 8
	};
	struct pl_cursor c = { value, value + n };
	const uint8_t *p = pl_take(&c, 4), *id;
	/* Entries of 4 bytes become 8. */
	uint8_t *out = malloc(4 + 2 * (size_t)n), *o = out;

	if (!out)
		return pl_no_memory(err);
	if (!p || get_le32(p) != ACL_VERSION) {
		free(out);
		return pl_corrupt(err, at,
				  "access control list of %" PRIu32 " bytes, version %" PRIu32, n,
				  p ? get_le32(p) : 0);
	}
	put_le32(o, SHOWN_VERSION);
	for (o += 4; c.p < c.end; o += 8) {
		unsigned tag;

		p = pl_take(&c, 4);
		tag = p ? get_le16(p) : 0;
		id = tag == TAG_USER || tag == TAG_GROUP ? pl_take(&c, 4)
							 : (const uint8_t *)"\xff\xff\xff\xff";
		if (!p || !id) {
			free(out);
			return pl_corrupt(err, at, "access control list ends within an entry");
		}
		memcpy(o, p, 4);
		memcpy(o + 4, id, 4);
	}
	*ret = out;
	*ret_n = (uint32_t)(o - out);
	return 0;
}
