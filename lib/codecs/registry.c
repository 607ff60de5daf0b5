/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - the codecs that a user may name */
#include "codec.h"

static const struct {
	const struct pl_codec *codec;
	const char *alias; /* or NULL */
} codecs[] = {
	{ &pl_codec_zstd, NULL },  { &pl_codec_zlib, "deflate" }, { &pl_codec_bzip2, "bz2" },
	{ &pl_codec_lzfse, NULL }, { &pl_codec_lzvn, NULL },      { &pl_codec_xz, "lzma" },
	{ &pl_codec_lz4, NULL },
};

const struct pl_codec *
pl_codec_at(size_t i)
{
	return i < ARRAY_SIZE(codecs) ? codecs[i].codec : NULL;
}

const struct pl_codec *
pl_codec_by_name(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		const char *names[] = { codecs[i].codec->name, codecs[i].alias };

		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (names[k] && strlen(names[k]) == n && !memcmp(names[k], name, n))
				return codecs[i].codec;
	}
	return NULL;
}
