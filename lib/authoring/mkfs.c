/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mkfs.c - how each program is called
 *
 * None of them needs root, a mount or a loop device.  Where a program can be told its
 * identifiers and times they follow from SOURCE_DATE_EPOCH.
 */
#include "mkfs.h"

#include <sys/stat.h>

#include "ext-times.h"
#include "fat-image.h"
#include "fat-names.h"
#include "text.h"
#include "tool.h"
#include "xfs-proto.h"

#define UNFILLED_EXFAT "no program fills an exFAT file system that is not mounted"
#define UNFILLED_NTFS  "no program makes folders in an NTFS file system that is not mounted"
#define UNFILLED_UDF   "no program fills a UDF file system that is not mounted"
#define UNFILLED_SWAP  "swap space holds no files"
#define UNFILLED_HFS   "no program fills an HFS+ file system that is not mounted"

static int
run(struct pl_command *c, const struct pl_mkfs_order *o, struct platter_error *err)
{
	int r = pl_command_run(c, o->progress, err);

	pl_command_done(c);
	return r;
}

static void
add_pair(struct pl_command *c, const char *option, const char *value)
{
	if (!value || !*value)
		return;
	pl_command_add(c, option);
	pl_command_add(c, value);
}

static void
add_path(struct pl_command *c, const char *option, const char *path)
{
	if (!path)
		return;
	pl_command_add(c, option);
	pl_command_add_path(c, path);
}

/* The folder that the file system is filled from; NULL: none. */
static const char *
folder_of(const struct pl_mkfs_order *o)
{
	return o->source ? o->source->path : NULL;
}

static int
make_ext(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	PL_AUTOFREE char *now =
		o->epoch >= 0 ? pl_format("E2FSPROGS_FAKE_TIME=%" PRId64, o->epoch ? o->epoch : 1)
			      : NULL;
	const char *const environment[] = { now, NULL };
	struct pl_command c = { .package = "e2fsprogs", .environment = environment };
	PL_AUTOFREE char *script = NULL;
	int r;

	pl_command_add(&c, "mke2fs");
	pl_command_add(&c, "-q");
	pl_command_add(&c, "-F");
	add_pair(&c, "-t", kind->name);
	add_pair(&c, "-L", o->label);
	add_pair(&c, "-U", o->uuid);
	add_path(&c, "-d", folder_of(o));
	pl_command_add(&c, "-E");
	/* The inode tables of a new file are zeros already. */
	pl_command_addf(&c, "root_owner=0:0,lazy_itable_init=1,assume_storage_prezeroed=1%s%s",
			*o->uuid ? ",hash_seed=" : "", o->uuid);
	pl_command_add_path(&c, o->image);
	r = run(&c, o, err);
	if (r < 0 || !o->source || o->epoch < 0)
		return r;
	script = pl_format("%s/times", o->work);
	return script ? pl_ext_set_times(o->image, o->source, script, o->epoch, o->progress, err)
		      : pl_no_memory(err);
}

static int
make_fat(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	int r = o->source ? pl_fat_check_names(o->source, err) : 0;

	if (r == 0)
		r = pl_fat_make(o->image, kind->variant, o->label, o->epoch, o->progress, err);
	return r < 0 || !o->source ? r : pl_fat_fill(o->image, o->source, o->progress, err);
}

static int
make_exfat(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "exfatprogs" };

	(void)kind;
	pl_command_add(&c, "mkfs.exfat");
	add_pair(&c, "-L", o->label);
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_ntfs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "ntfs-3g" };

	(void)kind;
	pl_command_add(&c, "mkntfs");
	pl_command_add(&c, "-F"); /* it is no device, */
	pl_command_add(&c, "-Q"); /* and need not be filled with zeros */
	pl_command_add(&c, "-q");
	add_pair(&c, "-L", o->label);
	/* Its boot code looks for itself there. */
	add_pair(&c, "-H", "255");
	add_pair(&c, "-S", "63");
	pl_command_add(&c, "-p");
	pl_command_addf(&c, "%" PRIu64, o->offset / 512);
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_xfs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	PL_AUTOFREE char *proto = o->source ? pl_format("%s/proto", o->work) : NULL;
	struct pl_command c = { .package = "xfsprogs" };
	int r = 0;

	(void)kind;
	if (o->source)
		r = proto ? pl_xfs_proto_write(proto, o->source, err) : pl_no_memory(err);
	if (r < 0)
		return r;
	pl_command_add(&c, "mkfs.xfs");
	pl_command_add(&c, "-q");
	pl_command_add(&c, "-f");
	add_pair(&c, "-L", o->label);
	if (*o->uuid) {
		pl_command_add(&c, "-m");
		pl_command_addf(&c, "uuid=%s", o->uuid);
	}
	add_path(&c, "-p", proto);
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_btrfs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "btrfs-progs" };

	(void)kind;
	pl_command_add(&c, "mkfs.btrfs");
	pl_command_add(&c, "-q");
	pl_command_add(&c, "-f");
	add_pair(&c, "-L", o->label);
	add_pair(&c, "-U", o->uuid);
	add_path(&c, "--rootdir", folder_of(o));
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_f2fs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "f2fs-tools" };
	int r;

	(void)kind;
	pl_command_add(&c, "mkfs.f2fs");
	pl_command_add(&c, "-q");
	pl_command_add(&c, "-f");
	add_pair(&c, "-l", o->label);
	pl_command_add_path(&c, o->image);
	r = run(&c, o, err);
	if (r < 0 || !o->source)
		return r;
	c = (struct pl_command){ .package = "f2fs-tools" };
	pl_command_add(&c, "sload.f2fs");
	pl_command_add(&c, "-P");
	add_path(&c, "-f", folder_of(o));
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_squashfs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "squashfs-tools" };

	(void)kind;
	pl_command_add(&c, "mksquashfs");
	pl_command_add_path(&c, o->source->path);
	pl_command_add_path(&c, o->image);
	pl_command_add(&c, "-noappend");
	pl_command_add(&c, "-quiet");
	pl_command_add(&c, "-no-progress");
	return run(&c, o, err);
}

static int
make_erofs(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "erofs-utils" };

	(void)kind;
	pl_command_add(&c, "mkfs.erofs");
	pl_command_add(&c, "--quiet");
	if (*o->uuid)
		pl_command_addf(&c, "-U%s", o->uuid);
	if (o->epoch >= 0)
		pl_command_addf(&c, "-T%" PRId64, o->epoch);
	pl_command_add_path(&c, o->image);
	pl_command_add_path(&c, o->source->path);
	return run(&c, o, err);
}

static int
make_udf(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "udftools" };

	(void)kind;
	pl_command_add(&c, "mkudffs");
	pl_command_add(&c, "--media-type=hd");
	pl_command_add(&c, "--blocksize=512");
	if (o->label && *o->label)
		pl_command_addf(&c, "--label=%s", o->label);
	if (*o->uuid)
		pl_command_addf(&c, "--uuid=%.8s%.4s%.4s", o->uuid, o->uuid + 9, o->uuid + 14);
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_swap(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { .package = "util-linux" };

	(void)kind;
	pl_command_add(&c, "mkswap");
	pl_command_add(&c, "-q");
	add_pair(&c, "-L", o->label);
	add_pair(&c, "-U", o->uuid);
	pl_command_add_path(&c, o->image);
	return run(&c, o, err);
}

static int
make_hfsplus(const struct pl_mkfs *kind, const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct pl_command c = { 0 };
	int r;

	(void)kind;
	pl_command_add(&c, "mkfs.hfsplus");
	add_pair(&c, "-v", o->label);
	pl_command_add_path(&c, o->image);
	r = run(&c, o, err);
	if (r == -ENOENT)
		pl_hint(err,
			"it was in Debian 11's package hfsprogs, which Debian 12 has not; 'platter "
			"new"
			" FILE.dmg' and 'platter new DISC.iso --hfsplus' make HFS+ without it");
	return r;
}

const struct pl_mkfs pl_mkfs_kinds[] = {
	{ "ext2", "linux", false, NULL, make_ext, 0 },
	{ "ext3", "linux", false, NULL, make_ext, 0 },
	{ "ext4", "linux", false, NULL, make_ext, 0 },
	{ "xfs", "linux", false, NULL, make_xfs, 0 },
	{ "btrfs", "linux", false, NULL, make_btrfs, 0 },
	{ "f2fs", "linux", false, NULL, make_f2fs, 0 },
	{ "squashfs", "linux", true, NULL, make_squashfs, 0 },
	{ "erofs", "linux", true, NULL, make_erofs, 0 },
	{ "fat", "fat", false, NULL, make_fat, 0 },
	{ "fat12", "fat", false, NULL, make_fat, 12 },
	{ "fat16", "fat", false, NULL, make_fat, 16 },
	{ "fat32", "fat", false, NULL, make_fat, 32 },
	{ "exfat", "msdata", false, UNFILLED_EXFAT, make_exfat, 0 },
	{ "ntfs", "msdata", false, UNFILLED_NTFS, make_ntfs, 0 },
	{ "udf", "msdata", false, UNFILLED_UDF, make_udf, 0 },
	{ "hfs+", "hfs+", false, UNFILLED_HFS, make_hfsplus, 0 },
	{ "swap", "swap", false, UNFILLED_SWAP, make_swap, 0 },
	{ .name = NULL },
};

int
pl_mkfs_find(const char *name, const struct pl_mkfs **ret, struct platter_error *err)
{
	struct pl_str names = { 0 };
	int r;

	for (*ret = pl_mkfs_kinds; (*ret)->name; (*ret)++) {
		if (!strcmp((*ret)->name, name))
			break;
		pl_str_addf(&names, "%s%s", names.text ? ", " : "", (*ret)->name);
	}
	r = (*ret)->name ? 0 : pl_invalid(err, "no file system '%s' can be made", name);
	if (r < 0 && names.text)
		pl_hint(err, "there are %s", names.text);
	pl_str_done(&names);
	return r;
}

/* Those that are made of a folder have the length of what they hold. */
static int
check_size(const struct pl_mkfs_order *o, struct platter_error *err)
{
	struct stat st;

	if (stat(o->image, &st) < 0)
		return pl_fail_errno(err, -errno, "look at '%s'", o->image);
	if ((uint64_t)st.st_size <= o->size)
		return 0;
	return pl_fail(err, -ENOSPC, "the files take %" PRIu64 " bytes, and there are %" PRIu64,
		       (uint64_t)st.st_size, o->size);
}

int
pl_mkfs_run(const struct pl_mkfs *kind, const struct pl_mkfs_order *order,
	    struct platter_error *err)
{
	int r;

	if (order->source && kind->unfilled) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a new %s cannot hold '%s'", kind->name,
				   order->source->path);
		pl_hint(err, "%s: make it empty, mount the disk and copy the files",
			kind->unfilled);
		return r;
	}
	if (!order->source && kind->needs_files)
		return pl_invalid(err, "%s is made of a folder, and none is given", kind->name);
	r = kind->make(kind, order, err);
	return r < 0 ? r : check_size(order, err);
}
