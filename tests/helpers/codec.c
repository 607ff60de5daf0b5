/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codec.c - one codec from standard input to standard output
 *
 * usage: codec NAME LEVEL      encodes
 *        codec -d NAME SIZE    decodes SIZE bytes; NAME may also be adc
 */
#include <stdio.h>

#include "codec.h"

static uint8_t *
read_all(size_t *ret_n)
{
	uint8_t *buf = NULL;
	size_t n = 0, got;

	do {
		uint8_t *larger = realloc(buf, n + MIB(1));

		if (!larger)
			abort();
		buf = larger;
		n += got = fread(buf + n, 1, MIB(1), stdin);
	} while (got);
	*ret_n = n;
	return buf;
}

static int
decode(const char *name, size_t size, const uint8_t *in, size_t n)
{
	const struct pl_codec *codec = pl_codec_by_name(name, strlen(name));
	const struct pl_decoder *decoder = codec ? codec->decoder : &pl_decoder_adc;
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *out = malloc(size + 1);

	if (!out || decoder->decode(decoder, in, n, out, size, 0, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	return fwrite(out, 1, size, stdout) == size ? 0 : 1;
}

static int
encode(const char *name, int level, const uint8_t *in, size_t n)
{
	const struct pl_codec *codec = pl_codec_by_name(name, strlen(name));
	size_t room = codec ? codec->bound(n) : 0;
	PL_AUTOFREE uint8_t *out = malloc(room + 1);
	size_t length = codec && out ? codec->encode(level, in, n, out, room) : 0;

	return length && fwrite(out, 1, length, stdout) == length ? 0 : 1;
}

int
main(int argc, char **argv)
{
	PL_AUTOFREE uint8_t *in = NULL;
	size_t n;

	if (argc != 3 && argc != 4)
		return 2;
	in = read_all(&n);
	return argc == 4 ? decode(argv[2], strtoul(argv[3], NULL, 10), in, n)
			 : encode(argv[1], atoi(argv[2]), in, n);
}
