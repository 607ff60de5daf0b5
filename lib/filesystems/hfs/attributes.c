/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/attributes.c - extended attributes of HFS Plus
 *
 * A tree, whose keys are 2 length, 2 nothing, 4 CNID, 4 first block, 2 units of the name, name.
 * TN1150 reserves the kinds of records; core/hfs_format.h of Apple's hfs tells them.
 *
 *	kind   record
 *	0x10   4 kind, 8 nothing, 4 length, the value
 *	0x20   4 kind, 4 nothing, 80 fork with the value
 *	0x30   4 kind, 4 nothing, 64 more extents of it, under their first block
 */
#include "hfs.h"
#include "text.h"

enum {
	KIND_INLINE = 0x10,
	KIND_FORK = 0x20,
	KIND_EXTENTS = 0x30,
};

struct walk {
	struct hfs *fs;
	const char *wanted;
	pl_attribute_fn *fn;
	void *closure;
	bool ended; /* by what takes the attributes */
	/* A value in a fork, until the next name tells that its extents are all known. */
	bool pending;
	uint64_t size, blocks;
	struct pl_runs runs;
	char name[HFS_MAX_UTF8 + 1];
	/* Damage to one attribute that did not end the walk. */
	int damage;
	struct platter_error first;
};

static int
order_attribute(const void *wanted, const uint8_t *key, unsigned n)
{
	uint32_t cnid = n < 6 ? 0 : get_be32(key + 2), w = *(const uint32_t *)wanted;

	return (cnid > w) - (cnid < w);
}

static int
pass(struct walk *w, const struct pl_attribute *a, struct platter_error *err)
{
	int r = w->fn(w->closure, a, err);

	w->ended = r != 0;
	return r;
}

static int
read_fork(struct walk *w, uint8_t **ret, struct platter_error *err)
{
	int r;

	if (w->size > PL_MAX_XATTR)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "attribute '%s' of %" PRIu64 " bytes, limit is %" PRIu64,
				     w->name, w->size, (uint64_t)PL_MAX_XATTR);
	if (w->blocks * w->fs->block_size < w->size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "attribute '%s' of %" PRIu64 " bytes has only %" PRIu64 " blocks",
				  w->name, w->size, w->blocks);
	*ret = malloc((size_t)w->size + 1);
	if (!*ret)
		return pl_no_memory(err);
	r = pl_hfs_read(w->fs, &w->runs, *ret, (size_t)w->size, 0, err);
	if (r < 0)
		free(PL_STEAL(*ret));
	return r;
}

static int
remember(struct walk *w, int r, const struct platter_error *why, struct platter_error *err)
{
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (!w->damage) {
		w->damage = r;
		w->first = *why;
	}
	return 0;
}

/* Pass the value on that was in a fork. */
static int
finish_fork(struct walk *w, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *value = NULL;
	struct pl_attribute a = { .name = w->name, .size = w->size };
	int r;

	if (!w->pending)
		return 0;
	w->pending = false;
	r = read_fork(w, &value, &why);
	pl_runs_done(&w->runs);
	if (r < 0)
		return remember(w, r, &why, err);
	a.value = value;
	return pass(w, &a, err);
}

static int
take_fork(struct walk *w, const struct hfs_record *record, struct platter_error *err)
{
	struct hfs_fork fork;

	if (record->length < 8 + 80)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "attribute record of %u bytes",
				  record->length);
	pl_hfs_fork_plus(record->data + 8, &fork);
	w->pending = true;
	w->size = fork.size;
	w->blocks = 0;
	return pl_hfs_add_extents(w->fs, fork.extents, pl_div_round_up(w->size, w->fs->block_size),
				  &w->blocks, &w->runs, err);
}

static int
take_more_extents(struct walk *w, const struct hfs_record *record, struct platter_error *err)
{
	if (record->length < 8 + 64)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "attribute record of %u bytes",
				  record->length);
	if (get_be32(record->key + 6) != w->blocks)
		return 0;
	return pl_hfs_add_extents(w->fs, record->data + 8,
				  pl_div_round_up(w->size, w->fs->block_size), &w->blocks, &w->runs,
				  err);
}

static int
take_inline(struct walk *w, const struct hfs_record *record, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct pl_attribute a = { .name = w->name };

	if (record->length < 16 || get_be32(record->data + 12) > record->length - 16)
		return remember(w,
				pl_corrupt(&why, PLATTER_NO_OFFSET,
					   "attribute '%s' is longer than its record", w->name),
				&why, err);
	a.value = record->data + 16;
	a.size = get_be32(record->data + 12);
	return pass(w, &a, err);
}

static int
take_record(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	struct walk *w = closure;
	struct platter_error why = PLATTER_ERROR_INIT;
	uint32_t kind = record->length < 4 ? 0 : get_be32(record->data);
	unsigned nr = record->key_length < 12 ? 0 : get_be16(record->key + 10);
	int r;

	if (!nr || nr > HFS_MAX_UNITS || 12 + 2 * nr > record->key_length)
		return 0;
	if (kind == KIND_EXTENTS) {
		r = w->pending ? take_more_extents(w, record, &why) : 0;
		return r < 0 ? remember(w, r, &why, err) : 0;
	}
	r = finish_fork(w, err);
	if (r)
		return r;
	pl_name_from_utf16be(record->key + 12, nr, w->name);
	if (w->wanted && strcmp(w->name, w->wanted) != 0)
		return 0;
	if (kind == KIND_INLINE)
		return take_inline(w, record, err);
	r = kind == KIND_FORK
		    ? take_fork(w, record, &why)
		    : pl_corrupt(&why, PLATTER_NO_OFFSET,
				 "attribute '%s' of unknown kind 0x%" PRIx32, w->name, kind);
	if (r < 0) {
		w->pending = false;
		pl_runs_done(&w->runs);
		return remember(w, r, &why, err);
	}
	return 0;
}

int
pl_hfs_attributes(struct hfs *fs, uint32_t cnid, const char *wanted, pl_attribute_fn *fn,
		  void *closure, struct platter_error *err)
{
	struct walk w = { .fs = fs, .wanted = wanted, .fn = fn, .closure = closure };
	int r, last;

	if (!fs->attributes.size)
		return 0;
	r = pl_hfs_tree_walk(fs, &fs->attributes, order_attribute, &cnid, take_record, &w, err);
	/* Damage elsewhere in the tree does not hide what was found. */
	last = w.ended ? 0 : finish_fork(&w, r < 0 ? NULL : err);
	pl_runs_done(&w.runs);
	if (r == 0)
		r = last;
	if (r == 0 && w.damage) {
		if (err)
			*err = w.first;
		r = w.damage;
	}
	return r;
}

struct value {
	uint8_t *bytes;
	size_t n;
};

static int
copy_value(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct value *v = closure;

	v->n = (size_t)a->size;
	v->bytes = malloc(v->n + 1);
	if (!v->bytes)
		return pl_no_memory(err);
	memcpy(v->bytes, a->value, v->n);
	return 1;
}

int
pl_hfs_attribute(struct hfs *fs, uint32_t cnid, const char *name, uint8_t **ret, size_t *ret_n,
		 struct platter_error *err)
{
	struct value v = { 0 };
	int r = pl_hfs_attributes(fs, cnid, name, copy_value, &v, err);

	if (!v.bytes)
		return r < 0 ? r : -ENOENT;
	*ret = v.bytes;
	*ret_n = v.n;
	return 0;
}
