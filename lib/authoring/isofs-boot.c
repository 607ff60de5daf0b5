/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs-boot.c - how a disc boots: El Torito, and what firmware needs to boot a copy on a stick
 *
 * "El Torito" Bootable CD-ROM Format Specification 1.0; the FAT image of UEFI stands once on
 * the disc, as a partition that the boot catalog points to as well (UEFI 2.10, 13.3.2).
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fat-image.h"
#include "isofs.h"
#include "target.h"
#include "text.h"

#define MAX_BOOT_FILE  MIB(64)
#define EFI_PARTITION  2
#define EFI_TYPE       0xef
#define PLATFORM_EFI   0xef
#define BIOS_SECTORS   4
#define TEMPORARY_FILE "/proc/self/fd/%d"

/* Options of el_torito_set_isolinux_options() and iso_write_opts_set_system_area(). */
enum {
	BOOT_INFO_TABLE = 1 << 0,
	BOOT_GRUB2 = 1 << 9,
	AREA_PROTECTIVE = 1 << 0,
	AREA_ISOHYBRID = 1 << 1,
	AREA_GRUB2 = 1 << 14,
};

/* ---- files ---- */

static int
load_host_file(const char *path, uint64_t limit, uint8_t **ret, size_t *ret_n,
	       struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r = pl_storage_open(path, PL_STORAGE_SINGLE, &file, err);

	if (r < 0)
		return r;
	if (file->sequential || file->size > limit || file->size == 0)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "'%s' has %" PRIu64 " bytes, not 1 to %" PRIu64, path,
				     file->size, limit);
	*ret_n = file->size;
	return pl_read_alloc(file, file->size, 0, ret, err);
}

/* Boot code is changed on the way (its table): libisofs must see it. */
static int
show_contents(struct pl_isofs *w, const struct pl_item *item, const char *path,
	      struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	IsoNode *old = pl_isofs_node(w, path), *node;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	time_t times[3];
	int r = pl_item_load(w->source, item, MAX_BOOT_FILE, &bytes, err);

	if (r < 0 || !old)
		return r;
	mode = iso_node_get_permissions(old);
	uid = iso_node_get_uid(old);
	gid = iso_node_get_gid(old);
	times[0] = iso_node_get_mtime(old);
	times[1] = iso_node_get_atime(old);
	times[2] = iso_node_get_ctime(old);
	iso_node_remove(old);
	r = pl_isofs_add_bytes(w, path, bytes, item->file.size, err);
	node = r == 0 ? pl_isofs_node(w, path) : NULL;
	if (!node)
		return r;
	iso_node_set_permissions(node, mode);
	iso_node_set_uid(node, uid);
	iso_node_set_gid(node, gid);
	iso_node_set_mtime(node, times[0]);
	iso_node_set_atime(node, times[1]);
	iso_node_set_ctime(node, times[2]);
	return 0;
}

static int
no_such_boot_file(const char *path, struct platter_error *err)
{
	int r = pl_fail(err, -ENOENT, "there is no file '%s', on the disc or here", path);

	pl_hint(err, "give its path from the root of the disc");
	return r;
}

int
pl_isofs_show(struct pl_isofs *w, const char *path, char **ret_path, struct platter_error *err)
{
	const struct pl_item *item = pl_source_find(w->source, path);
	const char *slash = strrchr(path, '/');
	PL_AUTOFREE uint8_t *bytes = NULL;
	size_t n;
	int r;

	if (item && item->file.type == PLATTER_FILE_REGULAR) {
		*ret_path = pl_format("/%s", path + strspn(path, "/"));
		return *ret_path ? show_contents(w, item, path, err) : pl_no_memory(err);
	}
	if (access(path, F_OK) < 0)
		return no_such_boot_file(path, err);
	r = load_host_file(path, MAX_BOOT_FILE, &bytes, &n, err);
	if (r < 0)
		return r;
	*ret_path = pl_format("/boot/%s", slash ? slash + 1 : path);
	if (!*ret_path)
		return pl_no_memory(err);
	if (pl_isofs_node(w, *ret_path))
		return pl_fail(err, -EEXIST, "'%s' is on the disc already, with other contents",
			       *ret_path);
	return pl_isofs_add_bytes(w, *ret_path, bytes, n, err);
}

/* ---- the catalog ---- */

/* A name for the catalog that no file has. */
static char *
catalog_path(struct pl_isofs *w)
{
	char *path = strdup("/boot.cat");

	for (unsigned i = 1; path && pl_isofs_node(w, path); i++) {
		free(path);
		path = pl_format("/boot-%u.cat", i);
	}
	return path;
}

int
pl_isofs_add_boot_image(struct pl_isofs *w, const char *path, bool first,
			enum eltorito_boot_media_type type, ElToritoBootImage **ret,
			struct platter_error *err)
{
	PL_AUTOFREE char *catalog = NULL;
	int code;

	if (!first) {
		code = iso_image_add_boot_image(w->image, path, type, 0, ret);
	} else {
		catalog = catalog_path(w);
		if (!catalog)
			return pl_no_memory(err);
		code = iso_image_set_boot_image(w->image, path, type, catalog, ret);
		if (code >= 0)
			iso_image_set_boot_catalog_hidden(w->image, LIBISO_HIDE_ON_RR |
									    LIBISO_HIDE_ON_JOLIET |
									    LIBISO_HIDE_ON_HFSPLUS);
	}
	return code < 0 ? pl_isofs_fail(err, code, "cannot make '%s' boot", path) : 0;
}

static int
add_bios(struct pl_isofs *w, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	PL_AUTOFREE char *path = NULL;
	ElToritoBootImage *boot;
	int r = pl_isofs_show(w, o->boot_bios, &path, err);

	if (r == 0)
		r = pl_isofs_add_boot_image(w, path, true, ELTORITO_NO_EMUL, &boot, err);
	if (r < 0)
		return r;
	el_torito_set_load_size(boot, BIOS_SECTORS);
	el_torito_set_isolinux_options(boot,
				       (o->no_boot_table ? 0 : BOOT_INFO_TABLE) |
					       (o->boot_grub2 ? BOOT_GRUB2 : 0),
				       0);
	return 0;
}

/* ---- UEFI ---- */

/* A file without a name; libisofs reaches it by its descriptor, which the work keeps. */
static int
temporary_file(struct pl_isofs *w, char **ret_path, struct platter_error *err)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return pl_fail_errno(err, -errno, "make a file in '%s'",
				     folder ? folder : "/var/tmp");
	w->fds[w->nr_fds++] = fd;
	*ret_path = pl_format(TEMPORARY_FILE, fd);
	return *ret_path ? 0 : pl_no_memory(err);
}

static int
copy_item(const struct pl_isofs *w, const struct pl_item *item, int fd, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(MIB(1));
	struct pl_item_file file;
	int r = buf ? pl_item_open(w->source, item, &file, err) : pl_no_memory(err);

	if (r < 0)
		return r;
	for (uint64_t at = 0, n; r == 0 && at < item->file.size; at += n) {
		n = PL_MIN(MIB(1), item->file.size - at);
		r = pl_item_read(w->source, &file, buf, n, at, err);
		if (r == 0 && pwrite(fd, buf, n, (off_t)at) != (ssize_t)n)
			r = pl_fail_errno(err, -errno, "copy '%s'", item->name);
	}
	pl_item_close(&file);
	return r;
}

/* Open what `path` of this machine names, or an image made of that folder. */
static int
open_host_image(struct pl_isofs *w, const char *path, char **ret_path, struct platter_error *err)
{
	char *folder = NULL, *image = NULL;
	struct stat st;
	int fd, r = 0;

	if (stat(path, &st) < 0)
		return no_such_boot_file(path, err);
	if (S_ISDIR(st.st_mode)) {
		r = pl_work_folder("-", &folder, err);
		image = r == 0 ? pl_format("%s/efi.img", folder) : NULL;
		if (r == 0)
			r = image ? pl_fat_of_folder(image, path, w->epoch, w->progress, err)
				  : pl_no_memory(err);
	}
	fd = r == 0 ? open(image ? image : path, O_RDONLY | O_CLOEXEC) : -1;
	if (r == 0 && fd < 0)
		r = pl_fail_errno(err, -errno, "open '%s'", path);
	if (r == 0) {
		w->fds[w->nr_fds++] = fd;
		*ret_path = pl_format(TEMPORARY_FILE, fd);
		r = *ret_path ? 0 : pl_no_memory(err);
	}
	pl_work_folder_remove(folder);
	free(image);
	return r;
}

static int
find_efi_image(struct pl_isofs *w, char **ret_path, struct platter_error *err)
{
	const char *path = w->options->boot_uefi;
	const struct pl_item *item = pl_source_find(w->source, path);
	int r;

	if (!item || item->file.type != PLATTER_FILE_REGULAR)
		return open_host_image(w, path, ret_path, err);
	r = temporary_file(w, ret_path, err);
	return r < 0 ? r : copy_item(w, item, w->fds[w->nr_fds - 1], err);
}

static int
add_uefi(struct pl_isofs *w, bool first, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	PL_AUTOFREE char *interval =
		pl_format("--interval:appended_partition_%d:all::", EFI_PARTITION);
	ElToritoBootImage *boot;
	int r = interval ? find_efi_image(w, &path, err) : pl_no_memory(err), code;

	if (r < 0)
		return r;
	code = iso_write_opts_set_partition_img(w->write, EFI_PARTITION, EFI_TYPE, path, 0);
	/* ISOLINUX's master boot record brings a table of its own kind. */
	if (code >= 0)
		code = iso_write_opts_set_appended_as_gpt(w->write, !w->options->mbr ||
									    w->options->boot_grub2);
	if (code < 0)
		return pl_isofs_fail(err, code, "cannot append '%s'", w->options->boot_uefi);
	r = pl_isofs_add_boot_image(w, interval, first, ELTORITO_NO_EMUL, &boot, err);
	if (r < 0)
		return r;
	el_torito_set_boot_platform_id(boot, PLATFORM_EFI);
	el_torito_set_full_load(boot, 1);
	return 0;
}

/* ---- the master boot record ---- */

static int
add_mbr(struct pl_isofs *w, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	char area[ISO_SYSTEM_AREA] = { 0 };
	PL_AUTOFREE uint8_t *bytes = NULL;
	int options = AREA_ISOHYBRID, r, code;
	size_t n;

	r = load_host_file(o->mbr, sizeof area, &bytes, &n, err);
	if (r < 0)
		return r;
	memcpy(area, bytes, n);
	if (o->boot_grub2)
		options = AREA_GRUB2 | (o->boot_uefi ? 0 : AREA_PROTECTIVE);
	code = iso_write_opts_set_system_area(w->write, area, options, 0);
	return code < 0 ? pl_isofs_fail(err, code, "cannot take '%s'", o->mbr) : 0;
}

int
pl_isofs_add_boot(struct pl_isofs *w, struct platter_error *err)
{
	const struct platter_iso_options *o = w->options;
	int r = 0;

	if (o->boot_bios)
		r = add_bios(w, err);
	if (r == 0 && o->boot_uefi)
		r = add_uefi(w, !o->boot_bios, err);
	if (r == 0 && o->mbr)
		r = add_mbr(w, err);
	return r;
}
