/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sheet.c - the files beside a sheet, and what all sheets are written by */
#include "sheet.h"

#include <strings.h>

/* Positions are minutes, seconds and frames of two digits. */
#define MAX_CD_SECTORS (100 * 60 * 75)

static const char *
last_part(const char *path)
{
	const char *slash = strrchr(path, '/'), *back = strrchr(path, '\\');

	if (back && (!slash || back > slash))
		slash = back;
	return slash ? slash + 1 : path;
}

static int
is_called(struct pl_disk *file, const void *wanted)
{
	return strcasecmp(last_part(file->name), wanted) == 0;
}

/* The file beside the sheet that is called so but for upper and lower case; NULL: there is none. */
static char *
find_called(const struct pl_open_request *request, const char *name)
{
	const char *dot = strrchr(name, '.');
	char *found = NULL;

	if (!dot || !dot[1])
		return NULL;
	if (request->related->find(request->related, ".", dot + 1, is_called, name, &found, NULL) <
	    0)
		return NULL;
	return found;
}

char *
pl_sheet_named_like(const struct pl_disk *sheet, const char *extension)
{
	const char *name = last_part(sheet->name), *dot = strrchr(name, '.');

	return pl_format("%.*s.%s", dot && dot != name ? (int)(dot - name) : (int)strlen(name),
			 name, extension);
}

int
pl_sheet_open_file(const struct pl_open_request *request, const char *name, const char *format,
		   struct pl_disk **ret, struct platter_error *err)
{
	struct pl_related *related = request->related;
	struct platter_error second = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *found = NULL, *like = NULL;
	const char *dot;
	int r;

	if (!related) {
		r = pl_fail(err, -ENOTSUP,
			    "'%s', which holds the sectors, cannot be reached from here", name);
		pl_hint(err, "extract the sheet and its files, and open the sheet then");
		return r;
	}
	r = related->open(related, name, format, false, ret, err);
	if (r == 0 || !related->missing)
		return r;
	found = find_called(request, last_part(name));
	if (!found) {
		dot = strrchr(last_part(name), '.');
		like = dot ? pl_sheet_named_like(request->file, dot + 1) : NULL;
		found = like ? find_called(request, like) : NULL;
	}
	if (!found) {
		pl_hint(err, "put the files that belong to it beside '%s'", request->file->name);
		return r;
	}
	r = related->open(related, found, format, false, ret, &second);
	if (r < 0 && err)
		*err = second;
	return r;
}

int
pl_sheet_read(struct pl_disk *file, char **ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	char *text;
	int r;

	if (file->size > PL_SHEET_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a sheet of %" PRIu64 " bytes, limit is %" PRIu64, file->size,
				     (uint64_t)PL_SHEET_MAX);
	r = pl_read_alloc(file, (size_t)file->size, 0, &bytes, err);
	if (r < 0)
		return r;
	text = strndup((const char *)bytes, (size_t)file->size);
	if (!text)
		return pl_no_memory(err);
	*ret = text;
	return 0;
}

static char *
quoted_word(char **line, bool escapes)
{
	char *word = *line + 1, *to = word, *from = word;

	while (*from && *from != '"') {
		if (escapes && *from == '\\' && from[1])
			from++;
		*to++ = *from++;
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

char *
pl_sheet_word(char **line, bool escapes)
{
	char *word = *line + strspn(*line, " \t\r\n");

	*line = word;
	if (!*word)
		return NULL;
	if (*word == '"')
		return quoted_word(line, escapes);
	*line += strcspn(word, " \t\r\n");
	if (**line)
		*(*line)++ = '\0';
	return word;
}

/* ---- writing ---- */

struct pl_sheet_writer *
pl_sheet_writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct pl_sheet_writer, writer);
}

static int
sheet_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	    uint64_t *ret_length, struct platter_error *err)
{
	(void)stored, (void)err; /* nothing is encoded, and nothing can fail */
	*ret_at = pl_sheet_writer_of(w)->data_at + offset;
	*ret_length = length;
	return 0;
}

/* Silence, and what could not be read, is a hole of the data file. */
static int
sheet_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	   struct platter_error *err)
{
	(void)w, (void)offset, (void)length, (void)kind, (void)err;
	return 0;
}

static int
sheet_finish(struct pl_writer *w, struct platter_error *err)
{
	struct pl_sheet_writer *sw = pl_sheet_writer_of(w);
	int r = pl_resize(sw->data, sw->data_at + w->size, err);

	return r < 0 ? r : sw->finish(sw, err);
}

static void
sheet_free(struct pl_writer *w)
{
	struct pl_sheet_writer *sw = pl_sheet_writer_of(w);

	pl_disc_unref(sw->disc);
	pl_disk_unref(w->source);
	free(sw->data_name);
	free(sw);
}

static const struct pl_writer_ops sheet_writer_ops = {
	.place = sheet_place,
	.skip = sheet_skip,
	.finish = sheet_finish,
	.free = sheet_free,
};

static int
open_data(struct pl_sheet_writer *sw, const struct pl_create_request *request,
	  const char *extension, struct platter_error *err)
{
	const struct pl_storage_beside how = { .tag = "", .extension = extension };
	PL_AUTOFREE char *path = NULL;
	int r;

	if (!extension) {
		sw->data = request->file;
		return 0;
	}
	r = pl_storage_create_beside(request->file, &how, &sw->data, err);
	if (r < 0)
		return r;
	path = pl_storage_beside_path(request->file, 0);
	sw->data_name = path ? strdup(last_part(path)) : NULL;
	return sw->data_name ? 0 : pl_no_memory(err);
}

int
pl_sheet_writer_new(const struct pl_create_request *request, const char *extension,
		    int (*finish)(struct pl_sheet_writer *w, struct platter_error *err),
		    struct pl_writer **ret, struct platter_error *err)
{
	struct pl_sheet_writer *sw;
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a disc cannot be written to a stream: what describes it comes"
				   " last");
		pl_hint(err, "write it to a file");
		return r;
	}
	sw = calloc(1, sizeof *sw);
	if (!sw)
		return pl_no_memory(err);
	sw->writer = (struct pl_writer){ .ops = &sheet_writer_ops,
					 .file = request->file,
					 .size = request->size,
					 .chunk = KIB(64) };
	sw->disc = pl_disc_ref(request->disc);
	sw->finish = finish;
	sw->sheet = request->file;
	/* What an earlier run left is of no use without its sheet. */
	r = pl_resize(request->file, 0, err);
	if (r == 0)
		r = open_data(sw, request, extension, err);
	if (r < 0) {
		sheet_free(&sw->writer);
		return r;
	}
	sw->writer.file = sw->data;
	*ret = &sw->writer;
	return 0;
}

bool
pl_sheet_is_dvd(const struct pl_disc *disc)
{
	const struct platter_disc *d = &disc->info;

	return strcmp(d->medium, "CD") != 0 ||
	       d->sessions[d->nr_sessions - 1].end + PL_DISC_PREGAP > MAX_CD_SECTORS;
}

int
pl_sheet_writer_new_dvd(const struct pl_create_request *request, const char *format,
			const char *extension,
			int (*finish)(struct pl_sheet_writer *w, struct platter_error *err),
			struct pl_writer **ret, struct platter_error *err)
{
	const struct platter_disc *d = &request->disc->info;
	const struct platter_track *t = d->tracks;
	struct pl_writer *w;
	int r;

	if (d->nr_tracks != 1 || t->mode != PLATTER_TRACK_MODE1 || t->start != 0 ||
	    strcmp(d->medium, "BD") == 0) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a %s of %zu tracks and %" PRId64
				   " sectors is not written as %s, which has CDs, and DVDs of"
				   " one track of data",
				   d->medium, d->nr_tracks, d->sessions[d->nr_sessions - 1].end,
				   format);
		pl_hint(err, "write its data: as .iso");
		return r;
	}
	r = pl_sheet_writer_new(request, extension, finish, &w, err);
	if (r < 0)
		return r;
	r = pl_disc_user(request->disc, request->source ? request->source->name : "disc",
			 &w->source, err);
	if (r < 0) {
		w->ops->free(w);
		return r;
	}
	*ret = w;
	return 0;
}

int
pl_sheet_needs_cd(const struct pl_create_request *request, const char *format,
		  struct platter_error *err)
{
	const struct platter_disc *d = &request->disc->info;
	int64_t end = d->sessions[d->nr_sessions - 1].end;
	int r;

	if (!pl_sheet_is_dvd(request->disc))
		return 0;
	r = pl_unsupported(err, PLATTER_NO_OFFSET,
			   "a %s of %" PRId64 " sectors is not written as %s, which is for CDs",
			   d->medium, end, format);
	pl_hint(err, "write its data: as .iso");
	return r;
}

int64_t
pl_sheet_session_start(const struct pl_disc *disc, size_t index)
{
	int64_t end = disc->sessions[index].end, before = 0;

	if (index)
		before = pl_disc_position(disc, disc->sessions[index - 1].end - 1) + 1;
	return end - (pl_disc_position(disc, end - 1) + 1 - before);
}

int64_t
pl_sheet_track_start(const struct pl_disc *disc, const struct platter_track *track)
{
	int64_t first = track->start - (int64_t)track->pregap;

	for (size_t i = 0; i < disc->info.nr_sessions; i++)
		if (disc->sessions[i].number == track->session)
			first = disc->sessions[i].first_track == track->number
					? pl_sheet_session_start(disc, i)
					: PL_MAX(first, pl_sheet_session_start(disc, i));
	return first;
}

int
pl_sheet_write(struct pl_sheet_writer *w, const struct pl_str *text, struct platter_error *err)
{
	if (text->failed || !text->text)
		return pl_no_memory(err);
	return pl_write(w->sheet, text->text, text->length, 0, err);
}
