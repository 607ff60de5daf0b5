/* SPDX-License-Identifier: GPL-3.0-or-later */
/* options.c - what kind of CHD is asked for, and what it is as a rule */
#include "text.h"
#include "writer.h"

static const char *const type_names[] = {
	[TYPE_CD] = "cd", [TYPE_DVD] = "dvd", [TYPE_HD] = "hd", [TYPE_RAW] = "raw"
};

static int
read_type(const struct pl_create_request *request, enum chd_type *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, "type");
	bool is_disc = request->disc && !request->track;

	*ret = is_disc ? TYPE_CD : request->sector_size == 2048 ? TYPE_DVD : TYPE_HD;
	if (!text)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(type_names); i++)
		if (!strcmp(text, type_names[i])) {
			if (is_disc && i != TYPE_CD)
				return pl_invalid(err,
						  "option type=%s: what is written is a CD with its"
						  " tracks; name one of them: ?disk=1",
						  text);
			*ret = i;
			return 0;
		}
	return pl_invalid(err, "option type=%s: allowed is cd, dvd, hd or raw", text);
}

static int
add_codec(struct chd_plan *plan, const char *name, size_t n, struct platter_error *err)
{
	const struct chd_codec *codec = pl_chd_codec_by_name(name, n);

	if (!codec)
		return pl_invalid(err, "option codecs: there is no codec '%.*s'", (int)n, name);
	if (codec->cd != (plan->type == TYPE_CD))
		return pl_invalid(err, "option codecs: '%s' is %s CDs", codec->name,
				  codec->cd ? "only of" : "not of");
	for (size_t i = 0; i < plan->nr_codecs; i++)
		if (plan->codecs[i] == codec)
			return pl_invalid(err, "option codecs: '%s' is there twice", codec->name);
	if (plan->nr_codecs == NR_CODECS)
		return pl_invalid(err, "option codecs: more than %d codecs", NR_CODECS);
	plan->codecs[plan->nr_codecs++] = codec;
	return 0;
}

/* What is asked for by name, by --compress, or what chdman takes. */
static int
read_codecs(const struct pl_create_request *request, struct chd_plan *plan,
	    struct platter_error *err)
{
	const char *text = pl_create_option(request, "codecs"), *codec = request->codec;
	bool cd = plan->type == TYPE_CD;
	int r = 0;

	if (text && codec)
		return pl_invalid(err, "option codecs=%s, and a compression is asked for too",
				  text);
	if (request->level != INT_MIN)
		return pl_invalid(err,
				  "CHDs are compressed as well as it goes: there are no levels");
	if (codec && *codec)
		text = !strcmp(codec, "zstd") ? (cd ? "cdzs" : "zstd") : (cd ? "cdzl" : "zlib");
	/* As chdman: what is empty is to be written to, which MAME does where nothing is compressed. */
	if (!text && !request->source)
		return 0;
	if (!text)
		text = cd ? "cdlz,cdzl,cdfl" : "lzma,zlib,huff,flac";
	if (!strcmp(text, "none"))
		return 0;
	for (;;) {
		size_t n = strcspn(text, "+,");

		r = add_codec(plan, text, n, err);
		if (r < 0 || !text[n])
			return r;
		text += n + 1;
	}
}

static int
read_hunk_size(const struct pl_create_request *request, struct chd_plan *plan,
	       struct platter_error *err)
{
	const char *text = pl_create_option(request, "hunk");
	uint32_t unit = plan->type == TYPE_RAW ? 1 : plan->unit_size;
	uint64_t n = plan->type == TYPE_CD ? 8 * FRAME_BYTES : 4096;

	if (text && (pl_parse_size(text, &n) < 0 || n < 16 || n > MAX_NEW_HUNK || n % unit))
		return pl_invalid(err,
				  "option hunk=%s: allowed is 16 to %u bytes in steps of %" PRIu32,
				  text, MAX_NEW_HUNK, unit);
	plan->hunk_size = (uint32_t)n;
	if (plan->type == TYPE_RAW && plan->hunk_size % plan->unit_size)
		plan->unit_size = 1;
	return 0;
}

int
pl_chd_plan(const struct pl_create_request *request, struct chd_plan *ret,
	    struct platter_error *err)
{
	int r = read_type(request, &ret->type, err);

	if (r < 0)
		return r;
	ret->unit_size = ret->type == TYPE_CD    ? FRAME_BYTES
			 : ret->type == TYPE_DVD ? 2048
						 : PL_MAX(request->sector_size, 512u);
	r = read_codecs(request, ret, err);
	return r < 0 ? r : read_hunk_size(request, ret, err);
}

const struct platter_option_info pl_chd_options[] = {
	{ "type", "cd|dvd|hd|raw",
	  "what the data is; cd of a disc, dvd of sectors of 2048 bytes, else hd" },
	{ "codecs", "none|LIST",
	  "up to 4, as zlib+lzma, of zlib lzma huff flac zstd, of CDs cdzl cdlz cdfl cdzs; as "
	  "chdman" },
	{ "hunk", "16..1M", "bytes that are compressed at once; 4096, of CDs 19584" },
	{ 0 },
};
