/* SPDX-License-Identifier: GPL-3.0-or-later */
/* metadata.c - what a CHD says of its data: a list of entries, each with a tag */
#include <openssl/evp.h>

#include "chd.h"

/* chdman writes one entry a track, and a handful else. */
#define MAX_ENTRIES        1024
#define MAX_METADATA_BYTES MIB(4)

static struct metadata *
new_entry(struct metadata_list *m, struct platter_error *err)
{
	if (m->nr == m->capacity) {
		size_t capacity = m->capacity ? m->capacity * 2 : 8;
		struct metadata *list = pl_realloc_array(m->list, capacity, sizeof *list);

		if (!list) {
			pl_no_memory(err);
			return NULL;
		}
		m->list = list;
		m->capacity = capacity;
	}
	return &m->list[m->nr];
}

/* One entry, of which *total bytes were read before. */
static int
read_entry(struct pl_disk *file, uint64_t at, struct metadata_list *m, uint64_t *total,
	   uint64_t *ret_next, struct platter_error *err)
{
	struct metadata *e = new_entry(m, err);
	uint8_t h[META_ENTRY_BYTES];
	int r;

	if (!e)
		return -ENOMEM;
	if (!pl_in_range(at, sizeof h, file->size))
		return pl_corrupt(err, at,
				  "metadata at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  at, file->size);
	r = pl_read(file, h, sizeof h, at, err);
	if (r < 0)
		return r;
	*e = (struct metadata){
		.at = at, .tag = get_be32(h), .flags = h[4], .length = get_be32(h + 4) & 0xffffff
	};
	if (!pl_in_range(at + sizeof h, e->length, file->size))
		return pl_corrupt(err, at + 4,
				  "metadata of %" PRIu32 " bytes passes the end of the file",
				  e->length);
	*total += e->length;
	if (*total > MAX_METADATA_BYTES)
		return pl_over_limit(err, at + 4,
				     "metadata of %" PRIu64 " bytes, limit is %" PRIu64, *total,
				     (uint64_t)MAX_METADATA_BYTES);
	e->bytes = calloc(1, (size_t)e->length + 1);
	if (!e->bytes)
		return pl_no_memory(err);
	m->nr++;
	*ret_next = get_be64(h + 8);
	return pl_read(file, e->bytes, e->length, at + sizeof h, err);
}

int
pl_chd_metadata_read(struct pl_disk *file, uint64_t at, struct metadata_list *ret,
		     struct platter_error *err)
{
	uint64_t total = 0;
	int r = 0;

	while (at && r == 0) {
		if (ret->nr == MAX_ENTRIES)
			return pl_over_limit(
				err, at,
				"more than %d entries of metadata: the list may go in a"
				" circle",
				MAX_ENTRIES);
		r = read_entry(file, at, ret, &total, &at, err);
	}
	return r;
}

void
pl_chd_metadata_done(struct metadata_list *m)
{
	for (size_t i = 0; i < m->nr; i++)
		free(m->list[i].bytes);
	free(m->list);
	*m = (struct metadata_list){ 0 };
}

int
pl_chd_metadata_add(struct metadata_list *m, uint32_t tag, const void *bytes, size_t n,
		    struct platter_error *err)
{
	struct metadata *e = new_entry(m, err);

	if (!e)
		return -ENOMEM;
	*e = (struct metadata){ .tag = tag, .length = (uint32_t)n, .flags = META_HASHED };
	e->bytes = calloc(1, n + 1);
	if (!e->bytes)
		return pl_no_memory(err);
	memcpy(e->bytes, bytes, n);
	m->nr++;
	return 0;
}

int
pl_chd_metadata_write(const struct metadata_list *m, struct pl_disk *file, uint64_t at,
		      uint64_t *ret_end, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < m->nr && r == 0; i++) {
		const struct metadata *e = &m->list[i];
		uint8_t h[META_ENTRY_BYTES];
		uint64_t end = at + sizeof h + e->length;

		put_be32(h, e->tag);
		put_be32(h + 4, (uint32_t)e->flags << 24 | e->length);
		put_be64(h + 8, i + 1 < m->nr ? end : 0);
		r = pl_write(file, h, sizeof h, at, err);
		if (r == 0)
			r = pl_write(file, e->bytes, e->length, at + sizeof h, err);
		at = end;
	}
	*ret_end = at;
	return r;
}

const struct metadata *
pl_chd_metadata_find(const struct metadata_list *m, uint32_t tag)
{
	for (size_t i = 0; i < m->nr; i++)
		if (m->list[i].tag == tag)
			return &m->list[i];
	return NULL;
}

/* What stands behind "NAME:", which begins a word; NULL: it is not there. */
static const char *
find_value(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; (p = strstr(p, name)); p += n)
		if ((p == text || p[-1] == ' ' || p[-1] == ',') && p[n] == ':')
			return p + n + 1;
	return NULL;
}

bool
pl_chd_metadata_number(const char *text, const char *name, uint32_t *ret)
{
	const char *p = find_value(text, name);
	uint64_t n = 0;

	if (!p || *p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > INT32_MAX)
			return false;
	}
	*ret = (uint32_t)n;
	return true;
}

bool
pl_chd_metadata_word(const char *text, const char *name, char *ret, size_t n)
{
	const char *p = find_value(text, name);
	size_t length = p ? strcspn(p, " ,\n.") : 0;

	if (!p || length >= n)
		return false;
	memcpy(ret, p, length);
	ret[length] = 0;
	return true;
}

/* Tag and SHA-1 of an entry that counts. */
#define SUM_BYTES (4 + SHA1_BYTES)

static int
compare_sums(const void *a, const void *b)
{
	return memcmp(a, b, SUM_BYTES);
}

int
pl_chd_whole_sha1(const uint8_t data[static SHA1_BYTES], const struct metadata_list *m,
		  uint8_t ret[static SHA1_BYTES], struct platter_error *err)
{
	PL_AUTOFREE uint8_t *sums = malloc(SHA1_BYTES + m->nr * SUM_BYTES);
	size_t n = 0;
	bool good = true;

	if (!sums)
		return pl_no_memory(err);
	memcpy(sums, data, SHA1_BYTES);
	for (size_t i = 0; i < m->nr; i++) {
		const struct metadata *e = &m->list[i];
		uint8_t *sum = sums + SHA1_BYTES + n * SUM_BYTES;

		if (!(e->flags & META_HASHED))
			continue;
		put_be32(sum, e->tag);
		good = good && EVP_Digest(e->bytes, e->length, sum + 4, NULL, EVP_sha1(), NULL);
		n++;
	}
	qsort(sums + SHA1_BYTES, n, SUM_BYTES, compare_sums);
	if (!good || !EVP_Digest(sums, SHA1_BYTES + n * SUM_BYTES, ret, NULL, EVP_sha1(), NULL))
		return pl_fail(err, -EIO, "SHA-1 is not to be had from OpenSSL");
	return 0;
}
