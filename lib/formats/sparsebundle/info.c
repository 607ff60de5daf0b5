/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info.c - the property list of a sparse bundle */
#include "plist.h"
#include "sparsebundle.h"
#include "text.h"

#define BUNDLE_TYPE "com.apple.diskimage.sparsebundle"

bool
pl_sparsebundle_looks(const uint8_t *head, size_t n)
{
	bool list = n > 8 && (head[0] == '<' || head[0] == 0xef);

	return list && memmem(head, n, BUNDLE_TYPE, strlen(BUNDLE_TYPE));
}

/* What is read of the list. */
struct values {
	struct bundle_info info;
	uint64_t version;
	uint64_t size_at; /* byte of the list where the size stands */
	bool is_ours, has_version, has_size, has_band_size;
};

/* Some writers have numbers as text. */
static int
take_number(const char *key, const char *text, uint64_t at, bool *ret_has, uint64_t *ret,
	    struct platter_error *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_has = text[0] >= '0' && text[0] <= '9' && !*end && !errno;
	return *ret_has ? 0 : pl_corrupt(err, at, "'%s' of the property list is no number", key);
}

static int
take_value(void *with, const char *path, const char *text, uint64_t at, struct platter_error *err)
{
	struct values *v = with;

	if (strcmp(path, "diskimage-bundle-type") == 0)
		v->is_ours = strcmp(text, BUNDLE_TYPE) == 0;
	else if (strcmp(path, "bundle-backingstore-version") == 0)
		return take_number(path, text, at, &v->has_version, &v->version, err);
	else if (strcmp(path, "band-size") == 0)
		return take_number(path, text, at, &v->has_band_size, &v->info.band_size, err);
	else if (strcmp(path, "size") == 0) {
		v->size_at = at;
		return take_number(path, text, at, &v->has_size, &v->info.size, err);
	}
	return 0;
}

static int
read_values(struct pl_disk *file, struct values *ret, struct platter_error *err)
{
	static const struct pl_plist_handler handler = { .text = take_value };

	*ret = (struct values){ 0 };
	if (file->size > MAX_INFO)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "property list of %" PRIu64 " bytes, limit is %" PRIu64,
				     file->size, MAX_INFO);
	return pl_plist_read(file, 0, file->size, &handler, ret, err);
}

static int
check_values(const struct values *v, struct platter_error *err)
{
	const struct {
		const char *key;
		bool there;
	} needed[] = { { "bundle-backingstore-version", v->has_version },
		       { "size", v->has_size },
		       { "band-size", v->has_band_size } };

	if (!v->is_ours)
		return pl_corrupt(err, 0, "the property list is not that of a sparse bundle");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!needed[i].there)
			return pl_corrupt(err, 0, "the property list has no '%s'", needed[i].key);
	if (v->version != 1)
		return pl_unsupported(err, 0, "sparse bundle version %" PRIu64 ", only 1 is known",
				      v->version);
	return 0;
}

int
pl_sparsebundle_read_info(struct pl_disk *file, struct bundle_info *ret, struct platter_error *err)
{
	struct values v;
	int r = read_values(file, &v, err);

	if (r == 0)
		r = check_values(&v, err);
	if (r < 0)
		return r;
	*ret = v.info;
	if (ret->band_size < MIN_BAND || ret->band_size > MAX_BAND || ret->band_size % SECTOR)
		return pl_corrupt(err, 0,
				  "bands of %" PRIu64
				  " bytes, must be whole sectors of 512 up to %" PRIu64,
				  ret->band_size, MAX_BAND);
	if (ret->size > INT64_MAX)
		return pl_corrupt(err, 0, "disk of %" PRIu64 " bytes, limit is %" PRId64, ret->size,
				  INT64_MAX);
	return 0;
}

char *
pl_sparsebundle_new_info(const struct bundle_info *info)
{
	return pl_format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			 "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\""
			 " \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
			 "<plist version=\"1.0\">\n"
			 "<dict>\n"
			 "\t<key>CFBundleInfoDictionaryVersion</key>\n"
			 "\t<string>6.0</string>\n"
			 "\t<key>band-size</key>\n"
			 "\t<integer>%" PRIu64 "</integer>\n"
			 "\t<key>bundle-backingstore-version</key>\n"
			 "\t<integer>1</integer>\n"
			 "\t<key>diskimage-bundle-type</key>\n"
			 "\t<string>" BUNDLE_TYPE "</string>\n"
			 "\t<key>size</key>\n"
			 "\t<integer>%" PRIu64 "</integer>\n"
			 "</dict>\n"
			 "</plist>\n",
			 info->band_size, info->size);
}

/* The list stays as it is but for the number. */
int
pl_sparsebundle_resized_info(struct pl_disk *file, uint64_t size, char **ret,
			     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOFREE char *text = NULL;
	struct values v;
	int r = read_values(file, &v, err);

	if (r == 0)
		r = check_values(&v, err);
	if (r == 0)
		r = pl_read_alloc(file, (size_t)file->size, 0, &bytes, err);
	if (r < 0)
		return r;
	text = strndup((const char *)bytes, (size_t)file->size);
	if (!text || v.size_at > strlen(text))
		return text ? pl_corrupt(err, 0, "a byte of zeros in the property list")
			    : pl_no_memory(err);
	*ret = pl_format("%.*s%" PRIu64 "%s", (int)v.size_at, text, size,
			 text + v.size_at + strcspn(text + v.size_at, "<"));
	return *ret ? 0 : pl_no_memory(err);
}
