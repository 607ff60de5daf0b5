/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * zfs/identify.c - the labels of a ZFS device ("ZFS On-Disk Specification", 2006, chapter 1)
 *
 * Four labels of 256 KiB, two at each end.  Each has, at 16 KiB, a list of names and
 * values in XDR, and at 128 KiB a ring of uberblocks, the newest of which is the state.
 */
#include "superblock.h"

#define LABEL_SIZE  KIB(256)
#define LIST_OFFSET KIB(16)
#define LIST_SIZE   KIB(8) /* of the list is looked at: the pool's own values come first */
#define RING_OFFSET KIB(128)
#define RING_SIZE   KIB(128)

#define UBERBLOCK_MAGIC 0x00bab10c
enum {
	UBERBLOCK_SIZE = 1024,
	UBERBLOCK_TXG = 16
};
enum {
	TYPE_UINT64 = 8,
	TYPE_STRING = 9
};

struct pool {
	const uint8_t *name, *host;
	uint32_t name_length, host_length;
	uint64_t guid, device_guid, version, txg, state;
	bool has_guid;
};

static void
keep_number(struct pool *p, const char *name, uint32_t length, uint64_t value)
{
	const struct {
		const char *name;
		uint64_t *value;
	} wanted[] = { { "pool_guid", &p->guid },
		       { "guid", &p->device_guid },
		       { "version", &p->version },
		       { "txg", &p->txg },
		       { "state", &p->state } };

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (strlen(wanted[i].name) == length && !memcmp(name, wanted[i].name, length)) {
			*wanted[i].value = value;
			p->has_guid |= i == 0;
		}
}

/*
 * One pair: encoded size, decoded size, name (length, characters, padded to four), type,
 * number of elements, value.  Nested lists are passed over by their encoded size.
 */
static bool
take_pair(struct pl_cursor *list, struct pool *p)
{
	const uint8_t *size = pl_take(list, 8), *field, *name;
	struct pl_cursor pair;
	uint32_t length, type;

	if (!size || get_be32(size) < 20)
		return false;
	pair.p = pl_take(list, get_be32(size) - 8);
	if (!pair.p)
		return false;
	pair.end = list->p;
	field = pl_take(&pair, 4);
	length = get_be32(field);
	name = length <= 255 ? pl_take(&pair, (length + 3) & ~3u) : NULL;
	field = name ? pl_take(&pair, 8) : NULL;
	if (!field)
		return false;
	type = get_be32(field);
	if (type == TYPE_UINT64 && (field = pl_take(&pair, 8)))
		keep_number(p, (const char *)name, length, get_be64(field));
	else if (type == TYPE_STRING && (field = pl_take(&pair, 4))) {
		uint32_t n = get_be32(field);
		const uint8_t *text = n <= 255 ? pl_take(&pair, n) : NULL;

		if (text && length == 4 && !memcmp(name, "name", 4)) {
			p->name = text;
			p->name_length = n;
		} else if (text && length == 8 && !memcmp(name, "hostname", 8)) {
			p->host = text;
			p->host_length = n;
		}
	}
	return true;
}

/* XDR encoding, version 0, unique names; then the pairs. */
static bool
parse_list(const uint8_t *bytes, struct pool *p)
{
	struct pl_cursor list = { bytes + 12, bytes + LIST_SIZE };

	*p = (struct pool){ 0 };
	if (bytes[0] != 1 || get_be32(bytes + 4) != 0 || get_be32(bytes + 8) != 1)
		return false;
	while (take_pair(&list, p))
		;
	return p->has_guid;
}

/* Newest transaction of the ring; 0: no uberblock at all. */
static uint64_t
newest_uberblock(const uint8_t *ring)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < RING_SIZE; i += UBERBLOCK_SIZE) {
		uint64_t txg = 0;

		if (get_le64(ring + i) == UBERBLOCK_MAGIC)
			txg = get_le64(ring + i + UBERBLOCK_TXG);
		else if (get_be64(ring + i) == UBERBLOCK_MAGIC)
			txg = get_be64(ring + i + UBERBLOCK_TXG);
		newest = PL_MAX(newest, txg);
	}
	return newest;
}

static void
tell_pool(struct pl_disk *disk, struct pl_content *c, const struct pool *p, uint64_t label)
{
	static const char *const states[] = { "active", "exported", "destroyed", "spare", "cache" };
	PL_AUTOFREE uint8_t *ring = malloc(RING_SIZE);
	uint64_t txg = 0;

	c->evidence = 8 + 64 + 9 * 8 + 32;
	if (p->name)
		pl_super_label(c, p->name, p->name_length);
	pl_super_uuid_text(c, "%" PRIu64, p->guid);
	pl_fact_number(&c->facts, "version", "version", p->version);
	if (p->state < ARRAY_SIZE(states))
		pl_fact_text(&c->facts, "state", "state", "%s", states[p->state]);
	pl_fact_text(&c->facts, "device_guid", "this device's GUID", "%" PRIu64, p->device_guid);
	if (p->host)
		pl_fact_text(&c->facts, "host", "last used by", "%.*s", (int)p->host_length,
			     (const char *)p->host);
	if (ring && pl_super_read(disk, c, ring, RING_SIZE, label + RING_OFFSET, "the uberblocks"))
		txg = newest_uberblock(ring);
	if (txg)
		pl_fact_number(&c->facts, "transaction", "transaction", txg);
}

static int
zfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint64_t end = pl_round_down(disk->size, LABEL_SIZE);
	const uint64_t labels[] = { 0, LABEL_SIZE, end - 2 * LABEL_SIZE, end - LABEL_SIZE };
	uint8_t list[LIST_SIZE];
	struct pool p;

	if (end < 4 * LABEL_SIZE)
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		uint64_t at = labels[i] + LIST_OFFSET;

		if (i == 0)
			memcpy(list, c->head + at, LIST_SIZE);
		else if (pl_read(disk, list, LIST_SIZE, at, NULL) < 0)
			continue;
		if (!parse_list(list, &p))
			continue;
		if (i > 1) {
			pl_warn(&c->facts, "only the labels at the end are left: overwritten?");
			c->leftover = true;
		}
		tell_pool(disk, c, &p, labels[i]);
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_zfs = {
	.info = { .name = "zfs_member", .longname = "ZFS pool member" },
	.usage = "raid",
	.identify = zfs_identify,
};
