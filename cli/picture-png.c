/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * picture-png.c - the picture of a disk in pixels
 *
 * Colours come from a palette, so that the file is small.  Its words are drawn with letters of 5 by 7
 * pixels, capitals only: a font library would be larger than all of the command.
 */
#include "picture.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

/* In pixels. */
#define CELL    8 /* with its gap */
#define MARGIN  16
#define LINE    20
#define SCALE   2 /* of the letters */
#define ADVANCE (6 * SCALE)
#define SWATCH  14
#define WIDTH   (2 * MARGIN + PICTURE_COLUMNS * CELL)

/* Palette: paper and ink, then the classes. */
enum {
	PAPER,
	INK,
	FIRST_CLASS
};

#define MAX_CLASSES (256 - FIRST_CLASS)

/* Rows from the top; of each the five low bits, the leftmost the highest. */
struct glyph {
	char c;
	uint8_t rows[7];
};

static const struct glyph glyphs[] = {
	{ '0', { 0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e } },
	{ '1', { 0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e } },
	{ '2', { 0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f } },
	{ '3', { 0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e } },
	{ '4', { 0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02 } },
	{ '5', { 0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e } },
	{ '6', { 0x0e, 0x10, 0x10, 0x1e, 0x11, 0x11, 0x0e } },
	{ '7', { 0x1f, 0x01, 0x02, 0x04, 0x04, 0x08, 0x08 } },
	{ '8', { 0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e } },
	{ '9', { 0x0e, 0x11, 0x11, 0x0f, 0x01, 0x01, 0x0e } },
	{ 'A', { 0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11 } },
	{ 'B', { 0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e } },
	{ 'C', { 0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e } },
	{ 'D', { 0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e } },
	{ 'E', { 0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f } },
	{ 'F', { 0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10 } },
	{ 'G', { 0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f } },
	{ 'H', { 0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11 } },
	{ 'I', { 0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e } },
	{ 'J', { 0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c } },
	{ 'K', { 0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11 } },
	{ 'L', { 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f } },
	{ 'M', { 0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11 } },
	{ 'N', { 0x11, 0x19, 0x15, 0x15, 0x13, 0x11, 0x11 } },
	{ 'O', { 0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e } },
	{ 'P', { 0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10 } },
	{ 'Q', { 0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d } },
	{ 'R', { 0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11 } },
	{ 'S', { 0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e } },
	{ 'T', { 0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04 } },
	{ 'U', { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e } },
	{ 'V', { 0x11, 0x11, 0x11, 0x11, 0x0a, 0x0a, 0x04 } },
	{ 'W', { 0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11 } },
	{ 'X', { 0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11 } },
	{ 'Y', { 0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04 } },
	{ 'Z', { 0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f } },
	{ ' ', { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 } },
	{ '.', { 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c } },
	{ ',', { 0x00, 0x00, 0x00, 0x00, 0x0c, 0x04, 0x08 } },
	{ ':', { 0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00 } },
	{ '-', { 0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00 } },
	{ '+', { 0x00, 0x04, 0x04, 0x1f, 0x04, 0x04, 0x00 } },
	{ '_', { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f } },
	{ '/', { 0x00, 0x01, 0x02, 0x04, 0x08, 0x10, 0x00 } },
	{ '(', { 0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02 } },
	{ ')', { 0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08 } },
	{ '@', { 0x0e, 0x11, 0x17, 0x15, 0x17, 0x10, 0x0e } },
	{ '%', { 0x18, 0x19, 0x02, 0x04, 0x08, 0x13, 0x03 } },
	{ '=', { 0x00, 0x00, 0x1f, 0x00, 0x1f, 0x00, 0x00 } },
	{ '#', { 0x0a, 0x0a, 0x1f, 0x0a, 0x1f, 0x0a, 0x0a } },
	{ '\'', { 0x04, 0x04, 0x08, 0x00, 0x00, 0x00, 0x00 } },
	/* Last: what there is no letter for. */
	{ '?', { 0x0e, 0x11, 0x01, 0x06, 0x04, 0x00, 0x04 } },
};

struct canvas {
	unsigned height;
	uint8_t *pixels; /* WIDTH a row */
};

static void
fill(struct canvas *c, size_t x, size_t y, size_t width, size_t height, uint8_t colour)
{
	for (size_t i = 0; i < height && y + i < c->height; i++)
		for (size_t k = 0; k < width && x + k < WIDTH; k++)
			c->pixels[(y + i) * WIDTH + x + k] = colour;
}

static const struct glyph *
glyph_of(char c)
{
	const struct glyph *g = glyphs;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	while (g < glyphs + ARRAY_SIZE(glyphs) - 1 && g->c != c)
		g++;
	return g;
}

static void
draw_text(struct canvas *c, size_t x, size_t y, const char *text)
{
	for (; *text && x + ADVANCE < WIDTH - MARGIN; text++, x += ADVANCE) {
		const struct glyph *g = glyph_of(*text);

		for (size_t row = 0; row < ARRAY_SIZE(g->rows); row++)
			for (size_t column = 0; column < 5; column++)
				if (g->rows[row] >> (4 - column) & 1)
					fill(c, x + column * SCALE, y + row * SCALE, SCALE, SCALE,
					     INK);
	}
}

static void
draw(struct canvas *c, const struct picture *p, const char *title, unsigned legend)
{
	AUTOFREE char *scale = picture_scale(p);
	size_t y = legend;

	draw_text(c, MARGIN, MARGIN, title);
	draw_text(c, MARGIN, MARGIN + LINE, scale);
	for (size_t cell = 0; cell < p->nr_cells; cell++) {
		size_t class = picture_cell(p, cell);

		if (class != SIZE_MAX)
			fill(c, MARGIN + cell % PICTURE_COLUMNS * CELL,
			     MARGIN + 2 * LINE + cell / PICTURE_COLUMNS * CELL, CELL - 1, CELL - 1,
			     (uint8_t)(FIRST_CLASS + class));
	}
	for (size_t i = 0; i < p->nr_classes; i++, y += LINE) {
		AUTOFREE char *text =
			text_of("%s: %s", p->classes[i].label, exact_size_text(p->total[i]).text);

		fill(c, MARGIN, y, SWATCH, SWATCH, (uint8_t)(FIRST_CLASS + i));
		draw_text(c, MARGIN + SWATCH + 10, y, text);
	}
}

static void
set_colour(png_color *to, uint32_t rgb)
{
	to->red = (png_byte)(rgb >> 16);
	to->green = (png_byte)(rgb >> 8);
	to->blue = (png_byte)rgb;
}

/* libpng leaves by longjmp() when it fails. */
static bool
encode(const struct canvas *c, const struct picture *p, FILE *to)
{
	png_struct *png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_info *info = png ? png_create_info_struct(png) : NULL;
	png_color palette[256] = { 0 };

	set_colour(&palette[PAPER], 0xffffff);
	set_colour(&palette[INK], 0x202020);
	for (size_t i = 0; i < p->nr_classes; i++)
		set_colour(&palette[FIRST_CLASS + i], p->classes[i].rgb);
	errno = 0;
	if (!info || setjmp(png_jmpbuf(png))) {
		int code = info ? errno : ENOMEM;

		png_destroy_write_struct(&png, &info);
		errno = code;
		return false;
	}
	png_init_io(png, to);
	png_set_IHDR(png, info, WIDTH, c->height, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_PLTE(png, info, palette, FIRST_CLASS + (int)p->nr_classes);
	png_write_info(png, info);
	for (unsigned y = 0; y < c->height; y++)
		png_write_row(png, c->pixels + (size_t)y * WIDTH);
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	return !ferror(to);
}

bool
picture_write_png(const struct picture *p, FILE *to, const char *title)
{
	unsigned rows = (unsigned)((p->nr_cells + PICTURE_COLUMNS - 1) / PICTURE_COLUMNS);
	unsigned legend = MARGIN + 3 * LINE + rows * CELL;
	struct canvas c = { .height = legend + (unsigned)p->nr_classes * LINE + MARGIN };
	bool done;

	if (p->nr_classes > MAX_CLASSES) {
		errno = EINVAL;
		return false;
	}
	c.pixels = grown(NULL, c.height, WIDTH);
	memset(c.pixels, PAPER, (size_t)c.height * WIDTH);
	draw(&c, p, title, legend);
	done = encode(&c, p, to);
	free(c.pixels);
	return done;
}
