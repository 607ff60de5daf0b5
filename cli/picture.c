/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

/* Measures of the SVG, in pixels: a cell with its gap, the margin, a line of text. */
#define CELL   8
#define MARGIN 16
#define LINE   22

void
picture_init_cells(struct picture *p, uint64_t size, const struct picture_class *classes,
		   size_t nr_classes, size_t nr_cells)
{
	*p = (struct picture){
		.size = size,
		.classes = classes,
		.nr_classes = nr_classes,
		.nr_cells = size < nr_cells ? (size_t)size : nr_cells,
	};
	p->bytes = grown(NULL, p->nr_cells * nr_classes + 1, sizeof *p->bytes);
	p->total = grown(NULL, nr_classes + 1, sizeof *p->total);
	memset(p->bytes, 0, (p->nr_cells * nr_classes + 1) * sizeof *p->bytes);
	memset(p->total, 0, (nr_classes + 1) * sizeof *p->total);
}

void
picture_init(struct picture *p, uint64_t size, const struct picture_class *classes,
	     size_t nr_classes)
{
	picture_init_cells(p, size, classes, nr_classes, PICTURE_COLUMNS * PICTURE_ROWS);
}

void
picture_done(struct picture *p)
{
	free(p->bytes);
	free(p->total);
}

/* The first byte of a cell.  The product may take more than 64 bits. */
static uint64_t
cell_start(const struct picture *p, size_t cell)
{
	return (uint64_t)((__extension__(unsigned __int128) p->size * cell + p->nr_cells - 1) /
			  p->nr_cells);
}

static size_t
cell_at(const struct picture *p, uint64_t offset)
{
	return (size_t)((__extension__(unsigned __int128) offset * p->nr_cells) / p->size);
}

void
picture_fill(struct picture *p, uint64_t offset, uint64_t length, size_t class)
{
	uint64_t end;

	if (offset >= p->size)
		return;
	end = length < p->size - offset ? offset + length : p->size;
	p->total[class] += end - offset;
	while (offset < end) {
		size_t cell = cell_at(p, offset);
		uint64_t next = cell_start(p, cell + 1);

		if (next > end)
			next = end;
		p->bytes[cell * p->nr_classes + class] += next - offset;
		offset = next;
	}
}

size_t
picture_cell(const struct picture *p, size_t cell)
{
	const uint64_t *bytes = p->bytes + cell * p->nr_classes;
	size_t most = SIZE_MAX;

	for (size_t i = p->nr_classes; i-- > 0;)
		if (bytes[i] && p->classes[i].always)
			return i;
	for (size_t i = 0; i < p->nr_classes; i++)
		if (bytes[i] && (most == SIZE_MAX || bytes[i] > bytes[most]))
			most = i;
	return most;
}

char *
picture_scale(const struct picture *p)
{
	uint64_t cell = p->nr_cells ? (p->size + p->nr_cells / 2) / p->nr_cells : 0;

	return text_of("%s, a cell is %s", size_text(p->size).text, size_text(cell).text);
}

/* Text of an SVG: no byte of a name can end it or break its encoding. */
static void
put_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
			fprintf(to, "&#%d;", c);
		else
			putc(c < ' ' || c > '~' ? '?' : c, to);
	}
}

static void
put_text(FILE *to, unsigned x, unsigned y, const char *text)
{
	fprintf(to, "<text x=\"%u\" y=\"%u\">", x, y);
	put_escaped(to, text);
	fputs("</text>\n", to);
}

static void
put_rectangle(FILE *to, size_t x, size_t y, size_t width, unsigned height, uint32_t rgb)
{
	fprintf(to,
		"<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%u\" fill=\"#%06" PRIx32 "\"/>\n",
		x, y, width, height, rgb);
}

/* The cells of a row that are alike are one rectangle. */
static void
put_cells(const struct picture *p, FILE *to)
{
	for (size_t cell = 0, end; cell < p->nr_cells; cell = end) {
		size_t class = picture_cell(p, cell);
		size_t row_end = (cell / PICTURE_COLUMNS + 1) * PICTURE_COLUMNS;

		for (end = cell + 1; end < row_end && end < p->nr_cells; end++)
			if (picture_cell(p, end) != class)
				break;
		if (class != SIZE_MAX)
			put_rectangle(to, MARGIN + cell % PICTURE_COLUMNS * CELL,
				      MARGIN + 2 * LINE + cell / PICTURE_COLUMNS * CELL,
				      (end - cell) * CELL - 1, CELL - 1, p->classes[class].rgb);
	}
}

static void
put_legend(const struct picture *p, FILE *to, unsigned y)
{
	for (size_t i = 0; i < p->nr_classes; i++, y += LINE) {
		AUTOFREE char *text =
			text_of("%s: %s", p->classes[i].label, exact_size_text(p->total[i]).text);

		put_rectangle(to, MARGIN, y, 14, 14, p->classes[i].rgb);
		put_text(to, MARGIN + 24, y + 12, text);
	}
}

static bool
write_svg(const struct picture *p, FILE *to, const char *title)
{
	unsigned rows = (unsigned)((p->nr_cells + PICTURE_COLUMNS - 1) / PICTURE_COLUMNS);
	unsigned legend = MARGIN + 3 * LINE + rows * CELL;
	AUTOFREE char *scale = picture_scale(p);

	fprintf(to,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\""
		" font-family=\"sans-serif\" font-size=\"14\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		2 * MARGIN + PICTURE_COLUMNS * CELL,
		legend + (unsigned)p->nr_classes * LINE + MARGIN);
	put_text(to, MARGIN, MARGIN + 12, title);
	put_text(to, MARGIN, MARGIN + LINE + 12, scale);
	put_cells(p, to);
	put_legend(p, to, legend);
	fputs("</svg>\n", to);
	return !ferror(to);
}

static int
fail(struct platter_error *err, int code, const char *path)
{
	*err = (struct platter_error){ .code = code, .offset = PLATTER_NO_OFFSET };
	snprintf(err->message, sizeof err->message, "cannot write '%.512s': %s", path,
		 strerror(-code));
	return code;
}

static int
save(const struct picture *p, const char *path, const char *title,
     bool (*write)(const struct picture *p, FILE *to, const char *title), struct platter_error *err)
{
	AUTOFREE char *part = text_of("%s.part", path);
	FILE *to = fopen(part, "we");
	int code = 0;

	if (!to)
		return fail(err, -errno, path);
	if (!write(p, to, title))
		code = errno ? -errno : -EIO;
	if (fclose(to) != 0 && !code)
		code = -errno;
	if (!code && rename(part, path) < 0)
		code = -errno;
	if (!code)
		return 0;
	unlink(part);
	return fail(err, code, path);
}

int
picture_save_png(const struct picture *p, const char *path, const char *title,
		 struct platter_error *err)
{
	return save(p, path, title, picture_write_png, err);
}

int
picture_save_svg(const struct picture *p, const char *path, const char *title,
		 struct platter_error *err)
{
	return save(p, path, title, write_svg, err);
}
