/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relink.c - another parent for a VHD
 *
 * The paths of the new parent go behind what is in the file, with the footer after them, and
 * are on stable storage before the dynamic header points at them.  What the footer's type says
 * of a parent that comes or goes changes when the header has it, or before the header loses it.
 */
#include "vhd.h"
#include "parent.h"
#include "text.h"

/* What a kill in between would make ambiguous. */
#define NOT_SOUND \
	(VHD_TAIL_MISSING | VHD_TAIL_SUM | VHD_TAIL_SHORT | VHD_COPY_MISSING | VHD_COPY_SUM)

/* The footer as it is, with a type. */
static int
read_footer(struct pl_disk *file, uint64_t at, uint32_t type, uint8_t ret[static VHD_FOOTER_SIZE],
	    struct platter_error *err)
{
	int r = pl_read(file, ret, VHD_FOOTER_SIZE, at, err);

	put_be32(ret + VHD_DISK_TYPE, type);
	put_be32(ret + VHD_CHECKSUM, pl_vhd_checksum(ret, VHD_FOOTER_SIZE, VHD_CHECKSUM));
	return r;
}

static int
write_type(struct pl_disk *file, uint64_t at, uint32_t type, struct platter_error *err)
{
	uint8_t b[VHD_FOOTER_SIZE];
	int r = read_footer(file, at, type, b, err);

	if (r == 0)
		r = pl_write(file, b, sizeof b, at, err);
	if (r == 0)
		r = pl_flush(file, err);
	if (r == 0)
		r = pl_write(file, b, sizeof b, 0, err);
	return r == 0 ? pl_flush(file, err) : r;
}

/* Add a path to what is stored at byte `at`, and the locator that leads to it. */
static int
add_path(struct pl_str *stored, uint64_t at, const char *path, const char *code, uint8_t *locator)
{
	size_t nr, room;
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(path, &nr);

	if (!units)
		return -ENOMEM;
	room = (size_t)pl_round_up(nr * 2, 512);
	memcpy(locator, code, 4);
	/* The specification counts this in sectors; Microsoft's own programs count bytes. */
	put_be32(locator + 4, (uint32_t)room);
	put_be32(locator + 8, (uint32_t)(nr * 2));
	put_be64(locator + 16, at + stored->length);
	pl_str_add_bytes(stored, units, nr * 2);
	while (stored->length % 512 && !stored->failed)
		pl_str_add_bytes(stored, "", 1);
	return stored->failed ? -ENOMEM : 0;
}

int
pl_vhd_put_parent(const struct vhd_footer *parent, const struct pl_parent_paths *paths, uint64_t at,
		  uint8_t header[static VHD_HEADER_SIZE], struct pl_str *ret_stored,
		  struct platter_error *err)
{
	const char *last = strrchr(paths->relative, '\\');
	uint8_t *locator = header + VHD_LOCATORS;
	PL_AUTOFREE uint8_t *name = NULL;
	size_t nr;

	memcpy(header + VHD_PARENT_UUID, parent->uuid, 16);
	put_be32(header + VHD_PARENT_TIME, parent->timestamp);
	name = pl_utf16be_from_text(last ? last + 1 : paths->relative, &nr);
	if (!name || add_path(ret_stored, at, paths->relative, "W2ru", locator) < 0 ||
	    (paths->absolute &&
	     add_path(ret_stored, at, paths->absolute, "W2ku", locator + VHD_LOCATOR_SIZE) < 0))
		return pl_no_memory(err);
	memcpy(header + VHD_PARENT_NAME, name, PL_MIN(nr, VHD_PARENT_NAME_UNITS - 1) * 2);
	return 0;
}

/* The paths, and the footer behind them, in one write.  *footer_at: where the footer is then. */
static int
append(struct pl_disk *file, struct pl_str *paths, uint32_t type, uint64_t *footer_at,
       struct platter_error *err)
{
	/* The old footer stays until the new one is there. */
	uint64_t at = *footer_at + VHD_FOOTER_SIZE;
	uint8_t footer[VHD_FOOTER_SIZE];
	int r = read_footer(file, *footer_at, type, footer, err);

	if (r < 0)
		return r;
	*footer_at = at + paths->length;
	pl_str_add_bytes(paths, footer, sizeof footer);
	if (paths->failed)
		return pl_no_memory(err);
	r = pl_write(file, paths->text, paths->length, at, err);
	return r == 0 ? pl_flush(file, err) : r;
}

/* The dynamic header without a parent. */
static int
read_header(struct pl_disk *file, uint64_t at, uint8_t b[static VHD_HEADER_SIZE],
	    struct platter_error *err)
{
	int r = pl_read(file, b, VHD_HEADER_SIZE, at, err);

	memset(b + VHD_PARENT_UUID, 0,
	       VHD_LOCATORS + VHD_NR_LOCATORS * VHD_LOCATOR_SIZE - VHD_PARENT_UUID);
	return r;
}

static int
write_header(struct pl_disk *file, uint64_t at, uint8_t b[static VHD_HEADER_SIZE],
	     struct platter_error *err)
{
	int r;

	put_be32(b + VHD_HEADER_CHECKSUM, pl_vhd_checksum(b, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM));
	r = pl_write(file, b, VHD_HEADER_SIZE, at, err);
	return r == 0 ? pl_flush(file, err) : r;
}

static int
set_parent(struct pl_disk *file, const struct vhd_footer *f, uint64_t footer_at,
	   const struct vhd_footer *parent, const struct pl_parent_paths *paths,
	   struct platter_error *err)
{
	struct pl_str stored = { 0 };
	uint8_t b[VHD_HEADER_SIZE];
	int r = read_header(file, f->data_offset, b, err);

	if (r == 0)
		r = pl_vhd_put_parent(parent, paths, footer_at + VHD_FOOTER_SIZE, b, &stored, err);
	if (r == 0)
		r = append(file, &stored, f->type, &footer_at, err);
	if (r == 0)
		r = write_header(file, f->data_offset, b, err);
	if (r == 0 && f->type != VHD_DIFFERENCING)
		r = write_type(file, footer_at, VHD_DIFFERENCING, err);
	pl_str_done(&stored);
	return r;
}

static int
drop_parent(struct pl_disk *file, const struct vhd_footer *f, uint64_t footer_at,
	    struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE];
	int r = write_type(file, footer_at, VHD_DYNAMIC, err);

	if (r == 0)
		r = read_header(file, f->data_offset, b, err);
	return r == 0 ? write_header(file, f->data_offset, b, err) : r;
}

int
pl_vhd_relink(struct pl_disk *file, const struct vhd_footer *parent,
	      const struct pl_parent_paths *paths, struct platter_error *err)
{
	struct vhd_footer f;
	uint64_t at, end;
	unsigned damage;
	int r = pl_vhd_footer_read(file, 0, &f, &at, &end, &damage, err);

	if (r < 0)
		return r;
	if (damage & NOT_SOUND) {
		r = pl_corrupt(err, at, "the footer or its copy is damaged");
		pl_hint(err, "repair the image first");
		return r;
	}
	if (f.type == VHD_FIXED)
		return pl_unsupported(err, at + VHD_DISK_TYPE,
				      "'%s' is a fixed VHD, which has no parent", file->name);
	return parent ? set_parent(file, &f, at, parent, paths, err)
		      : drop_parent(file, &f, at, err);
}
