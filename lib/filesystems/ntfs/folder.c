/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/folder.c - the names in a folder: the index "$I30", whose keys are $FILE_NAME values
 *
 * Names are in the order of $UpCase, a table of what each UTF-16 unit is in capitals, and where
 * they are one in capitals, in the order of their units.  A file may have a second name for
 * DOS, an entry of its own: it is found, and not listed.
 */
#include "ntfs.h"
#include "text.h"

#define MAX_UNITS    255
#define UPCASE_UNITS 65536

bool
pl_ntfs_is_file_name(const uint8_t *value, uint32_t length)
{
	return length >= FILE_NAME_NAME && value[FILE_NAME_LENGTH] &&
	       pl_in_range(FILE_NAME_NAME, value[FILE_NAME_LENGTH] * 2u, length);
}

static int
open_folder(struct ntfs_fs *fs, uint64_t id, struct ntfs_node *n, struct ntfs_index *index,
	    struct platter_error *err)
{
	int r = pl_ntfs_node_load(fs, id, NTFS_WHOLE, n, err);

	if (r < 0)
		return r;
	if (!(n->flags & NTFS_IS_FOLDER))
		return pl_fail_at(err, -ENOTDIR, n->at, "MFT record %" PRIu64 " is no folder",
				  n->number);
	r = pl_ntfs_index_open(fs, n, "$I30", index, err);
	return r == -ENOENT ? pl_corrupt(err, n->at, "folder without an index, MFT record %" PRIu64,
					 n->number)
			    : r;
}

struct lister {
	pl_entry_fn *fn;
	void *closure;
	bool is_root;
};

/*
 * The type, as far as the copy of the file's flags in its folder tells: files with the flag
 * "system" may be links of Interix.
 */
static enum platter_file_type
type_of(const uint8_t *name)
{
	uint32_t flags = get_le32(name + FILE_NAME_FLAGS);

	if (flags & NTFS_FILE_REPARSE)
		return PLATTER_FILE_UNKNOWN;
	if (flags & NTFS_FILE_FOLDER)
		return PLATTER_FILE_FOLDER;
	return flags & NTFS_FILE_SYSTEM ? PLATTER_FILE_UNKNOWN : PLATTER_FILE_REGULAR;
}

static int
list_entry(void *closure, const struct ntfs_index_entry *e, struct platter_error *err)
{
	struct lister *l = closure;
	char name[3 * MAX_UNITS + 1];
	struct pl_entry entry = { .name = name, .id.inode = e->reference & ~NTFS_DELETED };

	if (!pl_ntfs_is_file_name(e->key, e->key_length))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "name of %u units in an index entry with a key of %" PRIu32
				  " bytes",
				  e->key_length > FILE_NAME_LENGTH ? e->key[FILE_NAME_LENGTH] : 0,
				  e->key_length);
	if (e->key[FILE_NAME_SPACE] == NTFS_DOS)
		return 0;
	if (l->is_root && pl_ntfs_number(e->reference) < NTFS_FIRST_USER_RECORD)
		return 0;
	entry.length =
		pl_name_from_utf16le(e->key + FILE_NAME_NAME, e->key[FILE_NAME_LENGTH], name);
	entry.type = type_of(e->key);
	return l->fn(l->closure, &entry, err);
}

int
pl_ntfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct lister l = { fn, closure, pl_ntfs_number(folder.inode) == NTFS_RECORD_ROOT };
	struct ntfs_index index = { 0 };
	struct ntfs_node n;
	int r = open_folder(pl_ntfs_of(v), folder.inode, &n, &index, err);

	if (r == 0)
		r = pl_ntfs_index_walk(&index, list_entry, &l, err);
	pl_ntfs_index_done(&index);
	pl_ntfs_node_done(&n);
	return r;
}

/* $UpCase, for the rest of the volume's life; NULL: it cannot be read. */
static const uint16_t *
get_upcase(struct ntfs_fs *fs)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	const struct ntfs_attribute *data;
	struct ntfs_node n;
	size_t length = 0;

	pthread_mutex_lock(&fs->lock);
	if (fs->tried_upcase)
		goto done;
	fs->tried_upcase = true;
	if (pl_ntfs_node_load(fs, NTFS_RECORD_UPCASE, NTFS_WHOLE, &n, NULL) == 0) {
		data = pl_ntfs_find(&n, NTFS_DATA, NULL);
		if (data && data->size == UPCASE_UNITS * 2)
			pl_ntfs_value_load(fs, &n, data, UPCASE_UNITS * 2, &bytes, &length, NULL);
	}
	pl_ntfs_node_done(&n);
	if (bytes)
		fs->upcase = malloc(UPCASE_UNITS * sizeof *fs->upcase);
	for (size_t i = 0; fs->upcase && i < UPCASE_UNITS; i++)
		fs->upcase[i] = get_le16(bytes + 2 * i);
done:
	pthread_mutex_unlock(&fs->lock);
	return fs->upcase;
}

struct sought {
	const uint16_t *upcase;
	const uint8_t *units;
	size_t nr;
	bool exact, found, found_exact;
	uint64_t reference;
};

static int
compare_name(const void *closure, const struct ntfs_index_entry *e)
{
	const struct sought *s = closure;
	const uint8_t *name = e->key + FILE_NAME_NAME;
	size_t nr;

	/* Damage; what is sought may be anywhere. */
	if (!pl_ntfs_is_file_name(e->key, e->key_length))
		return 0;
	nr = e->key[FILE_NAME_LENGTH];
	for (size_t i = 0; i < s->nr && i < nr; i++) {
		uint16_t a = s->upcase[get_le16(s->units + 2 * i)];
		uint16_t b = s->upcase[get_le16(name + 2 * i)];

		if (a != b)
			return a < b ? -1 : 1;
	}
	return s->nr < nr ? -1 : s->nr > nr;
}

static int
take_name(void *closure, const struct ntfs_index_entry *e, struct platter_error *err)
{
	struct sought *s = closure;
	bool exact;

	(void)err;
	if (!pl_ntfs_is_file_name(e->key, e->key_length))
		return 0;
	exact = !memcmp(e->key + FILE_NAME_NAME, s->units, s->nr * 2);
	if ((s->exact && !exact) || (s->found && !exact))
		return 0;
	s->found = true;
	s->reference = e->reference & ~NTFS_DELETED;
	return exact;
}

/* Without $UpCase, or in a damaged index, all names are looked at. */
struct finder {
	const char *name;
	size_t n;
	bool exact, found;
	uint64_t reference;
};

static int
find_name(void *closure, const struct ntfs_index_entry *e, struct platter_error *err)
{
	struct finder *f = closure;
	char name[3 * MAX_UNITS + 1];
	size_t n;

	(void)err;
	if (!pl_ntfs_is_file_name(e->key, e->key_length))
		return 0;
	n = pl_name_from_utf16le(e->key + FILE_NAME_NAME, e->key[FILE_NAME_LENGTH], name);
	if (n == f->n && !memcmp(name, f->name, n)) {
		f->found = true;
		f->reference = e->reference & ~NTFS_DELETED;
		return 1;
	}
	if (!f->exact && !f->found && pl_names_equal_folded(name, n, f->name, f->n)) {
		f->found = true;
		f->reference = e->reference & ~NTFS_DELETED;
	}
	return 0;
}

static int
find_by_walk(struct ntfs_index *index, const char *name, size_t n, bool exact, uint64_t *ret,
	     struct platter_error *err)
{
	struct finder f = { .name = name, .n = n, .exact = exact };
	int r = pl_ntfs_index_walk(index, find_name, &f, err);

	if (!f.found)
		return r < 0 ? r : -ENOENT;
	*ret = f.reference;
	return 0;
}

/*
 * Windows tells names that differ in case alone apart in folders that are marked so, by
 * version 1 without versions.
 */
static bool
tells_case_apart(const struct ntfs_node *n)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_STANDARD_INFORMATION, NULL);

	return a && a->resident && a->length >= 44 && !get_le32(a->value + 36) &&
	       get_le32(a->value + 40) == 1;
}

static int
find(struct ntfs_fs *fs, struct ntfs_index *index, const char *name, size_t n, uint64_t *ret,
     struct platter_error *err)
{
	bool exact = tells_case_apart(index->node);
	struct sought s = { .upcase = get_upcase(fs), .exact = exact };
	PL_AUTOFREE char *text = strndup(name, n);
	PL_AUTOFREE uint8_t *units = text ? pl_utf16le_from_text(text, &s.nr) : NULL;
	int r;

	if (!units)
		return pl_no_memory(err);
	if (!s.upcase)
		return find_by_walk(index, name, n, exact, ret, err);
	if (!s.nr || s.nr > MAX_UNITS)
		return -ENOENT;
	s.units = units;
	r = pl_ntfs_index_search(index, compare_name, &s, take_name, &s, err);
	if (s.found) {
		*ret = s.reference;
		return 0;
	}
	/* U+FFFD in the name may stand for what is no UTF-16. */
	if (r < 0 || memmem(name, n, "\xef\xbf\xbd", 3))
		return find_by_walk(index, name, n, exact, ret, err);
	return -ENOENT;
}

int
pl_ntfs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	       struct pl_node_id *ret, struct platter_error *err)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_index index = { 0 };
	struct ntfs_node node;
	uint64_t reference = 0;
	int r = open_folder(fs, folder.inode, &node, &index, err);

	if (r == 0)
		r = find(fs, &index, name, n, &reference, err);
	if (r == 0)
		*ret = (struct pl_node_id){ .inode = reference };
	pl_ntfs_index_done(&index);
	pl_ntfs_node_done(&node);
	return r;
}
