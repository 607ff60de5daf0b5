/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info.c - the property list of a sparse bundle */
#include <plist/plist.h>

#include "sparsebundle.h"
#include "text.h"

#define BUNDLE_TYPE "com.apple.diskimage.sparsebundle"

bool
pl_sparsebundle_looks(const uint8_t *head, size_t n)
{
	bool list = n > 8 && (memcmp(head, "bplist", 6) == 0 || head[0] == '<' || head[0] == 0xef);

	return list && memmem(head, n, BUNDLE_TYPE, strlen(BUNDLE_TYPE));
}

static void
free_plist(plist_t *list)
{
	plist_free(*list);
}
#define PL_AUTOPLIST __attribute__((cleanup(free_plist)))

static int
load(struct pl_disk *file, plist_t *ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	*ret = NULL;
	if (file->size > MAX_INFO)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "property list of %" PRIu64 " bytes, limit is %" PRIu64,
				     file->size, MAX_INFO);
	r = pl_read_alloc(file, (size_t)file->size, 0, &bytes, err);
	if (r < 0)
		return r;
	if (file->size)
		plist_from_memory((const char *)bytes, (uint32_t)file->size, ret);
	if (plist_get_node_type(*ret) == PLIST_DICT)
		return 0;
	plist_free(*ret);
	*ret = NULL;
	return pl_corrupt(err, 0, "this is no property list with a dictionary");
}

static bool
parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

/* Some writers have numbers as text. */
static int
get_number(plist_t list, const char *key, uint64_t *ret, struct platter_error *err)
{
	plist_t node = plist_dict_get_item(list, key);
	char *text = NULL;
	bool is_number;

	if (!node)
		return pl_corrupt(err, 0, "the property list has no '%s'", key);
	if (plist_get_node_type(node) == PLIST_UINT) {
		plist_get_uint_val(node, ret);
		return 0;
	}
	if (plist_get_node_type(node) == PLIST_STRING)
		plist_get_string_val(node, &text);
	is_number = text && parse_number(text, ret);
	free(text);
	return is_number ? 0 : pl_corrupt(err, 0, "'%s' of the property list is no number", key);
}

static int
check_type(plist_t list, struct platter_error *err)
{
	plist_t node = plist_dict_get_item(list, "diskimage-bundle-type");
	char *text = NULL;
	uint64_t version = 0;
	bool known;
	int r;

	if (node && plist_get_node_type(node) == PLIST_STRING)
		plist_get_string_val(node, &text);
	known = text && strcmp(text, BUNDLE_TYPE) == 0;
	free(text);
	if (!known)
		return pl_corrupt(err, 0, "the property list is not that of a sparse bundle");
	r = get_number(list, "bundle-backingstore-version", &version, err);
	if (r == 0 && version != 1)
		r = pl_unsupported(err, 0, "sparse bundle version %" PRIu64 ", only 1 is known",
				   version);
	return r;
}

int
pl_sparsebundle_read_info(struct pl_disk *file, struct bundle_info *ret, struct platter_error *err)
{
	PL_AUTOPLIST plist_t list = NULL;
	int r = load(file, &list, err);

	if (r == 0)
		r = check_type(list, err);
	if (r == 0)
		r = get_number(list, "size", &ret->size, err);
	if (r == 0)
		r = get_number(list, "band-size", &ret->band_size, err);
	if (r < 0)
		return r;
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

int
pl_sparsebundle_resized_info(struct pl_disk *file, uint64_t size, char **ret,
			     struct platter_error *err)
{
	PL_AUTOPLIST plist_t list = NULL;
	char *text = NULL;
	uint32_t n = 0;
	int r = load(file, &list, err);

	if (r < 0)
		return r;
	plist_dict_set_item(list, "size", plist_new_uint(size));
	plist_to_xml(list, &text, &n);
	*ret = text ? strndup(text, n) : NULL;
	plist_to_xml_free(text);
	return *ret ? 0 : pl_no_memory(err);
}
