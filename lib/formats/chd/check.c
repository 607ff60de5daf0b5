/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * check.c - is a CHD what its checksums say?
 *
 * The SHA-1 of the data proves every hunk, so all of it is read: on all processors, while what was
 * read before is summed up in order.
 */
#include <openssl/evp.h>

#include "cd.h"
#include "chd.h"
#include "pool.h"

/* What each of the readers reads, and how many there are. */
#define SLICE      MIB(1)
#define NR_SLICES  8
#define NR_BUFFERS 2

/*
 * A few bytes may stand for any number of hunks.  What passes this, and so many times its file, is
 * not summed up.
 */
#define MAX_BLOWN_UP       MIB(256)
#define MAX_BLOWN_UP_TIMES 1000

struct summing {
	struct chd *c;
	struct pl_findings *findings;
	EVP_MD_CTX *sha1;
	uint8_t *buffers[NR_BUFFERS];
	uint64_t offset;  /* of what is read now, into buffers[reading] */
	size_t n, summed; /* bytes of it; bytes in the other buffer, to be summed up */
	unsigned reading;
	int results[NR_SLICES];
	struct platter_error errs[NR_SLICES];
	bool failed;
};

/* Index 0 sums up; the others read a slice each. */
static void
work(void *closure, size_t index)
{
	struct summing *s = closure;
	uint64_t at;

	if (!index) {
		if (s->summed && !EVP_DigestUpdate(s->sha1, s->buffers[!s->reading], s->summed))
			s->failed = true;
		return;
	}
	at = (index - 1) * SLICE;
	s->results[index - 1] = 0;
	if (at < s->n)
		s->results[index - 1] = pl_read_once(&s->c->disk, s->buffers[s->reading] + at,
						     (size_t)PL_MIN(SLICE, s->n - at),
						     s->offset + at, &s->errs[index - 1]);
}

/* 1: a hunk is damaged, which whoever reads the data is told. */
static int
sum_up(struct summing *s, struct platter_error *err)
{
	int r;

	for (s->offset = 0; s->offset < s->c->disk.size || s->summed; s->offset += s->n) {
		s->n = (size_t)PL_MIN(NR_SLICES * SLICE, s->c->disk.size - s->offset);
		pl_parallel(NR_SLICES + 1, work, s);
		r = pl_check_goes_on(s->findings, s->n, err);
		if (r < 0)
			return r;
		for (int i = 0; i < NR_SLICES; i++) {
			if (s->results[i] == -EUCLEAN)
				return 1;
			if (s->results[i] < 0) {
				if (err)
					*err = s->errs[i];
				return s->results[i];
			}
		}
		s->summed = s->n;
		s->reading = !s->reading;
		if (s->failed)
			return pl_fail(err, -EIO, "SHA-1 is not to be had from OpenSSL");
	}
	return 0;
}

static int
sum_data(struct chd *c, struct pl_findings *findings, uint8_t ret[static SHA1_BYTES],
	 struct platter_error *err)
{
	struct summing s = { .c = c, .findings = findings, .sha1 = EVP_MD_CTX_new() };
	size_t room = (size_t)PL_MIN(NR_SLICES * SLICE, PL_MAX(c->disk.size, (uint64_t)1));
	int r = 0;

	for (int i = 0; i < NR_BUFFERS; i++)
		s.buffers[i] = pl_alloc_aligned(room);
	if (!s.sha1 || !s.buffers[0] || !s.buffers[1] ||
	    !EVP_DigestInit_ex(s.sha1, EVP_sha1(), NULL))
		r = pl_no_memory(err);
	if (r == 0)
		r = sum_up(&s, err);
	if (r == 0 && !EVP_DigestFinal_ex(s.sha1, ret, NULL))
		r = pl_fail(err, -EIO, "SHA-1 is not to be had from OpenSSL");
	EVP_MD_CTX_free(s.sha1);
	for (int i = 0; i < NR_BUFFERS; i++)
		free(s.buffers[i]);
	return r;
}

static void
compare(const struct chd *c, const uint8_t *stored, const uint8_t *found, const char *what,
	struct pl_findings *findings)
{
	char a[SHA1_TEXT], b[SHA1_TEXT];

	if (memcmp(stored, found, SHA1_BYTES) != 0)
		pl_found(findings, PLATTER_DAMAGE, (uint64_t)(stored - c->header),
			 "the SHA-1 of %s is %s, and %s is stored", what,
			 pl_chd_sha1_text(found, a), pl_chd_sha1_text(stored, b));
}

int
pl_chd_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct chd *c = pl_chd_of_image(disk);
	uint8_t data[SHA1_BYTES], whole[SHA1_BYTES];
	struct platter_error map_err = PLATTER_ERROR_INIT;
	int r;

	if (c->compressed_map && pl_chd_map_check_crc(c, &map_err) < 0)
		pl_found(findings, PLATTER_DAMAGE, map_err.offset, "%s", map_err.message);
	/* Of what may be written, no sum is kept. */
	if (pl_is_zero(c->data_sha1, SHA1_BYTES))
		return 0;
	if (c->has_parent && !c->base) {
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "without its parent its data cannot be checked");
		return 0;
	}
	if (c->disk.size > MAX_BLOWN_UP && c->disk.size / MAX_BLOWN_UP_TIMES > c->file->size) {
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " bytes of data are too many in a file of %" PRIu64
			 " bytes to compare their SHA-1",
			 c->disk.size, c->file->size);
		return 0;
	}
	r = sum_data(c, findings, data, err);
	if (r)
		return r < 0 ? r : 0;
	/* Of a disc other disks are made, whose sectors may be bad by their EDC. */
	findings->data_read = disk == &c->disk;
	compare(c, c->data_sha1, data, "the data", findings);
	if (c->whole_sha1 == c->data_sha1)
		return 0;
	r = pl_chd_whole_sha1(data, &c->metadata, whole, err);
	if (r == 0)
		compare(c, c->whole_sha1, whole, "data and metadata", findings);
	return r;
}
