/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ntfs/node.c - what is known of one file: sizes, times, owner, extended attributes, streams */
#include "ntfs.h"
#include "text.h"

enum {
	INFO_CREATED = 0,
	INFO_MODIFIED = 8,
	INFO_CHANGED = 16,
	INFO_ACCESSED = 24,
	INFO_FLAGS = 32,
	INFO_LENGTH = 36,
	INFO_SECURITY_ID = 52,
	INFO_WITH_SECURITY = 56, /* since Windows 2000 */
};

/*
 * An entry of $EA: offset of the next from this one (4; 0: the last), flags (1), length of the
 * name (1) and of the value (2), the name, a NUL, the value.
 */
enum {
	EA_NEXT = 0,
	EA_NAME_LENGTH = 5,
	EA_VALUE_LENGTH = 6,
	EA_NAME = 8,
};

/* What Windows allows for all of a file's. */
#define MAX_EA KIB(64)

/* Windows limits what it reads of one to 64 KiB. */
#define MAX_SECURITY KIB(256)

#define MAX_STREAM_UNITS 255

/* Units of 100 ns since 1601 in 1970. */
#define EPOCH 116444736000000000

struct platter_time
pl_ntfs_time(uint64_t since_1601)
{
	int64_t t = (int64_t)(since_1601 - EPOCH);
	struct platter_time ret = { PLATTER_NO_TIME, 0 };

	if (!since_1601 || since_1601 > INT64_MAX)
		return ret;
	ret.seconds = t / 10000000 - (t % 10000000 < 0);
	ret.nanoseconds = (uint32_t)((t - ret.seconds * 10000000) * 100);
	return ret;
}

static const struct ntfs_attribute *
find_info(const struct ntfs_node *n)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_STANDARD_INFORMATION, NULL);

	return a && a->resident && a->length >= INFO_LENGTH ? a : NULL;
}

uint32_t
pl_ntfs_file_flags(const struct ntfs_node *n)
{
	const struct ntfs_attribute *a = find_info(n);

	return a ? get_le32(a->value + INFO_FLAGS) : 0;
}

static const struct {
	uint32_t flag, attribute;
} flags[] = {
	{ NTFS_FILE_READ_ONLY, PLATTER_FILE_READ_ONLY },
	{ NTFS_FILE_HIDDEN, PLATTER_FILE_HIDDEN },
	{ NTFS_FILE_SYSTEM, PLATTER_FILE_SYSTEM },
	{ NTFS_FILE_ARCHIVE, PLATTER_FILE_ARCHIVE },
	{ NTFS_FILE_SPARSE, PLATTER_FILE_SPARSE },
	{ NTFS_FILE_COMPRESSED, PLATTER_FILE_COMPRESSED },
};

static void
stat_info(const struct ntfs_node *n, struct platter_file *ret)
{
	const struct ntfs_attribute *a = find_info(n);
	uint32_t set;

	if (!a) {
		ret->attributes |= PLATTER_FILE_DAMAGED;
		return;
	}
	set = get_le32(a->value + INFO_FLAGS);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (set & flags[i].flag)
			ret->attributes |= flags[i].attribute;
	/* Of a folder it means what will be made in it. */
	if (set & NTFS_FILE_ENCRYPTED && !(n->flags & NTFS_IS_FOLDER))
		ret->attributes |= PLATTER_FILE_ENCRYPTED;
	ret->created = pl_ntfs_time(get_le64(a->value + INFO_CREATED));
	ret->modified = pl_ntfs_time(get_le64(a->value + INFO_MODIFIED));
	ret->changed = pl_ntfs_time(get_le64(a->value + INFO_CHANGED));
	ret->accessed = pl_ntfs_time(get_le64(a->value + INFO_ACCESSED));
}

/* Names, without those for DOS; and whether a folder of metadata has it. */
static void
stat_names(const struct ntfs_node *n, struct platter_file *ret)
{
	uint32_t nr = 0;

	if (n->number < NTFS_FIRST_USER_RECORD && n->number != NTFS_RECORD_ROOT)
		ret->attributes |= PLATTER_FILE_METADATA;
	for (size_t i = 0; i < n->nr; i++) {
		const struct ntfs_attribute *a = &n->attribute[i];

		if (a->type != NTFS_FILE_NAME || !pl_ntfs_is_file_name(a->value, a->length))
			continue;
		nr += a->value[FILE_NAME_SPACE] != NTFS_DOS;
		if (pl_ntfs_number(get_le64(a->value + FILE_NAME_PARENT)) == NTFS_RECORD_EXTEND)
			ret->attributes |= PLATTER_FILE_METADATA;
	}
	ret->links = PL_MAX(nr, 1u);
}

static void
stat_size(const struct ntfs_node *n, struct platter_file *ret)
{
	bool folder = n->flags & NTFS_IS_FOLDER;
	const struct ntfs_attribute *a = folder ? pl_ntfs_find(n, NTFS_INDEX_ALLOCATION, "$I30")
						: pl_ntfs_find(n, NTFS_DATA, NULL);

	ret->allocated = a ? a->allocated : 0;
	ret->size = a && !folder ? a->size : 0;
	/* What ntfs-3g takes for a FIFO; in Windows it may be just empty. */
	if (!folder && !ret->size && pl_ntfs_file_flags(n) & NTFS_FILE_SYSTEM)
		ret->note = "empty system file: a FIFO of Interix";
	if (!folder && !a && n->damage)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	if (a && a->flags & NTFS_ENCRYPTED && !folder)
		ret->attributes |= PLATTER_FILE_ENCRYPTED;
}

typedef int ea_fn(void *closure, const char *name, const uint8_t *value, size_t n,
		  struct platter_error *err);

static int
each_ea(const uint8_t *bytes, size_t length, ea_fn *fn, void *closure, struct platter_error *err)
{
	size_t offset = 0;
	int r = 0;

	while (r == 0 && length - offset >= EA_NAME) {
		const uint8_t *p = bytes + offset;
		uint32_t next = get_le32(p + EA_NEXT);
		size_t name = p[EA_NAME_LENGTH], value = get_le16(p + EA_VALUE_LENGTH);

		if (EA_NAME + name + 1 + value > length - offset || p[EA_NAME + name])
			return pl_corrupt(
				err, PLATTER_NO_OFFSET,
				"extended attribute of %zu + %zu bytes in the last %zu of all",
				name, value, length - offset);
		r = fn(closure, (const char *)p + EA_NAME, p + EA_NAME + name + 1, value, err);
		if (!next || next > length - offset)
			break;
		/* Each is at least as long as its head, so this ends. */
		offset += PL_MAX(next, (uint32_t)EA_NAME);
	}
	return r;
}

/* What WSL keeps. */
static int
take_wsl(void *closure, const char *name, const uint8_t *value, size_t n, struct platter_error *err)
{
	struct platter_file *file = closure;

	(void)err;
	if (n < 4)
		return 0;
	if (!strcasecmp(name, "$LXUID")) {
		file->uid = get_le32(value);
		file->has_owner = true;
	} else if (!strcasecmp(name, "$LXGID")) {
		file->gid = get_le32(value);
		file->has_owner = true;
	} else if (!strcasecmp(name, "$LXMOD")) {
		file->mode = get_le32(value) & 07777;
		file->has_mode = true;
	} else if (!strcasecmp(name, "$LXDEV") && n >= 8) {
		file->major = get_le32(value);
		file->minor = get_le32(value + 4);
	}
	return 0;
}

static int
load_ea(struct ntfs_fs *fs, const struct ntfs_node *n, uint8_t **ret, size_t *ret_n,
	struct platter_error *err)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_EA, NULL);

	*ret = NULL;
	*ret_n = 0;
	return a ? pl_ntfs_value_load(fs, n, a, MAX_EA, ret, ret_n, err) : 0;
}

/*
 * Interix, and ntfs-3g after it, makes links and devices of small files with the flag "system".
 */
static const struct {
	char magic[9];
	enum platter_file_type type;
} interix[] = {
	{ "IntxLNK\1", PLATTER_FILE_SYMLINK },
	{ "IntxCHR", PLATTER_FILE_CHARACTER_DEVICE },
	{ "IntxBLK", PLATTER_FILE_BLOCK_DEVICE },
};
#define INTERIX_MAGIC 8

static bool
may_be_interix(const struct ntfs_node *n, const struct ntfs_attribute *data)
{
	return data && !(n->flags & NTFS_IS_FOLDER) && pl_ntfs_file_flags(n) & NTFS_FILE_SYSTEM &&
	       data->size > INTERIX_MAGIC && data->size <= PL_MAX_TARGET &&
	       !(data->flags & (NTFS_COMPRESSION | NTFS_ENCRYPTED));
}

/* Type UNKNOWN, without contents: it is none of Interix's. */
static int
load_interix(struct ntfs_fs *fs, const struct ntfs_node *n, enum platter_file_type *ret_type,
	     uint8_t **ret, size_t *ret_n, struct platter_error *err)
{
	const struct ntfs_attribute *data = pl_ntfs_find(n, NTFS_DATA, NULL);
	int r;

	*ret_type = PLATTER_FILE_UNKNOWN;
	*ret = NULL;
	*ret_n = 0;
	if (!may_be_interix(n, data))
		return 0;
	r = pl_ntfs_value_load(fs, n, data, PL_MAX_TARGET, ret, ret_n, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(interix); i++)
		if (!memcmp(*ret, interix[i].magic, INTERIX_MAGIC))
			*ret_type = interix[i].type;
	if (*ret_type == PLATTER_FILE_UNKNOWN)
		free(PL_STEAL(*ret));
	return r;
}

static char *
interix_target(const uint8_t *bytes, size_t n)
{
	size_t nr = (n - INTERIX_MAGIC) / 2;
	char *text = malloc(3 * nr + 1);

	if (text)
		pl_name_from_utf16le(bytes + INTERIX_MAGIC, nr, text);
	return text;
}

static int
stat_interix(struct ntfs_fs *fs, const struct ntfs_node *n, struct platter_file *ret,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	enum platter_file_type type;
	size_t length;
	int r = load_interix(fs, n, &type, &bytes, &length, err);

	if (r < 0 || type == PLATTER_FILE_UNKNOWN)
		return r;
	ret->type = type;
	ret->note = "special file of Interix";
	ret->size = 0;
	if (type == PLATTER_FILE_SYMLINK) {
		PL_AUTOFREE char *target = interix_target(bytes, length);

		if (!target)
			return pl_no_memory(err);
		ret->size = strlen(target);
	} else if (length >= INTERIX_MAGIC + 16) {
		ret->major = (uint32_t)get_le64(bytes + INTERIX_MAGIC);
		ret->minor = (uint32_t)get_le64(bytes + INTERIX_MAGIC + 8);
	}
	return 0;
}

static int
stat_reparse(struct ntfs_fs *fs, const struct ntfs_node *n, struct platter_file *ret,
	     struct platter_error *err)
{
	struct ntfs_reparse reparse;
	const struct ntfs_attribute *packed;
	char *target = NULL;
	int r = pl_ntfs_reparse_load(fs, n, &reparse, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	ret->note = reparse.note;
	if (reparse.type != PLATTER_FILE_UNKNOWN) {
		ret->type = reparse.type;
		ret->major = reparse.major;
		ret->minor = reparse.minor;
	}
	if (reparse.tag == NTFS_TAG_WOF) {
		ret->attributes |= PLATTER_FILE_COMPRESSED;
		packed = pl_ntfs_find(n, NTFS_DATA, NTFS_WOF_STREAM);
		if (packed)
			ret->allocated = packed->allocated;
	} else if (ret->type == PLATTER_FILE_SYMLINK) {
		r = pl_ntfs_reparse_target(n, &reparse, &target, err);
		if (r == 0)
			ret->size = strlen(target);
		free(target);
	}
	pl_ntfs_reparse_done(&reparse);
	return r;
}

int
pl_ntfs_stat_node(struct ntfs_fs *fs, const struct ntfs_node *n, struct platter_file *ret,
		  struct platter_error *err)
{
	PL_AUTOFREE uint8_t *ea = NULL;
	size_t length;
	int r;

	ret->inode = n->number;
	ret->type = n->flags & NTFS_IS_FOLDER ? PLATTER_FILE_FOLDER : PLATTER_FILE_REGULAR;
	if (n->damage)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	if (!(n->flags & NTFS_IN_USE))
		ret->attributes |= PLATTER_FILE_DELETED;
	stat_info(n, ret);
	stat_names(n, ret);
	stat_size(n, ret);
	r = stat_reparse(fs, n, ret, err);
	if (r == 0)
		r = stat_interix(fs, n, ret, err);
	if (r == 0)
		r = load_ea(fs, n, &ea, &length, err);
	if (r == 0)
		r = each_ea(ea, length, take_wsl, ret, err);
	/* What else is known of it, is. */
	if (r == -EUCLEAN) {
		ret->attributes |= PLATTER_FILE_DAMAGED;
		r = 0;
	}
	return r;
}

int
pl_ntfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	     struct platter_error *err)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, id.inode, NTFS_BEGINNINGS, &n, err);

	if (r == 0)
		r = pl_ntfs_stat_node(fs, &n, ret, err);
	pl_ntfs_node_done(&n);
	return r;
}

static int
read_link(struct ntfs_fs *fs, const struct ntfs_node *n, char **ret, struct platter_error *err)
{
	struct ntfs_reparse reparse;
	PL_AUTOFREE uint8_t *bytes = NULL;
	enum platter_file_type type;
	size_t length;
	int r = pl_ntfs_reparse_load(fs, n, &reparse, err);

	if (r == 0) {
		r = pl_ntfs_reparse_target(n, &reparse, ret, err);
		pl_ntfs_reparse_done(&reparse);
		return r;
	}
	if (r != -ENOENT)
		return r;
	r = load_interix(fs, n, &type, &bytes, &length, err);
	if (r == 0 && type != PLATTER_FILE_SYMLINK)
		r = pl_invalid(err, "MFT record %" PRIu64 " is no symbolic link", n->number);
	if (r < 0)
		return r;
	*ret = interix_target(bytes, length);
	return *ret ? 0 : pl_no_memory(err);
}

int
pl_ntfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, id.inode, NTFS_WHOLE, &n, err);

	if (r == 0)
		r = read_link(fs, &n, ret, err);
	pl_ntfs_node_done(&n);
	return r;
}

struct giver {
	pl_attribute_fn *fn;
	void *closure;
};

static int
give(const struct giver *g, const char *name, const void *value, size_t n,
     struct platter_error *err)
{
	const struct pl_attribute a = { .name = name, .value = value, .size = n };

	return g->fn(g->closure, &a, err);
}

/* Linux's ntfs3 keeps extended attributes under their own names. */
static int
give_ea(void *closure, const char *name, const uint8_t *value, size_t n, struct platter_error *err)
{
	static const char *const spaces[] = { "user.", "security.", "trusted.", "system." };

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (!strncmp(name, spaces[i], strlen(spaces[i])))
			return give(closure, name, value, n, err);
	return 0;
}

static int
give_security(struct ntfs_fs *fs, const struct ntfs_node *n, const struct giver *g,
	      struct platter_error *err)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_SECURITY_DESCRIPTOR, NULL);
	const struct ntfs_attribute *info = find_info(n);
	PL_AUTOFREE uint8_t *value = NULL;
	size_t length = 0;
	int r;

	if (a)
		r = pl_ntfs_value_load(fs, n, a, MAX_SECURITY, &value, &length, err);
	else if (info && info->length >= INFO_WITH_SECURITY &&
		 get_le32(info->value + INFO_SECURITY_ID))
		r = pl_ntfs_secure_find(fs, get_le32(info->value + INFO_SECURITY_ID), &value,
					&length, err);
	else
		return 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return give(g, "system.ntfs_acl", value, length, err);
}

static int
give_dos_name(const struct ntfs_node *n, const struct giver *g, struct platter_error *err)
{
	char name[3 * 255 + 1];
	size_t length;

	for (size_t i = 0; i < n->nr; i++) {
		const struct ntfs_attribute *a = &n->attribute[i];

		if (a->type == NTFS_FILE_NAME && pl_ntfs_is_file_name(a->value, a->length) &&
		    a->value[FILE_NAME_SPACE] == NTFS_DOS) {
			length = pl_name_from_utf16le(a->value + FILE_NAME_NAME,
						      a->value[FILE_NAME_LENGTH], name);
			return give(g, "system.ntfs_dos_name", name, length, err);
		}
	}
	return 0;
}

static int
give_xattrs(struct ntfs_fs *fs, const struct ntfs_node *n, struct giver *g,
	    struct platter_error *err)
{
	PL_AUTOFREE uint8_t *ea = NULL;
	struct ntfs_reparse reparse;
	size_t length;
	int r = give_security(fs, n, g, err), r2;

	if (r > 0)
		return r;
	r2 = pl_ntfs_reparse_load(fs, n, &reparse, r ? NULL : err);
	if (r2 == 0) {
		r2 = give(g, "system.ntfs_reparse_data", reparse.value, reparse.length, err);
		pl_ntfs_reparse_done(&reparse);
	}
	if (r2 > 0)
		return r2;
	r = r ? r : r2 == -ENOENT ? 0 : r2;
	r2 = give_dos_name(n, g, err);
	if (r2 > 0)
		return r2;
	r2 = load_ea(fs, n, &ea, &length, r ? NULL : err);
	if (r2 == 0 && length)
		r2 = give(g, "system.ntfs_ea", ea, length, err);
	if (r2 == 0)
		r2 = each_ea(ea, length, give_ea, g, r ? NULL : err);
	return r2 > 0 || !r ? r2 : r;
}

int
pl_ntfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	       struct platter_error *err)
{
	struct giver g = { fn, closure };
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, id.inode, NTFS_WHOLE, &n, err);

	if (r == 0)
		r = give_xattrs(fs, &n, &g, err);
	pl_ntfs_node_done(&n);
	return r;
}

static int
give_streams(struct ntfs_fs *fs, const struct ntfs_node *n, const struct giver *g,
	     struct platter_error *err)
{
	char name[3 * MAX_STREAM_UNITS + 1];
	struct ntfs_reparse reparse;
	bool wof = pl_ntfs_reparse_load(fs, n, &reparse, NULL) == 0 && reparse.tag == NTFS_TAG_WOF;
	int r = 0;

	pl_ntfs_reparse_done(&reparse);
	for (size_t i = 0; i < n->nr && r == 0; i++) {
		const struct ntfs_attribute *a = &n->attribute[i];
		struct pl_attribute out = { .name = name, .size = a->size };

		if (a->type != NTFS_DATA || !a->name_units || a->vcn)
			continue;
		pl_name_from_utf16le(a->name, a->name_units, name);
		/* What the unnamed contents are made of. */
		if (!wof || strcmp(name, NTFS_WOF_STREAM) != 0)
			r = g->fn(g->closure, &out, err);
	}
	if (r == 0 && n->damage) {
		if (err)
			*err = n->why;
		r = n->damage;
	}
	return r;
}

int
pl_ntfs_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		struct platter_error *err)
{
	const struct giver g = { fn, closure };
	struct ntfs_fs *fs = pl_ntfs_of(v);
	struct ntfs_node n;
	int r = pl_ntfs_node_load(fs, id.inode, NTFS_BEGINNINGS, &n, err);

	if (r == 0)
		r = give_streams(fs, &n, &g, err);
	pl_ntfs_node_done(&n);
	return r;
}
