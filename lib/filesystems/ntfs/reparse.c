/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/reparse.c - reparse points: links, devices, and files whose contents are elsewhere
 *
 *	offset  size  $REPARSE_POINT
 *	     0     4  tag
 *	     4     2  length of what follows at 8
 *	     8        symbolic link, mount point: offset and length (2 each) of the target as the
 *	              system reads it, and of that for people; a link's flags (4); the texts
 *
 * [MS-FSCC] 2.1.2 has the tags and their data; those of WSL are in its documentation.
 */
#include "ntfs.h"
#include "text.h"

#define REPARSE_DATA 8

/* Windows limits what it reads to 16 KiB. */
#define MAX_REPARSE KIB(64)

enum {
	LINK_TARGET = 0,
	LINK_TARGET_LENGTH = 2,
	LINK_FLAGS = 8, /* of symbolic links; bit 0: relative to the folder of the link */
	MOUNT_POINT_TEXT = 8,
	SYMLINK_TEXT = 12,
};

enum {
	WOF_PROVIDER = 4, /* 1: a WIM archive, 2: the file itself */
	WOF_ALGORITHM = 12,
	WOF_LENGTH = 16,
};

/* What Windows' NFS server makes: a type in 8 bytes, then the target or two numbers. */
static const struct {
	uint64_t type;
	enum platter_file_type is;
} nfs_types[] = {
	{ 0x014b4e4c, PLATTER_FILE_SYMLINK },    { 0x524843, PLATTER_FILE_CHARACTER_DEVICE },
	{ 0x4b4c42, PLATTER_FILE_BLOCK_DEVICE }, { 0x4f464946, PLATTER_FILE_FIFO },
	{ 0x4b434f53, PLATTER_FILE_SOCKET },
};

static const struct {
	uint32_t tag;
	enum platter_file_type type;
	const char *note;
} tags[] = {
	{ NTFS_TAG_MOUNT_POINT, PLATTER_FILE_SYMLINK, "junction" },
	{ NTFS_TAG_SYMLINK, PLATTER_FILE_SYMLINK, NULL },
	{ NTFS_TAG_LX_SYMLINK, PLATTER_FILE_SYMLINK, "link of WSL" },
	{ NTFS_TAG_AF_UNIX, PLATTER_FILE_SOCKET, "socket" },
	{ NTFS_TAG_LX_FIFO, PLATTER_FILE_FIFO, "FIFO of WSL" },
	{ NTFS_TAG_LX_CHR, PLATTER_FILE_CHARACTER_DEVICE, "device of WSL" },
	{ NTFS_TAG_LX_BLK, PLATTER_FILE_BLOCK_DEVICE, "device of WSL" },
	{ NTFS_TAG_NFS, PLATTER_FILE_OTHER, "special file of NFS" },
	{ NTFS_TAG_APP_EXEC_LINK, PLATTER_FILE_OTHER, "app execution alias" },
	{ NTFS_TAG_DEDUP, PLATTER_FILE_UNKNOWN, "deduplicated" },
	{ 0xc0000004, PLATTER_FILE_UNKNOWN, "in hierarchical storage" },
	{ 0x80000006, PLATTER_FILE_UNKNOWN, "in hierarchical storage" },
	{ 0x80000007, PLATTER_FILE_UNKNOWN, "in single instance storage" },
	{ 0x80000008, PLATTER_FILE_UNKNOWN, "in a mounted WIM archive" },
	{ 0x8000000a, PLATTER_FILE_UNKNOWN, "folder of DFS" },
	{ 0x80000012, PLATTER_FILE_UNKNOWN, "replicated by DFS" },
	{ 0x80000018, PLATTER_FILE_UNKNOWN, "layer of a container" },
	{ 0x80000021, PLATTER_FILE_UNKNOWN, "of OneDrive" },
	{ 0x8000001e, PLATTER_FILE_UNKNOWN, "of Azure File Sync" },
	{ 0x9000001c, PLATTER_FILE_UNKNOWN, "of a projected file system" },
	{ 0x90001018, PLATTER_FILE_UNKNOWN, "layer of a container" },
	{ 0xa0000019, PLATTER_FILE_OTHER, "global reparse point" },
	{ 0xa0000027, PLATTER_FILE_OTHER, "link of a container's layer" },
};

/* In the order of enum ntfs_wof_algorithm. */
static const char *const wof_notes[] = {
	"compressed with XPRESS, 4 KiB",
	"compressed with LZX, 32 KiB",
	"compressed with XPRESS, 8 KiB",
	"compressed with XPRESS, 16 KiB",
};

int
pl_ntfs_wof_algorithm(const struct ntfs_node *n, const struct ntfs_reparse *r,
		      enum ntfs_wof_algorithm *ret, struct platter_error *err)
{
	const uint8_t *data = r->value + REPARSE_DATA;
	uint32_t algorithm;

	if (r->length < REPARSE_DATA + WOF_LENGTH || get_le32(data + WOF_PROVIDER) != 2)
		return pl_unsupported(err, n->at,
				      "the contents of MFT record %" PRIu64
				      " are in an archive beside it (WIMBoot)",
				      n->number);
	algorithm = get_le32(data + WOF_ALGORITHM);
	if (algorithm > NTFS_WOF_XPRESS16K)
		return pl_unsupported(err, n->at,
				      "MFT record %" PRIu64 " is compressed by algorithm %" PRIu32,
				      n->number, algorithm);
	*ret = (enum ntfs_wof_algorithm)algorithm;
	return 0;
}

static void
classify_nfs(struct ntfs_reparse *r)
{
	const uint8_t *data = r->value + REPARSE_DATA;
	size_t n = r->length - REPARSE_DATA;

	for (size_t i = 0; n >= 8 && i < ARRAY_SIZE(nfs_types); i++)
		if (get_le64(data) == nfs_types[i].type)
			r->type = nfs_types[i].is;
	if (n >= 16) {
		r->major = get_le32(data + 8);
		r->minor = get_le32(data + 12);
	}
}

/* A mount point may be of a whole volume: "\??\Volume{...}\". */
static bool
is_volume(const struct ntfs_reparse *r)
{
	static const char prefix[] = "\\??\\Volume{";
	const uint8_t *data = r->value + REPARSE_DATA;
	size_t left = r->length - REPARSE_DATA;

	if (left < MOUNT_POINT_TEXT ||
	    !pl_in_range(MOUNT_POINT_TEXT + get_le16(data), 2 * (sizeof prefix - 1), left))
		return false;
	data += MOUNT_POINT_TEXT + get_le16(data);
	for (size_t i = 0; i < sizeof prefix - 1; i++)
		if (get_le16(data + 2 * i) != (uint8_t)prefix[i])
			return false;
	return true;
}

/* Not all of it is on this volume. */
static bool
is_placeholder(const struct ntfs_node *n)
{
	return pl_ntfs_file_flags(n) & (NTFS_FILE_OFFLINE | NTFS_FILE_RECALL_ON_DATA);
}

static void
classify(const struct ntfs_node *n, struct ntfs_reparse *r)
{
	enum ntfs_wof_algorithm algorithm;

	r->type = r->tag & NTFS_TAG_NAME_SURROGATE ? PLATTER_FILE_OTHER : PLATTER_FILE_UNKNOWN;
	r->note = "reparse point";
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (tags[i].tag == r->tag) {
			r->type = tags[i].type;
			r->note = tags[i].note;
		}
	if (r->tag == NTFS_TAG_MOUNT_POINT && is_volume(r))
		r->note = "volume mount point";
	if ((r->tag & ~(uint32_t)NTFS_TAG_CLOUD_MASK) == NTFS_TAG_CLOUD)
		r->note = is_placeholder(n) ? "cloud file, not all of it here" : "cloud file";
	if (r->tag == NTFS_TAG_WOF)
		r->note = pl_ntfs_wof_algorithm(n, r, &algorithm, NULL) == 0 ? wof_notes[algorithm]
									     : "in a WIM archive";
	if (r->tag == NTFS_TAG_NFS)
		classify_nfs(r);
}

int
pl_ntfs_reparse_load(struct ntfs_fs *fs, const struct ntfs_node *n, struct ntfs_reparse *ret,
		     struct platter_error *err)
{
	const struct ntfs_attribute *a = pl_ntfs_find(n, NTFS_REPARSE_POINT, NULL);
	int r;

	*ret = (struct ntfs_reparse){ 0 };
	if (!a)
		return -ENOENT;
	r = pl_ntfs_value_load(fs, n, a, MAX_REPARSE, &ret->value, &ret->length, err);
	if (r == 0 && ret->length < REPARSE_DATA)
		r = pl_corrupt(err, a->at, "reparse point of %zu bytes", ret->length);
	if (r < 0) {
		pl_ntfs_reparse_done(ret);
		return r;
	}
	ret->tag = get_le32(ret->value);
	classify(n, ret);
	return 0;
}

void
pl_ntfs_reparse_done(struct ntfs_reparse *r)
{
	free(PL_STEAL(r->value));
}

static bool
begins_with(const char *text, const char *with)
{
	return !strncasecmp(text, with, strlen(with));
}

static char *
windows_path(const uint8_t *units, size_t nr)
{
	PL_AUTOFREE char *all = malloc(3 * nr + 1);
	char *text = all;
	struct pl_str s = { 0 };

	if (!all)
		return NULL;
	pl_name_from_utf16le(units, nr, all);
	for (char *p = all; *p; p++)
		if (*p == '\\')
			*p = '/';
	/* The names of NT's own: "\??\C:\x", "\??\UNC\server\share", "\??\Volume{...}\". */
	if (begins_with(text, "/?"
			      "?/") ||
	    begins_with(text, "//?/") || begins_with(text, "//./")) {
		text += 4;
		if (begins_with(text, "UNC/")) {
			text += 3;
			pl_str_add(&s, "/");
		} else if (begins_with(text, "Volume{")) {
			pl_str_add(&s, "//?/");
		}
	}
	/*
	 * Which letter the volume had is not written on it; most links stay on it, so that the
	 * letter is taken for its own.
	 */
	if (((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z') && text[1] == ':') {
		text += 2;
		if (*text != '/')
			pl_str_add(&s, "/");
	}
	pl_str_add(&s, text);
	/* Junctions made by the command end in a separator, or not. */
	while (!s.failed && s.length > 1 && s.text[s.length - 1] == '/')
		s.text[--s.length] = '\0';
	if (s.failed)
		return NULL;
	return s.text ? s.text : strdup("");
}

int
pl_ntfs_reparse_target(const struct ntfs_node *n, const struct ntfs_reparse *r, char **ret,
		       struct platter_error *err)
{
	const uint8_t *data = r->value + REPARSE_DATA;
	size_t left = r->length - REPARSE_DATA, text = SYMLINK_TEXT, at, length;

	switch (r->tag) {
	case NTFS_TAG_LX_SYMLINK:
		/* A version, then UTF-8. */
		if (left < 4)
			goto damaged;
		*ret = strndup((const char *)data + 4, left - 4);
		return *ret ? 0 : pl_no_memory(err);
	case NTFS_TAG_NFS:
		if (left < 8)
			goto damaged;
		data += 8;
		length = left - 8;
		break;
	case NTFS_TAG_MOUNT_POINT: text = MOUNT_POINT_TEXT; __attribute__((fallthrough));
	case NTFS_TAG_SYMLINK:
		if (left < text)
			goto damaged;
		at = text + get_le16(data + LINK_TARGET);
		length = get_le16(data + LINK_TARGET_LENGTH);
		if (!pl_in_range(at, length, left))
			goto damaged;
		data += at;
		break;
	default: return pl_invalid(err, "MFT record %" PRIu64 " is no symbolic link", n->number);
	}
	*ret = windows_path(data, length / 2);
	return *ret ? 0 : pl_no_memory(err);
damaged:
	return pl_corrupt(err, n->at,
			  "damaged reparse point 0x%08" PRIx32 " of MFT record %" PRIu64, r->tag,
			  n->number);
}
