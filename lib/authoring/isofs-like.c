/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs-like.c - a disc with other files that boots as an old one does
 *
 * What is remembered of the old disc: the images of its boot catalog with all that the catalog
 * says of them, its system area, and partitions that are no files of the disc.  An image that was
 * a file is one again, from the new files if they have it; one that was such a partition is that
 * again; one that was neither is put where no tree shows it.
 */
#include <stdio.h>

#include "facts.h"
#include "isofs.h"
#include "scheme.h"
#include "text.h"

#define MAX_IMAGES   32
#define MAX_APPENDED 8 /* as libisofs */
#define SECTOR       512

struct like_image {
	enum eltorito_boot_media_type type;
	int platform, segment, sectors, full, bootable, options;
	uint8_t id[28], criteria[20];
	uint32_t lba;
	char *path; /* on the disc; NULL: it is no file there */
	IsoNode *node;
	int partition; /* number of an appended one that it is; 0 none */
};

struct appended {
	int number;
	uint8_t type;
	uint64_t offset, length;
};

struct pl_isofs_like {
	struct like_image images[MAX_IMAGES];
	int nr_images;
	struct appended appended[MAX_APPENDED];
	int nr_appended;
	bool gpt, hfsplus;
	bool part_offset;
	char area[ISO_SYSTEM_AREA];
	int area_options;
	bool has_area;
};

void
pl_isofs_like_free(struct pl_isofs_like *like)
{
	for (int i = 0; like && i < like->nr_images; i++) {
		free(like->images[i].path);
		if (like->images[i].node)
			iso_node_unref(like->images[i].node);
	}
	free(like);
}

/* ---- what the old disc has ---- */

static int
remember_image(struct like_image *to, ElToritoBootImage *boot, IsoFile *file)
{
	el_torito_get_boot_media_type(boot, &to->type);
	to->platform = el_torito_get_boot_platform_id(boot);
	to->segment = el_torito_get_load_seg(boot);
	to->sectors = el_torito_get_load_size(boot);
	to->full = el_torito_get_full_load(boot);
	to->bootable = el_torito_get_bootable(boot);
	to->options = (el_torito_seems_boot_info_table(boot, 0) == 1 ? 1 : 0) |
		      (el_torito_seems_boot_info_table(boot, 1) == 1 ? 1 << 9 : 0);
	el_torito_get_id_string(boot, to->id);
	el_torito_get_selection_crit(boot, to->criteria);
	if (!file)
		return 0;
	to->node = (IsoNode *)file;
	iso_node_ref(to->node);
	iso_file_get_old_image_lba(file, &to->lba, 0);
	if (iso_node_get_parent(to->node)) {
		to->path = iso_tree_get_node_path(to->node);
		return to->path ? 0 : -ENOMEM;
	}
	return 0;
}

static int
remember_images(struct pl_isofs *w, struct pl_isofs_like *like, struct platter_error *err)
{
	ElToritoBootImage **boots = NULL;
	IsoFile **files = NULL;
	int n = 0, r = 0;
	int code = iso_image_get_all_boot_imgs(w->image, &n, &boots, &files, 0);

	if (code < 0)
		return pl_isofs_fail(err, code, "cannot read how '%s' boots", w->options->like);
	if (code == 0)
		n = 0;
	if (n > MAX_IMAGES)
		r = pl_over_limit(err, PLATTER_NO_OFFSET, "%d boot images, limit is %d", n,
				  MAX_IMAGES);
	for (int i = 0; r == 0 && i < n; i++, like->nr_images++)
		if (remember_image(&like->images[i], boots[i], files[i]) < 0)
			r = pl_no_memory(err);
	free(boots);
	free(files);
	return r;
}

static struct like_image *
image_at(struct pl_isofs_like *like, uint64_t offset)
{
	for (int i = 0; i < like->nr_images; i++)
		if ((uint64_t)like->images[i].lba * ISO_BLOCK == offset)
			return &like->images[i];
	return NULL;
}

/* Mentioning in the tables of an isohybrid: bits 2 to 7 and 8 of el_torito_set_isolinux_options(). */
static void
note_mention(struct like_image *image, const char *table, const struct platter_partition *p)
{
	if (!strcmp(table, "gpt"))
		image->options |= strstr(p->type_name, "HFS") ? 2 << 2 : 1 << 2;
	else if (!strcmp(table, "apm"))
		image->options |= 1 << 8;
}

static void
remember_appended(struct pl_isofs_like *like, const char *table, const struct platter_partition *p)
{
	struct like_image *image = image_at(like, p->offset);
	struct appended *a;

	for (int i = 0; i < like->nr_appended; i++)
		if (like->appended[i].offset == p->offset)
			return;
	if (like->nr_appended == MAX_APPENDED)
		return;
	a = &like->appended[like->nr_appended++];
	*a = (struct appended){
		.number = (int)p->number, .offset = p->offset, .length = p->length, .type = 0xef
	};
	if (!strcmp(table, "gpt"))
		like->gpt = true;
	else
		a->type = (uint8_t)strtoul(p->type, NULL, 16);
	if (image)
		image->partition = a->number;
}

/* libisofs names the partitions that it appends so; others fill gaps or are files. */
static bool
is_appended(const char *table, const struct platter_partition *p, const struct like_image *image)
{
	if (p->number < 1 || p->number > MAX_APPENDED || p->offset % ISO_BLOCK)
		return false;
	if (!strcmp(table, "gpt"))
		return !strncmp(p->name, "Appended", 8);
	return !strcmp(table, "mbr") && p->number >= 2 && p->number <= 4 &&
	       (!image || !image->path) && strcmp(p->type, "ee") != 0 && strcmp(p->type, "00") != 0;
}

static int
remember_partitions(struct pl_isofs *w, struct pl_isofs_like *like, struct platter_error *err)
{
	struct pl_arena arena = { 0 };
	const struct platter_table *tables;
	size_t nr;
	int r = pl_tables_read(w->old->disk, 0, &arena, &tables, &nr, NULL, err);

	for (size_t i = 0; r == 0 && i < nr; i++) {
		for (size_t k = 0; k < tables[i].nr_partitions; k++) {
			const struct platter_partition *p = &tables[i].partitions[k];
			struct like_image *image = image_at(like, p->offset);

			if (is_appended(tables[i].name, p, image))
				remember_appended(like, tables[i].name, p);
			else if (image)
				note_mention(image, tables[i].name, p);
			else if (!strcmp(p->type, "Apple_HFS"))
				like->hfsplus = true;
			if (!strcmp(tables[i].name, "mbr") && p->number == 1 &&
			    p->offset == 16 * ISO_BLOCK)
				like->part_offset = true;
		}
	}
	pl_arena_done(&arena);
	return r;
}

/* libisofs tells what it found out of a system area only as text. */
static int
read_area_options(struct pl_isofs *w, int *ret, struct platter_error *err)
{
	static const char heading[] = "System area options:";
	char **lines = NULL;
	int nr = 0;
	int code = iso_image_report_system_area(w->image, &lines, &nr, 0);

	if (code < 0)
		return pl_isofs_fail(err, code, "cannot read the system area of '%s'",
				     w->options->like);
	*ret = 0;
	for (int i = 0; i < nr; i++)
		if (!strncmp(lines[i], heading, sizeof heading - 1))
			*ret = (int)strtoul(lines[i] + sizeof heading - 1, NULL, 0);
	iso_image_report_system_area(w->image, &lines, &nr, 1 << 15);
	return 0;
}

static int
remember_area(struct pl_isofs *w, struct pl_isofs_like *like, struct platter_error *err)
{
	int ignored, code = iso_image_get_system_area(w->image, like->area, &ignored, 0);

	if (code < 0)
		return pl_isofs_fail(err, code, "cannot read the system area of '%s'",
				     w->options->like);
	like->has_area = code == 1 && !pl_is_zero(like->area, sizeof like->area);
	return like->has_area ? read_area_options(w, &like->area_options, err) : 0;
}

/* ---- the new disc ---- */

static int
empty_tree(struct pl_isofs *w, struct platter_error *err)
{
	IsoDirIter *iter;
	IsoNode *node;
	int code = iso_dir_get_children(iso_image_get_root(w->image), &iter);

	if (code < 0)
		return pl_isofs_fail(err, code, "cannot take the old files away");
	while (code >= 0 && iso_dir_iter_next(iter, &node) == 1)
		code = iso_node_get_type(node) == LIBISO_DIR ? iso_node_remove_tree(node, iter)
							     : iso_dir_iter_remove(iter);
	iso_dir_iter_free(iter);
	return code < 0 ? pl_isofs_fail(err, code, "cannot take the old files away") : 0;
}

int
pl_isofs_like_begin(struct pl_isofs *w, struct pl_isofs_like **ret, struct platter_error *err)
{
	struct pl_isofs_like *like = calloc(1, sizeof *like);
	int r = like ? remember_images(w, like, err) : pl_no_memory(err);

	*ret = like;
	if (r == 0)
		r = remember_area(w, like, err);
	if (r == 0)
		r = remember_partitions(w, like, err);
	if (r < 0)
		return r;
	if (!like->nr_images && !like->has_area) {
		r = pl_invalid(err, "'%s' does not boot: there is nothing to keep",
			       w->options->like);
		pl_hint(err, "make the disc without --like");
		return r;
	}
	iso_image_remove_boot_image(w->image);
	for (int i = 0; i < like->nr_images; i++)
		/* The reference of its folder comes with it; we have one already. */
		if (like->images[i].path && iso_node_take(like->images[i].node) == 1)
			iso_node_unref(like->images[i].node);
	return empty_tree(w, err);
}

/* Put the old file back where it was, or where no tree shows it. */
static int
add_old_file(struct pl_isofs *w, struct like_image *image, int index, struct platter_error *err)
{
	PL_AUTOFREE char *above = NULL;
	IsoDir *dir;
	int r, code;

	if (!image->path) {
		char name[32];

		snprintf(name, sizeof name, ".boot-image-%d", index + 1);
		image->path = pl_format("/%s", name);
		code = image->path ? iso_node_set_name(image->node, name) : (int)ISO_OUT_OF_MEM;
		if (code < 0)
			return pl_isofs_fail(err, code, "cannot keep a boot image");
		iso_node_set_hidden(image->node, LIBISO_HIDE_ON_RR | LIBISO_HIDE_ON_JOLIET |
							 LIBISO_HIDE_ON_HFSPLUS);
	}
	above = strndup(image->path, (size_t)(strrchr(image->path, '/') - image->path));
	r = above ? pl_isofs_folder(w, above, &dir, err) : pl_no_memory(err);
	if (r < 0)
		return r;
	iso_node_ref(image->node);
	code = iso_dir_add_node(dir, image->node, ISO_REPLACE_NEVER);
	return code < 0 ? pl_isofs_fail(err, code, "cannot keep '%s'", image->path) : 0;
}

static int
add_image(struct pl_isofs *w, struct like_image *image, int index, struct platter_error *err)
{
	PL_AUTOFREE char *path = NULL;
	ElToritoBootImage *boot;
	int r = 0;

	if (image->partition) {
		path = pl_format("--interval:appended_partition_%d:all::", image->partition);
	} else if (image->path && pl_source_find(w->source, image->path)) {
		r = pl_isofs_show(w, image->path, &path, err);
	} else {
		/* Two entries of a catalog may be one file. */
		if (!image->path || !pl_isofs_node(w, image->path))
			r = image->node ? add_old_file(w, image, index, err)
					: pl_unsupported(err, PLATTER_NO_OFFSET,
							 "boot image %d of '%s' is not on it",
							 index + 1, w->options->like);
		path = r == 0 ? strdup(image->path) : NULL;
	}
	if (r == 0 && !path)
		r = pl_no_memory(err);
	if (r == 0)
		r = pl_isofs_add_boot_image(w, path, index == 0, image->type, &boot, err);
	if (r < 0)
		return r;
	el_torito_set_boot_platform_id(boot, (uint8_t)image->platform);
	el_torito_set_load_seg(boot, (short)image->segment);
	el_torito_set_load_size(boot, (short)image->sectors);
	if (image->full > 0)
		el_torito_set_full_load(boot, 1);
	if (image->bootable == 0)
		el_torito_set_no_bootable(boot);
	el_torito_set_id_string(boot, image->id);
	el_torito_set_selection_crit(boot, image->criteria);
	el_torito_set_isolinux_options(boot, image->options, 0);
	return 0;
}

static int
add_partitions(struct pl_isofs *w, const struct pl_isofs_like *like, struct platter_error *err)
{
	int code = 0;

	for (int i = 0; code >= 0 && i < like->nr_appended; i++) {
		const struct appended *a = &like->appended[i];
		PL_AUTOFREE char *interval =
			pl_format("imported_iso:%" PRIu64 "d-%" PRIu64 "d::", a->offset / SECTOR,
				  (a->offset + a->length) / SECTOR - 1);

		if (!interval)
			return pl_no_memory(err);
		code = iso_write_opts_set_partition_img(w->write, a->number, a->type, interval, 1);
	}
	if (code >= 0 && like->gpt)
		code = iso_write_opts_set_appended_as_gpt(w->write, 1);
	if (code >= 0 && like->part_offset)
		code = iso_write_opts_set_part_offset(w->write, 16, 0, 0);
	return code < 0 ? pl_isofs_fail(err, code, "cannot keep the partitions of '%s'",
					w->options->like)
			: 0;
}

int
pl_isofs_like_end(struct pl_isofs *w, struct pl_isofs_like *like, struct platter_error *err)
{
	int r = add_partitions(w, like, err), code = 0;

	if (like->hfsplus)
		iso_write_opts_set_hfsplus(w->write, 1);
	for (int i = 0; r == 0 && i < like->nr_images; i++)
		r = add_image(w, &like->images[i], i, err);
	if (r == 0 && like->has_area)
		code = iso_write_opts_set_system_area(w->write, like->area, like->area_options, 0);
	return code < 0 ? pl_isofs_fail(err, code, "cannot keep the system area of '%s'",
					w->options->like)
			: r;
}
