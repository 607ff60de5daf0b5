/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/volume.c - the files of EROFS
 *
 * A node's number is that of its inode; that tells where the inode is, inode.c.
 * See Documentation/filesystems/erofs.rst of the Linux kernel.
 */
#include "content.h"
#include "erofs.h"
#include "text.h"

static int
erofs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	   struct platter_error *err)
{
	struct erofs_inode i;
	int r = erofs_inode_read(erofs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	ret->type = i.type;
	ret->has_mode = ret->has_owner = true;
	ret->mode = i.mode & 07777;
	ret->uid = i.uid;
	ret->gid = i.gid;
	ret->links = i.links;
	ret->size = i.type == PLATTER_FILE_REGULAR || i.type == PLATTER_FILE_SYMLINK ? i.size : 0;
	if (i.type == PLATTER_FILE_CHARACTER_DEVICE || i.type == PLATTER_FILE_BLOCK_DEVICE) {
		/* As Linux encodes device numbers. */
		ret->major = i.device >> 8 & 0xfff;
		ret->minor = (i.device & 0xff) | (i.device >> 12 & 0xfff00);
	}
	if (i.type == PLATTER_FILE_REGULAR &&
	    (i.layout == LAYOUT_COMPRESSED || i.layout == LAYOUT_COMPACT))
		ret->attributes |= PLATTER_FILE_COMPRESSED;
	ret->modified = (struct platter_time){ i.mtime, PL_MIN(i.nsec, 999999999) };
	ret->changed = ret->accessed = ret->modified;
	return 0;
}

static int
erofs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *contents = NULL;
	PL_AUTOFREE char *target = NULL;
	struct erofs_inode i;
	int r = erofs_inode_read(erofs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	if (i.type != PLATTER_FILE_SYMLINK)
		return pl_invalid(err, "the node is no symbolic link");
	if (i.size > PL_MAX_TARGET)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "target of %" PRIu64 " bytes, limit is %" PRIu64, i.size,
				     (uint64_t)PL_MAX_TARGET);
	r = erofs_open_contents(erofs_of(v), &i, "symbolic link", &contents, err);
	if (r < 0)
		return r;
	target = calloc(1, (size_t)i.size + 1);
	if (!target)
		return pl_no_memory(err);
	r = pl_read(contents, target, (size_t)i.size, 0, err);
	if (r == 0)
		*ret = PL_STEAL(target);
	return r;
}

static int
erofs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		struct pl_disk **ret, struct platter_error *err)
{
	struct erofs_inode i;
	int r = erofs_inode_read(erofs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	(void)stream;
	if (i.type != PLATTER_FILE_REGULAR)
		return pl_fail(err, i.type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	return erofs_open_contents(erofs_of(v), &i, name, ret, err);
}

static int
erofs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	return pl_ranges_add(used, 0, v->size, err);
}

static void
erofs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} features[] = {
		{ INCOMPAT_CHUNKS, "chunks" },
		{ INCOMPAT_TAIL_PACKING, "packed tails" },
		{ INCOMPAT_FRAGMENTS, "fragments" },
		{ INCOMPAT_XATTR_PREFIXES, "attribute prefixes" },
		{ INCOMPAT_48_BITS, "48-bit blocks" },
		{ INCOMPAT_METABOX, "metabox" },
	};
	static const char *const algorithms[] = { "LZ4", "LZMA", "deflate", "zstd" };
	const struct erofs *fs = erofs_of(v);
	/* Old images do not tell whether anything is compressed. */
	bool tells_algorithms = fs->incompat & (INCOMPAT_ALGORITHMS | INCOMPAT_PADDED_LZ4);
	struct pl_str text = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
		if (tells_algorithms && fs->algorithms >> i & 1)
			pl_str_addf(&text, "%s%s", text.length ? ", " : "", algorithms[i]);
	if (text.length)
		pl_fact_text(facts, "compression", "compression", "%s", text.text);
	pl_str_done(&text);
	text = (struct pl_str){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (fs->incompat & features[i].bit)
			pl_str_addf(&text, "%s%s", text.length ? ", " : "", features[i].name);
	if (text.length)
		pl_fact_text(facts, "features", "features", "%s", text.text);
	pl_str_done(&text);
	if (fs->extra_devices)
		pl_warn(facts, "%u more devices hold data of it", fs->extra_devices);
}

static void
erofs_free(struct pl_volume *v)
{
	struct erofs *fs = erofs_of(v);

	pl_meta_free(fs->metabox.meta);
	pl_disk_unref(fs->metabox.disk);
	pl_disk_unref(fs->packed);
	free(fs->prefixes);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops erofs_ops = {
	.stat = erofs_stat,
	.list = erofs_list,
	.lookup = erofs_lookup,
	.read_link = erofs_read_link,
	.open = erofs_open_file,
	.xattrs = erofs_xattrs,
	.used = erofs_used,
	.describe = erofs_describe,
	.free = erofs_free,
};

static int
check_checksum(struct erofs *fs, const uint8_t *sb, struct platter_error *err)
{
	size_t n = erofs_checksummed(fs->volume.block_size);
	PL_AUTOFREE uint8_t *block = NULL;
	int r;

	if (!(fs->compat & COMPAT_CHECKSUM) || fs->volume.ignore_checksums)
		return 0;
	block = malloc(n);
	if (!block)
		return pl_no_memory(err);
	r = pl_meta_read(fs->volume.meta, block, n, EROFS_SUPERBLOCK, err);
	if (r == 0 && !erofs_checksum_matches(block, n))
		r = pl_corrupt(err, EROFS_SUPERBLOCK + SB_CHECKSUM,
			       "EROFS superblock's checksum 0x%08" PRIx32 " does not match",
			       get_le32(sb + SB_CHECKSUM));
	return r;
}

static void
decode_superblock(struct erofs *fs, const uint8_t *sb)
{
	struct pl_volume *v = &fs->volume;
	bool wide;

	fs->compat = get_le32(sb + SB_COMPAT);
	fs->incompat = get_le32(sb + SB_INCOMPAT);
	wide = fs->incompat & INCOMPAT_48_BITS && get_le64(sb + SB_ROOT_64);
	fs->blocks = get_le32(sb + SB_BLOCKS);
	v->root.inode = get_le16(sb + SB_ROOT_16);
	if (wide) {
		fs->blocks |= (uint64_t)get_le16(sb + SB_ROOT_16) << 32;
		v->root.inode = get_le64(sb + SB_ROOT_64);
	}
	fs->meta_start = (uint64_t)get_le32(sb + SB_META_BLOCK) << fs->block_bits;
	fs->xattr_start = (uint64_t)get_le32(sb + SB_XATTR_BLOCK) << fs->block_bits;
	fs->epoch = (int64_t)get_le64(sb + SB_EPOCH);
	fs->epoch_nsec = get_le32(sb + SB_EPOCH_NSEC);
	/* Without a list of algorithms these bytes tell how far LZ4 looks back. */
	fs->algorithms = 1;
	if (fs->incompat & INCOMPAT_ALGORITHMS)
		fs->algorithms = get_le16(sb + SB_ALGORITHMS);
	if (fs->incompat & INCOMPAT_DEVICES)
		fs->extra_devices = get_le16(sb + SB_EXTRA_DEVICES);
	while (fs->device_mask < fs->extra_devices)
		fs->device_mask = (uint16_t)(fs->device_mask << 1 | 1);
}

static int
read_superblock(struct erofs *fs, uint8_t sb[static SB_SIZE], struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	int r = pl_meta_read(v->meta, sb, SB_SIZE, EROFS_SUPERBLOCK, err);

	if (r < 0)
		return r;
	if (get_le32(sb) != EROFS_MAGIC)
		return pl_corrupt(err, EROFS_SUPERBLOCK, "no EROFS: its magic number is 0x%" PRIx32,
				  get_le32(sb));
	fs->block_bits = sb[SB_BLOCK_BITS];
	if (fs->block_bits < 9 || fs->block_bits > 16)
		return pl_corrupt(err, EROFS_SUPERBLOCK + SB_BLOCK_BITS, "EROFS blocks of %u bits",
				  fs->block_bits);
	v->block_size = 1u << fs->block_bits;
	decode_superblock(fs, sb);
	if (fs->incompat & ~INCOMPAT_KNOWN)
		return pl_unsupported(err, EROFS_SUPERBLOCK + SB_INCOMPAT,
				      "EROFS with unknown features 0x%" PRIx32,
				      fs->incompat & ~(uint32_t)INCOMPAT_KNOWN);
	if (sb[SB_FOLDER_BLOCK_BITS])
		return pl_unsupported(err, EROFS_SUPERBLOCK + SB_FOLDER_BLOCK_BITS,
				      "EROFS folder blocks of %u more bits",
				      sb[SB_FOLDER_BLOCK_BITS]);
	if (!fs->blocks)
		return pl_corrupt(err, EROFS_SUPERBLOCK + SB_BLOCKS, "EROFS of no blocks");
	v->size = PL_MIN(v->size, fs->blocks << fs->block_bits);
	v->free = 0;
	v->state = PLATTER_STATE_CLEAN;
	return check_checksum(fs, sb, err);
}

/* What is missing here is told where it is wanted; the rest can be read. */
static int
open_inner_files(struct erofs *fs, const uint8_t *sb, struct platter_error *err)
{
	uint64_t packed = get_le64(sb + SB_PACKED), metabox = get_le64(sb + SB_METABOX);
	bool has_metabox =
		fs->incompat & INCOMPAT_METABOX && 128 + sb[SB_EXTRA_SLOTS] * 16 >= SB_METABOX + 8;
	struct pl_disk *disk;
	int r = 0;

	if (packed && fs->incompat & INCOMPAT_FRAGMENTS &&
	    erofs_open_inner(fs, packed, "packed file", &disk, NULL) == 0)
		fs->packed = disk;
	if (has_metabox && metabox && erofs_open_inner(fs, metabox, "metabox", &disk, NULL) == 0) {
		r = pl_meta_new(disk, &fs->metabox.meta, err);
		fs->metabox.disk = disk;
	}
	if (r < 0)
		return r;
	r = erofs_read_prefixes(fs, sb, NULL);
	return r == -ENOMEM ? pl_no_memory(err) : 0;
}

int
pl_erofs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	      struct platter_error *err)
{
	struct erofs *fs = calloc(1, sizeof *fs);
	uint8_t sb[SB_SIZE];
	struct erofs_inode root;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &erofs_ops, request, err);
	fs->device = (struct erofs_area){ fs->volume.meta, fs->volume.disk };
	if (r == 0)
		r = read_superblock(fs, sb, err);
	if (r == 0)
		r = open_inner_files(fs, sb, err);
	if (r == 0)
		r = erofs_inode_read(fs, fs->volume.root.inode, &root, err);
	if (r == 0 && root.type != PLATTER_FILE_FOLDER)
		r = pl_corrupt(err, EROFS_SUPERBLOCK + SB_ROOT_16,
			       "the root of EROFS is no folder");
	if (r < 0)
		erofs_free(&fs->volume);
	else
		*ret = &fs->volume;
	return r;
}
