/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wipe-state.c - how far a wipe came, in a file; see wipe-state.h for its lines */
#include "wipe-state.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksums.h"
#include "text.h"

/* Thirty years; a double keeps as many exactly. */
#define MAX_MILLISECONDS 1000000000000

static const char *const parts[] = { "whole", "free-space", "slack" };
static const char *const verifies[] = { "full", "sample", "none" };

/* The rest of one line, of which words are taken; `p` NULL: it was not as it should be. */
struct line {
	const char *p, *end;
};

struct parser {
	const char *p, *end;
	unsigned number; /* of the line that was taken last, from 1 */
	struct platter_error *err;
};

static bool
take_line(struct parser *in, struct line *ret)
{
	const char *end = memchr(in->p, '\n', (size_t)(in->end - in->p));

	if (!end)
		return false;
	*ret = (struct line){ in->p, end };
	in->p = end + 1;
	in->number++;
	return true;
}

static int
wrong_line(const struct parser *in)
{
	return pl_corrupt(in->err, PLATTER_NO_OFFSET, "line %u of the state file is wrong",
			  in->number);
}

/* Take `word` and what separates it from the next one. */
static bool
take_word(struct line *l, const char *word)
{
	size_t n = strlen(word);

	if (!l->p || (size_t)(l->end - l->p) < n || memcmp(l->p, word, n) != 0 ||
	    (l->p + n < l->end && l->p[n] != ' '))
		return false;
	l->p += n;
	if (l->p < l->end)
		l->p++;
	return true;
}

/* One of `nr` words; false: none of them. */
static bool
take_one_of(struct line *l, const char *const *words, size_t nr, unsigned *ret)
{
	for (size_t i = 0; i < nr; i++)
		if (take_word(l, words[i])) {
			*ret = (unsigned)i;
			return true;
		}
	l->p = NULL;
	return false;
}

/* Digits in this base up to a blank or the end. */
static uint64_t
take_digits(struct line *l, unsigned base, uint64_t max)
{
	const char *start = l->p;
	uint64_t n = 0;

	for (; l->p && l->p < l->end && *l->p != ' '; l->p++) {
		char c = *l->p;
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
							: UINT_MAX;

		if (digit >= base || n > (max - digit) / base) {
			l->p = NULL;
			return 0;
		}
		n = n * base + digit;
	}
	if (!l->p || l->p == start) {
		l->p = NULL;
		return 0;
	}
	if (l->p < l->end)
		l->p++;
	return n;
}

static uint64_t
take_number(struct line *l, uint64_t max)
{
	return take_digits(l, 10, max);
}

static void
take_seed(struct line *l, uint8_t *seed)
{
	if (!l->p || l->end - l->p != 2 * PL_WIPE_SEED) {
		l->p = NULL;
		return;
	}
	for (size_t i = 0; l->p && i < PL_WIPE_SEED; i++) {
		struct line two = { l->p, l->p + 2 };

		seed[i] = (uint8_t)take_digits(&two, 16, UINT8_MAX);
		l->p = two.p;
	}
}

static void
take_drive(struct line *l, struct pl_wipe_state *s)
{
	size_t n;

	s->drive_size = take_number(l, INT64_MAX);
	if (!l->p)
		return;
	n = (size_t)(l->end - l->p);
	if (n >= sizeof s->drive || memchr(l->p, '\0', n)) {
		l->p = NULL;
		return;
	}
	memcpy(s->drive, l->p, n);
	s->drive[n] = '\0';
	l->p = l->end;
}

static int
take_method(struct parser *in, struct line *l, struct pl_wipe_state *s)
{
	char name[32];
	size_t n = (size_t)(l->end - l->p);

	if (n >= sizeof name)
		return wrong_line(in);
	memcpy(name, l->p, n);
	name[n] = '\0';
	s->method = pl_wipe_method_by_name(name);
	if (!s->method || !s->method->pattern)
		return pl_unsupported(in->err, PLATTER_NO_OFFSET,
				      "the state file is of a method that is not known");
	l->p = l->end;
	return 0;
}

/* Numbers are taken in the order in which they stand. */
static void
take_range(struct line *l, uint64_t *ret_offset, uint64_t *ret_size)
{
	*ret_offset = take_number(l, INT64_MAX);
	*ret_size = take_number(l, INT64_MAX);
	if (l->p && !pl_in_range(*ret_offset, *ret_size, INT64_MAX))
		l->p = NULL;
}

/* Lines that stand once, in this order. */
static int
take_head(struct parser *in, struct pl_wipe_state *s)
{
	static const char *const words[] = { "method",  "seed",   "drive", "target", "part",
					     "extents", "verify", "times", "pass" };
	unsigned choice;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct line l;
		int r = 0;

		if (!take_line(in, &l) || !take_word(&l, words[i]))
			return wrong_line(in);
		switch (i) {
		case 0: r = take_method(in, &l, s); break;
		case 1: take_seed(&l, s->seed); break;
		case 2: take_drive(&l, s); break;
		case 3: take_range(&l, &s->offset, &s->size); break;
		case 4:
			if (take_one_of(&l, parts, ARRAY_SIZE(parts), &choice))
				s->part = (enum platter_wipe_part)choice;
			break;
		case 5:
			s->nr_extents = take_number(&l, UINT32_MAX);
			s->bytes = take_number(&l, INT64_MAX);
			s->extents_crc = (uint32_t)take_digits(&l, 16, UINT32_MAX);
			break;
		case 6:
			if (take_one_of(&l, verifies, ARRAY_SIZE(verifies), &choice))
				s->verify = (enum platter_wipe_verify)choice;
			s->share = (double)take_number(&l, 1000000) / 1e6;
			break;
		case 7:
			s->started = (int64_t)take_number(&l, INT64_MAX);
			s->seconds = (double)take_number(&l, MAX_MILLISECONDS) / 1000;
			s->resumed = (unsigned)take_number(&l, INT32_MAX);
			break;
		default:
			s->pass = (unsigned)take_number(&l, PL_WIPE_MAX_PASSES);
			s->done = take_number(&l, INT64_MAX);
			break;
		}
		if (r < 0)
			return r;
		if (l.p != l.end)
			return wrong_line(in);
	}
	return 0;
}

static int
take_bad(struct parser *in, struct line *l, const struct pl_wipe_state *s, struct pl_ranges *ret)
{
	uint64_t offset, length;

	take_range(l, &offset, &length);
	if (!l->p || !length || !pl_in_range(offset, length, s->size) || ret->nr >= PL_WIPE_MAX_BAD)
		return wrong_line(in);
	return pl_ranges_add(ret, offset, length, in->err);
}

static void
take_did(struct line *l, struct pl_wipe_state *s)
{
	unsigned pass = (unsigned)take_number(l, PL_WIPE_MAX_PASSES - 1);
	struct pl_wipe_did did;

	did.started = (int64_t)take_number(l, INT64_MAX);
	did.finished = (int64_t)take_number(l, INT64_MAX);
	did.written = take_number(l, INT64_MAX);
	did.unwritable = take_number(l, INT64_MAX);
	if (l->p)
		s->did[pass] = did;
}

static int
take_rest(struct parser *in, const char *text, struct pl_wipe_state *s)
{
	struct line l;
	int r = 0;

	while (take_line(in, &l)) {
		const char *start = l.p;

		if (take_word(&l, "end")) {
			uint32_t crc = (uint32_t)take_digits(&l, 16, UINT32_MAX);

			if (l.p != l.end || in->p != in->end)
				return wrong_line(in);
			if (crc != pl_crc32(0, text, (size_t)(start - text)))
				return pl_corrupt(in->err, PLATTER_NO_OFFSET,
						  "the state file's checksum does not match");
			return 0;
		}
		if (take_word(&l, "did"))
			take_did(&l, s);
		else if (take_word(&l, "verifying"))
			s->verify_started = (int64_t)take_number(&l, INT64_MAX);
		else if (take_word(&l, "bad"))
			r = take_bad(in, &l, s, &s->bad);
		else if (take_word(&l, "now"))
			r = take_bad(in, &l, s, &s->now);
		else if (take_word(&l, "unread"))
			r = take_bad(in, &l, s, &s->unread);
		else
			return wrong_line(in);
		if (r < 0)
			return r;
		if (l.p != l.end)
			return wrong_line(in);
	}
	return pl_corrupt(in->err, PLATTER_NO_OFFSET, "the state file is cut short");
}

/* What each line says may still not go together. */
static int
check(const struct pl_wipe_state *s, struct platter_error *err)
{
	if (s->bytes > s->size || s->done > s->bytes || s->nr_extents > s->size ||
	    !pl_in_range(s->offset, s->size, s->drive_size) ||
	    s->pass > s->method->info.nr_passes + 1)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "numbers in the state file contradict each other");
	return 0;
}

static void
finish_sets(struct pl_wipe_state *s)
{
	pl_ranges_finish(&s->bad, s->size);
	pl_ranges_finish(&s->now, s->size);
	pl_ranges_finish(&s->unread, s->size);
}

int
pl_wipe_state_parse(const char *text, size_t n, struct pl_wipe_state *ret,
		    struct platter_error *err)
{
	struct parser in = { text, text + n, 0, err };
	struct line l;
	int r;

	*ret = (struct pl_wipe_state){ 0 };
	if (!take_line(&in, &l) || !take_word(&l, "platter") || !take_word(&l, "wipe") ||
	    !take_word(&l, "state"))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "it is no state file of a wipe");
	if (!take_word(&l, "1") || l.p != l.end)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "the state file is of another version of platter");
	r = take_head(&in, ret);
	if (r == 0)
		r = take_rest(&in, text, ret);
	if (r == 0)
		r = check(ret, err);
	if (r < 0)
		pl_wipe_state_done(ret);
	else
		finish_sets(ret);
	return r;
}

void
pl_wipe_state_done(struct pl_wipe_state *s)
{
	pl_ranges_done(&s->bad);
	pl_ranges_done(&s->now);
	pl_ranges_done(&s->unread);
}

static void
add_set(struct pl_str *t, const char *word, const struct pl_ranges *set)
{
	for (size_t i = 0; i < set->nr && i < PL_WIPE_MAX_BAD; i++)
		pl_str_addf(t, "%s %" PRIu64 " %" PRIu64 "\n", word, set->range[i].start,
			    set->range[i].end - set->range[i].start);
}

char *
pl_wipe_state_text(struct pl_wipe_state *s)
{
	struct pl_str t = { 0 };

	finish_sets(s);
	pl_str_addf(&t, "platter wipe state 1\nmethod %s\nseed ", s->method->info.name);
	for (size_t i = 0; i < PL_WIPE_SEED; i++)
		pl_str_addf(&t, "%02x", s->seed[i]);
	pl_str_addf(&t, "\ndrive %" PRIu64 " %s\ntarget %" PRIu64 " %" PRIu64 "\npart %s\n",
		    s->drive_size, s->drive, s->offset, s->size, parts[s->part]);
	pl_str_addf(&t, "extents %" PRIu64 " %" PRIu64 " %08" PRIx32 "\nverify %s %u\n",
		    s->nr_extents, s->bytes, s->extents_crc, verifies[s->verify],
		    (unsigned)(s->share * 1e6 + 0.5));
	pl_str_addf(&t, "times %" PRId64 " %" PRIu64 " %u\npass %u %" PRIu64 "\n", s->started,
		    (uint64_t)(s->seconds * 1000 + 0.5), s->resumed, s->pass, s->done);
	for (unsigned i = 0; i < PL_WIPE_MAX_PASSES; i++)
		if (s->did[i].started)
			pl_str_addf(&t, "did %u %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 "\n",
				    i, s->did[i].started, s->did[i].finished, s->did[i].written,
				    s->did[i].unwritable);
	if (s->verify_started)
		pl_str_addf(&t, "verifying %" PRId64 "\n", s->verify_started);
	add_set(&t, "bad", &s->bad);
	add_set(&t, "now", &s->now);
	add_set(&t, "unread", &s->unread);
	if (!t.failed)
		pl_str_addf(&t, "end %08" PRIx32 "\n", pl_crc32(0, t.text, t.length));
	return t.text;
}

int
pl_wipe_state_load(const char *path, struct pl_wipe_state *ret, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	size_t n = 0;
	int r = 0;

	if (fd < 0)
		return pl_fail_errno(err, -errno, "open the state file '%s'", path);
	if (fstat(fd, &st) < 0)
		r = pl_fail_errno(err, -errno, "examine the state file '%s'", path);
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > PL_WIPE_MAX_STATE_SIZE)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "it is no state file of a wipe");
	else if (!(text = malloc((size_t)st.st_size + 1)))
		r = pl_no_memory(err);
	while (r == 0 && n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = pl_fail_errno(err, -errno, "read the state file '%s'", path);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (r == 0)
		r = pl_wipe_state_parse(text, n, ret, err);
	if (r < 0) {
		pl_context(err, "going on by '%s'", path);
		pl_hint(err, "--force starts again");
	}
	return r;
}

static int
write_whole(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t done = write(fd, text, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			text += done;
			n -= (size_t)done;
		}
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

int
pl_wipe_state_save(const char *path, const char *text, struct platter_error *err)
{
	PL_AUTOFREE char *new_path = pl_format("%s.new", path);
	int fd, r;

	if (!new_path)
		return pl_no_memory(err);
	fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		r = pl_fail_errno(err, -errno, "write the state file '%s'", new_path);
		pl_hint(err, "--state names another place for it");
		return r;
	}
	r = write_whole(fd, text);
	close(fd);
	if (r == 0 && rename(new_path, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(new_path);
		return pl_fail_errno(err, r, "write the state file '%s'", path);
	}
	return 0;
}
