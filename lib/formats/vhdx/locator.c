/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * locator.c - how a differencing VHDX names its parent
 *
 * Another locator goes to a free place of the metadata region, and is on stable storage before
 * the entry of the metadata table, which lies in one sector, points at it.
 */
#include <ctype.h>

#include "parent.h"
#include "text.h"
#include "vhdx.h"

#define ENTRIES    32u
#define ENTRY_SIZE 32u
/* More than paths of 4095 characters take. */
#define MAX_LOCATOR KIB(64)

/* A parent locator being put together. */
struct locator {
	uint8_t *bytes;
	uint32_t nr, end, room;
};

static int
add_text(struct locator *l, const char *text, uint32_t *ret_at, uint16_t *ret_n,
	 struct platter_error *err)
{
	size_t nr;
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(text, &nr);

	if (!units)
		return pl_no_memory(err);
	if (nr * 2 > UINT16_MAX || nr * 2 > l->room - l->end)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "path of the parent has %zu characters", nr);
	memcpy(l->bytes + l->end, units, nr * 2);
	*ret_at = l->end;
	*ret_n = (uint16_t)(nr * 2);
	l->end += *ret_n;
	return 0;
}

static int
add_pair(struct locator *l, const char *key, const char *value, struct platter_error *err)
{
	uint8_t *e = l->bytes + 20 + l->nr * 12u;
	uint32_t key_at, value_at;
	uint16_t key_n, value_n;
	int r;

	if (!value)
		return 0;
	r = add_text(l, key, &key_at, &key_n, err);
	if (r == 0)
		r = add_text(l, value, &value_at, &value_n, err);
	if (r < 0)
		return r;
	put_le32(e, key_at);
	put_le32(e + 4, value_at);
	put_le16(e + 8, key_n);
	put_le16(e + 10, value_n);
	put_le16(l->bytes + 18, (uint16_t)++l->nr);
	return 0;
}

int
pl_vhdx_locator_build(const uint8_t *write_guid, const struct pl_parent_paths *paths,
		      uint8_t *bytes, uint32_t room, uint32_t *ret_n, struct platter_error *err)
{
	struct locator l = { .bytes = bytes, .end = 20 + 3 * 12, .room = room };
	char guid[PL_UUID_TEXT], linkage[PL_UUID_TEXT + 2];
	int r;

	pl_guid_text(write_guid, guid);
	for (char *p = guid; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	linkage[0] = '{';
	memcpy(linkage + 1, guid, PL_UUID_TEXT - 1);
	memcpy(linkage + PL_UUID_TEXT, "}", 2);
	memcpy(bytes, pl_vhdx_guid_locator_type, 16);
	r = add_pair(&l, "parent_linkage", linkage, err);
	if (r == 0)
		r = add_pair(&l, "relative_path", paths->relative, err);
	if (r == 0)
		r = add_pair(&l, "absolute_win32_path", paths->absolute, err);
	*ret_n = l.end;
	return r;
}

/* Is [start, start + n) of the region free of all items? */
static bool
is_free(const uint8_t *table, uint32_t start, uint32_t n)
{
	unsigned nr = get_le16(table + 10);

	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *e = table + ENTRIES + i * ENTRY_SIZE;
		uint64_t at = get_le32(e + 16), length = get_le32(e + 20);

		if (start < at + length && at < (uint64_t)start + n)
			return false;
	}
	return true;
}

/* Room for n bytes behind the table or behind an item. */
static int
find_room(const uint8_t *table, const struct vhdx_region *region, uint32_t n, uint32_t *ret,
	  struct platter_error *err)
{
	unsigned nr = get_le16(table + 10);

	for (unsigned i = 0; i <= nr; i++) {
		const uint8_t *e = table + ENTRIES + i * ENTRY_SIZE;
		uint64_t at = VHDX_TABLE_SIZE;

		if (i < nr)
			at = pl_round_up((uint64_t)get_le32(e + 16) + get_le32(e + 20), 8);
		if (at >= VHDX_TABLE_SIZE && pl_in_range(at, n, region->length) &&
		    is_free(table, (uint32_t)at, n)) {
			*ret = (uint32_t)at;
			return 0;
		}
	}
	return pl_fail(err, -ENOSPC, "the metadata has no room for %" PRIu32 " bytes", n);
}

int
pl_vhdx_relink(struct pl_disk *file, const struct vhdx_region *region, const uint8_t *write_guid,
	       const struct pl_parent_paths *paths, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = NULL, *locator = calloc(1, MAX_LOCATOR);
	uint32_t n, at;
	unsigned i = 0, nr;
	uint8_t *e;
	int r = locator ? 0 : pl_no_memory(err);

	if (r == 0)
		r = pl_vhdx_locator_build(write_guid, paths, locator, MAX_LOCATOR, &n, err);
	if (r == 0)
		r = pl_read_alloc(file, VHDX_TABLE_SIZE, region->offset, &table, err);
	if (r < 0)
		return r;
	nr = PL_MIN(get_le16(table + 10), VHDX_MAX_ENTRIES);
	put_le16(table + 10, (uint16_t)nr);
	for (e = table + ENTRIES; i < nr && memcmp(e, pl_vhdx_guid_locator, 16) != 0; i++)
		e += ENTRY_SIZE;
	if (i == nr)
		return pl_corrupt(err, region->offset, "the metadata has no parent locator");
	r = find_room(table, region, n, &at, err);
	if (r == 0)
		r = pl_write(file, locator, n, region->offset + at, err);
	if (r == 0)
		r = pl_flush(file, err);
	if (r < 0)
		return r;
	put_le32(e + 16, at);
	put_le32(e + 20, n);
	r = pl_write(file, e, ENTRY_SIZE, region->offset + (size_t)(e - table), err);
	return r == 0 ? pl_flush(file, err) : r;
}
