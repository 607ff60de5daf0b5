/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapfile.c - what of a disk could be read, as GNU ddrescue writes it down
 *
 * GNU ddrescue manual, "Mapfile structure": lines, of which those with a '#' are comments.  The
 * first other line has the position and the status of what was being done, and from version 1.22 on
 * the pass.  Each line after it is a block: position, size, status.  Numbers are as C has them.
 */
#include "mapfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static const char statuses[] = "?*/-+";
static const char phases[] = "?*/-FG+";

/* Blocks of a mapfile that is read: 192 MiB of memory, and more than any drive gave rise to. */
#define MAX_PARSED (8 << 20)

static const char device_comment[] = "# Device: ";

static size_t
index_of(enum pl_block_status status)
{
	return (size_t)(strchr(statuses, status) - statuses);
}

static bool
is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

uint64_t
pl_mapfile_bytes(const struct pl_mapfile *m, enum pl_block_status status)
{
	return m->total[index_of(status)];
}

void
pl_mapfile_done(struct pl_mapfile *m)
{
	free(m->blocks);
	free(m->device);
	*m = (struct pl_mapfile){ 0 };
}

static struct pl_block *
block_at(const struct pl_mapfile *m, size_t index)
{
	return &m->blocks[index < m->gap_at ? index : index + (m->capacity - m->nr)];
}

const struct pl_block *
pl_mapfile_block(const struct pl_mapfile *m, size_t index)
{
	return index < m->nr ? block_at(m, index) : NULL;
}

/* The gap stands before the block at `index`. */
static void
move_gap(struct pl_mapfile *m, size_t index)
{
	size_t gap = m->capacity - m->nr;

	if (index < m->gap_at)
		memmove(m->blocks + index + gap, m->blocks + index,
			(m->gap_at - index) * sizeof *m->blocks);
	else if (index > m->gap_at)
		memmove(m->blocks + m->gap_at, m->blocks + m->gap_at + gap,
			(index - m->gap_at) * sizeof *m->blocks);
	m->gap_at = index;
}

/* Room for `more` blocks in the gap. */
static int
make_room(struct pl_mapfile *m, size_t more, struct platter_error *err)
{
	size_t capacity = m->capacity + m->capacity / 2 + 64;
	struct pl_block *blocks;

	if (m->capacity - m->nr >= more)
		return 0;
	blocks = pl_realloc_array(m->blocks, capacity, sizeof *blocks);
	if (!blocks)
		return pl_no_memory(err);
	memmove(blocks + m->gap_at + (capacity - m->nr), blocks + m->gap_at + (m->capacity - m->nr),
		(m->nr - m->gap_at) * sizeof *blocks);
	m->blocks = blocks;
	m->capacity = capacity;
	return 0;
}

/* Into the gap, where there is room. */
static void
put_block(struct pl_mapfile *m, uint64_t offset, uint64_t end, enum pl_block_status status)
{
	if (offset == end)
		return;
	m->blocks[m->gap_at++] = (struct pl_block){ offset, end - offset, status };
	m->nr++;
}

size_t
pl_mapfile_find(const struct pl_mapfile *m, uint64_t offset)
{
	size_t low = 0, high = m->nr;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (block_at(m, middle)->offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Joined with the last if they are alike. */
int
pl_mapfile_append(struct pl_mapfile *m, uint64_t length, enum pl_block_status status,
		  struct platter_error *err)
{
	struct pl_block *last;
	int r = make_room(m, 1, err);

	if (r < 0 || !length)
		return r;
	last = m->nr ? block_at(m, m->nr - 1) : NULL;
	if (last && last->status == status) {
		last->length += length;
	} else {
		move_gap(m, m->nr);
		put_block(m, m->size, m->size + length, status);
	}
	m->size += length;
	m->total[index_of(status)] += length;
	return 0;
}

int
pl_mapfile_init(struct pl_mapfile *m, uint64_t size, struct platter_error *err)
{
	*m = (struct pl_mapfile){ .phase = '?', .pass = 1 };
	return pl_mapfile_append(m, size, PL_BLOCK_UNTRIED, err);
}

int
pl_mapfile_extend(struct pl_mapfile *m, uint64_t size, struct platter_error *err)
{
	return size > m->size ? pl_mapfile_append(m, size - m->size, PL_BLOCK_UNTRIED, err) : 0;
}

void
pl_mapfile_cut_open_end(struct pl_mapfile *m, uint64_t size)
{
	struct pl_block *last;

	if (m->size != INT64_MAX || size >= m->size)
		return;
	while (m->nr && (last = block_at(m, m->nr - 1))->offset >= size) {
		m->total[index_of(last->status)] -= last->length;
		move_gap(m, m->nr);
		m->gap_at--;
		m->nr--;
	}
	if (m->nr) {
		last = block_at(m, m->nr - 1);
		m->total[index_of(last->status)] -= last->offset + last->length - size;
		last->length = size - last->offset;
	}
	m->size = size;
}

int
pl_mapfile_set(struct pl_mapfile *m, uint64_t offset, uint64_t length, enum pl_block_status status,
	       struct platter_error *err)
{
	uint64_t end = offset + length;
	struct pl_block left, right;
	size_t first, past;
	int r;

	if (!length || !pl_in_range(offset, length, m->size))
		return length ? pl_fail(err, -ERANGE, "block past the end of the map") : 0;
	r = make_room(m, 3, err);
	if (r < 0)
		return r;
	first = pl_mapfile_find(m, offset);
	past = pl_mapfile_find(m, end - 1) + 1;
	for (size_t i = first; i < past; i++) {
		const struct pl_block *b = block_at(m, i);
		uint64_t from = PL_MAX(b->offset, offset);
		uint64_t to = PL_MIN(b->offset + b->length, end);

		m->total[index_of(b->status)] -= to - from;
	}
	m->total[index_of(status)] += length;
	/* With what is alike beside it. */
	if (first > 0 && block_at(m, first)->offset == offset &&
	    block_at(m, first - 1)->status == status)
		first--;
	if (past < m->nr && block_at(m, past)->offset == end && block_at(m, past)->status == status)
		past++;
	left = *block_at(m, first);
	right = *block_at(m, past - 1);
	move_gap(m, past);
	m->nr -= past - first;
	m->gap_at = first;
	if (left.status == status)
		offset = left.offset;
	else
		put_block(m, left.offset, offset, left.status);
	if (right.status == status)
		end = right.offset + right.length;
	put_block(m, offset, end, status);
	put_block(m, end, right.offset + right.length, right.status);
	return 0;
}

int
pl_mapfile_set_unfinished(struct pl_mapfile *m, uint64_t offset, uint64_t length,
			  enum pl_block_status status, struct platter_error *err)
{
	uint64_t end = offset + length;
	struct pl_block run;
	int r = 0;

	while (r == 0 && pl_mapfile_next(m, offset, end, PL_BLOCKS_UNFINISHED, &run)) {
		r = pl_mapfile_set(m, run.offset, run.length, status, err);
		offset = run.offset + run.length;
	}
	return r;
}

/* What of a block is in [from, to). */
static void
cut(const struct pl_block *b, uint64_t from, uint64_t to, struct pl_block *ret)
{
	uint64_t end = PL_MIN(b->offset + b->length, to);

	*ret = *b;
	ret->offset = PL_MAX(b->offset, from);
	ret->length = end - ret->offset;
}

bool
pl_mapfile_next(const struct pl_mapfile *m, uint64_t from, uint64_t to, const char *wanted,
		struct pl_block *ret)
{
	to = PL_MIN(to, m->size);
	if (from >= to)
		return false;
	for (size_t i = pl_mapfile_find(m, from); i < m->nr; i++) {
		const struct pl_block *b = block_at(m, i);

		if (b->offset >= to)
			return false;
		if (!is_one_of((char)b->status, wanted))
			continue;
		cut(b, from, to, ret);
		return true;
	}
	return false;
}

bool
pl_mapfile_previous(const struct pl_mapfile *m, uint64_t from, uint64_t to, const char *wanted,
		    struct pl_block *ret)
{
	to = PL_MIN(to, m->size);
	if (from >= to)
		return false;
	for (size_t i = pl_mapfile_find(m, to - 1) + 1; i-- > 0;) {
		const struct pl_block *b = block_at(m, i);

		if (b->offset + b->length <= from)
			return false;
		if (!is_one_of((char)b->status, wanted))
			continue;
		cut(b, from, to, ret);
		return true;
	}
	return false;
}

bool
pl_mapfile_begins(const char *text, size_t n)
{
	static const char *const beginnings[] = { "# Mapfile.", "# Rescue Logfile." };

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (n >= strlen(beginnings[i]) &&
		    !memcmp(text, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

/* Words of a line. */
struct words {
	const char *p, *end;
};

static bool
more_words(struct words *w)
{
	while (w->p < w->end && isspace((unsigned char)*w->p))
		w->p++;
	return w->p < w->end;
}

static bool
next_word(struct words *w, const char **ret, size_t *ret_n)
{
	(void)more_words(w);
	*ret = w->p;
	while (w->p < w->end && !isspace((unsigned char)*w->p))
		w->p++;
	*ret_n = (size_t)(w->p - *ret);
	return *ret_n;
}

static bool
next_number(struct words *w, uint64_t *ret)
{
	char copy[32], *end;
	const char *word;
	size_t n;

	if (!next_word(w, &word, &n) || n >= sizeof copy || !isdigit((unsigned char)*word))
		return false;
	memcpy(copy, word, n);
	copy[n] = '\0';
	errno = 0;
	*ret = strtoull(copy, &end, 0);
	return !*end && !errno;
}

static bool
next_status(struct words *w, const char *set, char *ret)
{
	const char *word;
	size_t n;

	if (!next_word(w, &word, &n) || n != 1 || !is_one_of(*word, set))
		return false;
	*ret = *word;
	return true;
}

static int
parse_first(struct words *w, struct pl_mapfile *m, size_t line, struct platter_error *err)
{
	uint64_t pass = 1;
	const char *word;
	size_t n;

	if (!next_number(w, &m->position) || !next_status(w, phases, &m->phase) ||
	    (more_words(w) && !next_number(w, &pass)) || next_word(w, &word, &n))
		return pl_fail(err, -EUCLEAN,
			       "line %zu of the mapfile is no position, status and pass", line);
	m->pass = (unsigned)PL_MIN(PL_MAX(pass, (uint64_t)1), (uint64_t)UINT16_MAX);
	return 0;
}

static int
parse_block(struct words *w, struct pl_mapfile *m, size_t line, struct platter_error *err)
{
	uint64_t offset, length, end;
	const char *word;
	char status;
	size_t n;
	int r;

	if (!next_number(w, &offset) || !next_number(w, &length) ||
	    !next_status(w, statuses, &status) || next_word(w, &word, &n))
		return pl_fail(err, -EUCLEAN,
			       "line %zu of the mapfile is no position, size and status", line);
	if (!length || __builtin_add_overflow(offset, length, &end) || end > INT64_MAX)
		return pl_fail(err, -EUCLEAN,
			       "line %zu of the mapfile has a block of %" PRIu64
			       " bytes at %" PRIu64,
			       line, length, offset);
	if (offset < m->size)
		return pl_fail(err, -EUCLEAN,
			       "line %zu of the mapfile has a block at %" PRIu64
			       ", before the end of the last at %" PRIu64,
			       line, offset, m->size);
	if (m->nr >= MAX_PARSED)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "the mapfile has more than %d blocks",
				     MAX_PARSED);
	r = pl_mapfile_extend(m, offset, err);
	return r < 0 ? r : pl_mapfile_append(m, length, (enum pl_block_status)status, err);
}

/* Of the comments, what was read. */
static int
parse_comment(const char *text, size_t n, struct pl_mapfile *m, struct platter_error *err)
{
	size_t skip = strlen(device_comment);

	if (n <= skip || memcmp(text, device_comment, skip) != 0)
		return 0;
	free(m->device);
	m->device = strndup(text + skip, n - skip);
	return m->device ? 0 : pl_no_memory(err);
}

int
pl_mapfile_parse(const char *text, size_t n, struct pl_mapfile *ret, struct platter_error *err)
{
	struct pl_mapfile m = { .phase = '?', .pass = 1 };
	const char *end = text + n;
	bool begun = false;
	int r = 0;

	for (size_t line = 1; text < end && r == 0; line++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		struct words w = { text, newline ? newline : end };

		text = newline ? newline + 1 : end;
		if (!more_words(&w))
			continue;
		if (*w.p == '#') {
			r = parse_comment(w.p, (size_t)(w.end - w.p), &m, err);
		} else if (begun) {
			r = parse_block(&w, &m, line, err);
		} else {
			r = parse_first(&w, &m, line, err);
			begun = true;
		}
	}
	if (r == 0 && !begun)
		r = pl_fail(err, -EUCLEAN, "there is no line with a position in the mapfile");
	if (r < 0)
		pl_mapfile_done(&m);
	else
		*ret = m;
	return r;
}

char *
pl_mapfile_text(const struct pl_mapfile *m)
{
	struct pl_str s = { 0 };

	pl_str_add(&s, "# Mapfile. Created by platter " PLATTER_VERSION "\n");
	if (m->device && !strpbrk(m->device, "\r\n"))
		pl_str_addf(&s, "%s%s\n", device_comment, m->device);
	pl_str_addf(&s,
		    "# current_pos  current_status  current_pass\n"
		    "0x%08" PRIX64 "     %c               %u\n"
		    "#      pos        size  status\n",
		    m->position, m->phase, m->pass);
	for (size_t i = 0; i < m->nr; i++) {
		const struct pl_block *b = block_at(m, i);

		pl_str_addf(&s, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", b->offset, b->length,
			    b->status);
	}
	if (s.failed)
		pl_str_done(&s);
	return s.text;
}
