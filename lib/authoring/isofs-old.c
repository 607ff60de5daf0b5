/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isofs-old.c - a disc that there is already, as libisofs loads its tree and adds a session */
#include "isofs.h"

/* A session begins where a DVD's error correction block does. */
#define SESSION_UNIT 16

/* ---- blocks of a disk for libisofs ---- */

static int
source_open(IsoDataSource *source)
{
	(void)source;
	return 1;
}

static int
source_read(IsoDataSource *source, uint32_t lba, uint8_t *buffer)
{
	struct pl_disk *disk = source->data;

	return pl_read_padded(disk, buffer, ISO_BLOCK, (uint64_t)lba * ISO_BLOCK, NULL, NULL) < 0
		       ? (int)ISO_DATA_SOURCE_FAILURE
		       : 1;
}

static void
source_free(IsoDataSource *source)
{
	pl_disk_unref(source->data);
}

static int
new_data_source(struct pl_isofs *w, struct platter_error *err)
{
	/* libisofs frees it with free(). */
	w->old_source = calloc(1, sizeof *w->old_source);
	if (!w->old_source)
		return pl_no_memory(err);
	*w->old_source = (IsoDataSource){
		.refcount = 1,
		.open = source_open,
		.close = source_open,
		.read_block = source_read,
		.free_data = source_free,
		.data = pl_disk_ref(w->old->disk),
	};
	return 0;
}

static int
import(struct pl_isofs *w, const char *place, struct platter_error *err)
{
	IsoReadOpts *how;
	int code = iso_read_opts_new(&how, 0);

	if (code < 0)
		return pl_isofs_fail(err, code, "cannot load '%s'", place);
	iso_read_opts_set_input_charset(how, "UTF-8");
	iso_read_opts_load_system_area(how, 1);
	iso_read_opts_keep_import_src(how, 1);
	code = iso_image_import(w->image, w->old_source, how, NULL);
	iso_read_opts_free(how);
	return code < 0 ? pl_isofs_fail(err, code, "cannot load '%s'", place) : 0;
}

int
pl_isofs_import(struct pl_isofs *w, const char *place, struct platter_error *err)
{
	int r = pl_place_open(place, NULL, 0, &w->old, err);

	if (r == 0 && w->old->disk->size > (uint64_t)UINT32_MAX * ISO_BLOCK)
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "'%s' has %" PRIu64 " bytes, a disc has room for %" PRIu64, place,
				  w->old->disk->size, (uint64_t)UINT32_MAX * ISO_BLOCK);
	if (r < 0)
		return r;
	w->old_blocks = pl_round_up(pl_div_round_up(w->old->disk->size, ISO_BLOCK), SESSION_UNIT);
	r = new_data_source(w, err);
	return r < 0 ? r : import(w, place, err);
}

int
pl_isofs_prepare_session(struct pl_isofs *w, struct platter_error *err)
{
	int r;

	/* Where another session's descriptors point is written last, over those of the first. */
	w->overwrite = calloc(1, KIB(64));
	if (!w->overwrite)
		return pl_no_memory(err);
	r = pl_read_padded(w->old->disk, w->overwrite, KIB(64), 0, NULL, err);
	if (r < 0)
		return r;
	iso_write_opts_set_appendable(w->write, 1);
	iso_write_opts_set_ms_block(w->write, (uint32_t)w->old_blocks);
	iso_write_opts_set_overwrite_buf(w->write, w->overwrite);
	return 0;
}
