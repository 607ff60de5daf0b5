/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * manifest.c - the digests that an appliance has of its files
 *
 * Spec: DMTF DSP0243, 5.1.  NAME.mf has a line for each file, as sha256sum --tag writes them but
 * for some blanks:
 *
 *	SHA256(disk1.vmdk)= 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4
 */
#include "manifest.h"

#include <openssl/evp.h>
#include <strings.h>

#include "text.h"

/* A line for each file of the largest archive that is read. */
#define MAX_MANIFEST MIB(16)
#define PIECE        MIB(1)

struct check {
	struct pl_disk *file;
	const struct pl_tar *tar;
	struct pl_findings *findings;
	uint64_t at; /* of the line */
	bool *seen;  /* of each file: it was compared; what is listed often costs no more */
	uint8_t *buf;
};

static const struct pl_tar_member *
find_manifest(const struct pl_tar *tar)
{
	for (size_t i = 0; i < tar->nr; i++) {
		const char *dot = strrchr(tar->members[i].name, '.');

		if (dot && strcasecmp(dot, ".mf") == 0)
			return &tar->members[i];
	}
	return NULL;
}

/* NULL: it is not known. */
static const EVP_MD *
digest_type(const char *algorithm)
{
	static const struct {
		const char *name;
		const EVP_MD *(*type)(void);
	} known[] = {
		{ "SHA1", EVP_sha1 },
		{ "SHA256", EVP_sha256 },
		{ "SHA512", EVP_sha512 },
		/* As openssl-dgst of OpenSSL 3 writes them. */
		{ "SHA2-256", EVP_sha256 },
		{ "SHA2-512", EVP_sha512 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcasecmp(algorithm, known[i].name))
			return known[i].type();
	return NULL;
}

/* The digest of a file in hexadecimal. */
static int
digest(struct check *c, const struct pl_tar_member *m, const EVP_MD *type,
       char ret[static 2 * EVP_MAX_MD_SIZE + 1], struct platter_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool good = ctx && EVP_DigestInit_ex(ctx, type, NULL);
	int r = 0;

	for (uint64_t at = 0; good && r == 0 && at < m->size; at += PIECE) {
		size_t piece = (size_t)PL_MIN(PIECE, m->size - at);

		r = pl_read(c->file, c->buf, piece, m->offset + at, err);
		good = r < 0 || EVP_DigestUpdate(ctx, c->buf, piece);
	}
	good = good && r == 0 && EVP_DigestFinal_ex(ctx, sum, &n);
	EVP_MD_CTX_free(ctx);
	if (r < 0)
		return r;
	if (!good)
		return pl_no_memory(err);
	for (unsigned i = 0; i < n; i++)
		snprintf(ret + 2 * (size_t)i, 3, "%02x", sum[i]);
	return 0;
}

static int
check_file(struct check *c, const char *algorithm, const char *name, const char *hex,
	   struct platter_error *err)
{
	PL_AUTOFREE char *clean = pl_text_from_bytes(name, strlen(name));
	const EVP_MD *type = digest_type(algorithm);
	char have[2 * EVP_MAX_MD_SIZE + 1];
	size_t i = 0;
	int r;

	if (!clean)
		return pl_no_memory(err);
	while (i < c->tar->nr && strcmp(c->tar->members[i].name, name) != 0)
		i++;
	if (i == c->tar->nr) {
		pl_found(c->findings, PLATTER_DAMAGE, c->at,
			 "'%s' is in the manifest, but not in the archive", clean);
		return 0;
	}
	if (!type || c->tar->members[i].sparse) {
		pl_found(c->findings, PLATTER_NOTE, c->at,
			 "the digest of '%s' in the manifest cannot be compared", clean);
		return 0;
	}
	if (c->seen[i])
		return 0;
	c->seen[i] = true;
	r = digest(c, &c->tar->members[i], type, have, err);
	if (r == 0 && strcasecmp(have, hex) != 0)
		pl_found(c->findings, PLATTER_DAMAGE, c->tar->members[i].offset,
			 "'%s' does not have the digest that the manifest gives for it", clean);
	return r;
}

/* One line, which is cut into its words. */
static int
check_line(struct check *c, char *line, struct platter_error *err)
{
	char *name = strchr(line, '('), *end = strrchr(line, ')'), *hex;

	if (!line[strspn(line, " \t\r")])
		return 0;
	hex = end ? end + 1 + strspn(end + 1, " \t") : NULL;
	if (!name || !end || end < name || *hex != '=') {
		pl_found(c->findings, PLATTER_NOTE, c->at, "a line of the manifest is not known");
		return 0;
	}
	*name++ = *end = '\0';
	hex += 1 + strspn(hex + 1, " \t");
	hex[strcspn(hex, " \t\r")] = '\0';
	line[strcspn(line, " \t")] = '\0';
	return check_file(c, line, name, hex, err);
}

static int
check_lines(struct check *c, const struct pl_tar_member *m, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOFREE char *text = NULL;
	char *line, *next;
	int r = pl_read_alloc(c->file, (size_t)m->size, m->offset, &bytes, err);

	if (r < 0)
		return r;
	text = strndup((const char *)bytes, (size_t)m->size);
	if (!text)
		return pl_no_memory(err);
	for (line = text; r == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		c->at = m->offset + (uint64_t)(line - text);
		r = check_line(c, line, err);
	}
	return r;
}

int
pl_manifest_check(struct pl_disk *file, const struct pl_tar *tar, struct pl_findings *findings,
		  struct platter_error *err)
{
	const struct pl_tar_member *m = find_manifest(tar);
	struct check c = { .file = file, .tar = tar, .findings = findings };
	int r;

	if (!m || m->sparse)
		return 0;
	if (m->size > MAX_MANIFEST)
		return pl_over_limit(err, m->offset,
				     "a manifest of %" PRIu64 " bytes, limit is %" PRIu64, m->size,
				     (uint64_t)MAX_MANIFEST);
	c.seen = calloc(tar->nr, sizeof *c.seen);
	c.buf = malloc(PIECE);
	r = c.seen && c.buf ? check_lines(&c, m, err) : pl_no_memory(err);
	free(c.seen);
	free(c.buf);
	return r;
}
