/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * picture.h - a disk as a picture: cells from its start to its end, row by row, in colours
 *
 *	static const struct picture_class classes[] = {
 *		{ .label = "read", .rgb = 0x2e8b57 },
 *		{ .label = "bad", .rgb = 0xc62828, .always = true },
 *	};
 *	struct picture p;
 *
 *	picture_init(&p, size, classes, ARRAY_SIZE(classes));
 *	picture_fill(&p, 0, size - 512, 0);
 *	picture_fill(&p, size - 512, 512, 1);
 *	if (picture_save_png(&p, "disk.png", "disk.img", &err) < 0) ...
 *	picture_done(&p);
 */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <platter/error.h>

/* Cells of a picture that is saved. */
#define PICTURE_COLUMNS 128
#define PICTURE_ROWS    64

/* What a run of the disk can be. */
struct picture_class {
	const char *label; /* for the legend */
	uint32_t rgb;      /* 0xRRGGBB */
	/*
	 * A cell with any of it shows it, the later class before the earlier; other cells show what
	 * most of them is.  For what is rare and matters: one bad sector of a terabyte.
	 */
	bool always;
};

struct picture {
	uint64_t size;
	const struct picture_class *classes; /* borrowed */
	size_t nr_classes, nr_cells;
	uint64_t *bytes; /* of each class in each cell */
	uint64_t *total; /* of each class */
};

/* A picture of a disk of `size` bytes without any runs yet, in PICTURE_COLUMNS * PICTURE_ROWS cells. */
void picture_init(struct picture *p, uint64_t size, const struct picture_class *classes,
		  size_t nr_classes);
/* The same in so many cells (> 0), for other drawings; a disk of fewer bytes has fewer. */
void picture_init_cells(struct picture *p, uint64_t size, const struct picture_class *classes,
			size_t nr_classes, size_t nr_cells);
void picture_done(struct picture *p);

/* [offset, offset + length), cut at the end of the disk, is of class `class`.  Runs do not overlap. */
void picture_fill(struct picture *p, uint64_t offset, uint64_t length, size_t class);

/* The class that a cell shows; SIZE_MAX: nothing was filled in. */
size_t picture_cell(const struct picture *p, size_t cell);

/*
 * Save it with a title and a legend, as a PNG or SVG file, which appears under its name when it is
 * whole; one that is there is replaced.  Returns 0 or negative errno.
 */
int picture_save_png(const struct picture *p, const char *path, const char *title,
		     struct platter_error *err);
int picture_save_svg(const struct picture *p, const char *path, const char *title,
		     struct platter_error *err);

/* picture-png.c: write it to an open file; false: errno says why not. */
bool picture_write_png(const struct picture *p, FILE *to, const char *title);

/* "1.0 TiB, a cell is 128 MiB": to be freed. */
char *picture_scale(const struct picture *p);

#endif
