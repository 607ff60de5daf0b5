/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flac.c - frames of FLAC (RFC 9639) without the header of a stream, through libFLAC
 *
 * A frame tells all that its decoding takes.  libFLAC wants a header all the same, and is given one:
 *
 *	offset  size  what
 *	     0     4  "fLaC"
 *	     4     4  the last block of metadata, of type 0 (STREAMINFO), 34 bytes
 *	     8     4  smallest and largest number of samples in a frame
 *	    12     6  smallest and largest frame, in bytes: 0, not known
 *	    18     8  rate, channels, bits of a sample, samples: 44100, 2, 16, 0 (not known)
 *	    26    16  MD5, 0: not known
 */
#include <FLAC/stream_decoder.h>
#include <FLAC/stream_encoder.h>

#include "chd.h"
#include "per-thread.h"

#define STREAM_HEADER_BYTES 42
#define SAMPLE_BYTES        4 /* of both channels */
#define MAX_ANY_BLOCK       65535
#define LEVEL               8

struct decoding {
	const uint8_t *in;
	size_t n, at; /* counted from the header on */
	uint8_t header[STREAM_HEADER_BYTES];
	uint8_t *out;
	size_t out_size, done;
	bool big_endian, failed;
};

struct encoding {
	uint8_t *out;
	size_t room, done;
	bool failed;
};

struct context {
	FLAC__StreamDecoder *decoder;
	FLAC__StreamEncoder *encoder;
	struct decoding d;
	struct encoding e;
	FLAC__int32 *samples;
	size_t nr_samples;
};

static void
free_context(void *p)
{
	struct context *c = p;

	if (c->decoder)
		FLAC__stream_decoder_delete(c->decoder);
	if (c->encoder)
		FLAC__stream_encoder_delete(c->encoder);
	free(c->samples);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

static FLAC__StreamDecoderReadStatus
read_bytes(const FLAC__StreamDecoder *decoder, FLAC__byte *buffer, size_t *n, void *closure)
{
	struct decoding *d = closure;
	size_t room = *n, done = 0, left;

	(void)decoder;
	if (d->at < STREAM_HEADER_BYTES) {
		done = PL_MIN(room, STREAM_HEADER_BYTES - d->at);
		memcpy(buffer, d->header + d->at, done);
		d->at += done;
	}
	left = PL_MIN(room - done, d->n + STREAM_HEADER_BYTES - d->at);
	if (left) {
		memcpy(buffer + done, d->in + (d->at - STREAM_HEADER_BYTES), left);
		d->at += left;
	}
	*n = done + left;
	return *n ? FLAC__STREAM_DECODER_READ_STATUS_CONTINUE
		  : FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
}

static FLAC__StreamDecoderTellStatus
tell_position(const FLAC__StreamDecoder *decoder, FLAC__uint64 *ret, void *closure)
{
	struct decoding *d = closure;

	(void)decoder;
	*ret = d->at;
	return FLAC__STREAM_DECODER_TELL_STATUS_OK;
}

static FLAC__StreamDecoderWriteStatus
take_samples(const FLAC__StreamDecoder *decoder, const FLAC__Frame *frame,
	     const FLAC__int32 *const samples[], void *closure)
{
	struct decoding *d = closure;
	size_t n = frame->header.blocksize;

	(void)decoder;
	if (frame->header.channels != 2 || frame->header.bits_per_sample != 16) {
		d->failed = true;
		return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
	}
	n = PL_MIN(n, (d->out_size - d->done) / SAMPLE_BYTES);
	for (size_t i = 0; i < n; i++) {
		uint8_t *out = d->out + d->done + i * SAMPLE_BYTES;

		for (size_t channel = 0; channel < 2; channel++) {
			if (d->big_endian)
				put_be16(out + 2 * channel, (uint16_t)samples[channel][i]);
			else
				put_le16(out + 2 * channel, (uint16_t)samples[channel][i]);
		}
	}
	d->done += n * SAMPLE_BYTES;
	return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

static void
note_error(const FLAC__StreamDecoder *decoder, FLAC__StreamDecoderErrorStatus status, void *closure)
{
	struct decoding *d = closure;

	(void)decoder;
	(void)status;
	d->failed = true;
}

static void
make_header(uint8_t ret[static STREAM_HEADER_BYTES])
{
	memset(ret, 0, STREAM_HEADER_BYTES);
	memcpy(ret, "fLaC", 4);
	ret[4] = 0x80;
	ret[7] = STREAM_HEADER_BYTES - 8;
	put_be16(ret + 8, 16);
	put_be16(ret + 10, MAX_ANY_BLOCK);
	/* 20 bits rate, 3 bits channels - 1, 5 bits bits - 1, 36 bits samples. */
	put_be64(ret + 18, (uint64_t)44100 << 44 | (uint64_t)1 << 41 | (uint64_t)15 << 36);
}

static bool
begin_decoding(struct context *c)
{
	if (c->decoder)
		FLAC__stream_decoder_finish(c->decoder);
	else
		c->decoder = FLAC__stream_decoder_new();
	return c->decoder &&
	       FLAC__stream_decoder_init_stream(c->decoder, read_bytes, NULL, tell_position, NULL,
						NULL, take_samples, NULL, note_error,
						&c->d) == FLAC__STREAM_DECODER_INIT_STATUS_OK;
}

int
pl_chd_decode_frames(const uint8_t *in, size_t n, bool big_endian, uint8_t *out, size_t out_size,
		     size_t *ret_used, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	FLAC__uint64 position = 0;
	bool good;

	if (!c || !begin_decoding(c))
		return pl_no_memory(err);
	c->d = (struct decoding){
		.in = in, .n = n, .out = out, .out_size = out_size, .big_endian = big_endian
	};
	make_header(c->d.header);
	good = FLAC__stream_decoder_process_until_end_of_metadata(c->decoder);
	while (good && !c->d.failed && out_size - c->d.done >= SAMPLE_BYTES) {
		size_t before = c->d.done;

		good = FLAC__stream_decoder_process_single(c->decoder) && c->d.done > before;
	}
	if (!good || c->d.failed || c->d.done != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "damaged FLAC frames after %zu of %zu bytes", c->d.done,
				  out_size);
	if (!ret_used)
		return 0;
	if (!FLAC__stream_decoder_get_decode_position(c->decoder, &position) ||
	    position < STREAM_HEADER_BYTES || position - STREAM_HEADER_BYTES > n)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "FLAC frames without an end");
	*ret_used = (size_t)position - STREAM_HEADER_BYTES;
	return 0;
}

/* All but the header, which comes first. */
static FLAC__StreamEncoderWriteStatus
take_bytes(const FLAC__StreamEncoder *encoder, const FLAC__byte bytes[], size_t n, uint32_t samples,
	   uint32_t frame, void *closure)
{
	struct encoding *e = closure;

	(void)encoder;
	(void)frame;
	/* Blocks of metadata have no samples. */
	if (!samples)
		return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
	if (n > e->room - e->done) {
		e->failed = true;
		return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR;
	}
	memcpy(e->out + e->done, bytes, n);
	e->done += n;
	return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static bool
begin_encoding(struct context *c, uint32_t block)
{
	FLAC__StreamEncoder *f = c->encoder;

	if (!f)
		f = c->encoder = FLAC__stream_encoder_new();
	return f && FLAC__stream_encoder_set_verify(f, false) &&
	       FLAC__stream_encoder_set_streamable_subset(f, false) &&
	       FLAC__stream_encoder_set_compression_level(f, LEVEL) &&
	       FLAC__stream_encoder_set_channels(f, 2) &&
	       FLAC__stream_encoder_set_bits_per_sample(f, 16) &&
	       FLAC__stream_encoder_set_sample_rate(f, 44100) &&
	       FLAC__stream_encoder_set_total_samples_estimate(f, 0) &&
	       FLAC__stream_encoder_set_blocksize(f, block) &&
	       FLAC__stream_encoder_init_stream(f, take_bytes, NULL, NULL, NULL, &c->e) ==
		       FLAC__STREAM_ENCODER_INIT_STATUS_OK;
}

/* Samples of a frame: readers expect that of all they are halved until there are not more. */
static uint32_t
block_size(size_t n, uint32_t most)
{
	size_t samples = n / SAMPLE_BYTES;

	while (samples > most)
		samples /= 2;
	return (uint32_t)samples;
}

static bool
take_input(struct context *c, const uint8_t *in, size_t n, bool big_endian)
{
	size_t nr = n / 2;

	if (c->nr_samples < nr) {
		FLAC__int32 *samples = pl_realloc_array(c->samples, nr, sizeof *samples);

		if (!samples)
			return false;
		c->samples = samples;
		c->nr_samples = nr;
	}
	for (size_t i = 0; i < nr; i++)
		c->samples[i] = (int16_t)(big_endian ? get_be16(in + 2 * i) : get_le16(in + 2 * i));
	return true;
}

size_t
pl_chd_encode_frames(const uint8_t *in, size_t n, bool big_endian, uint32_t max_block, uint8_t *out,
		     size_t room)
{
	struct context *c = pl_per_thread_get(&contexts);
	bool good;

	if (!c || !take_input(c, in, n, big_endian))
		return 0;
	c->e = (struct encoding){ .out = out, .room = room };
	if (!begin_encoding(c, block_size(n, max_block)))
		return 0;
	good = FLAC__stream_encoder_process_interleaved(c->encoder, c->samples,
							(uint32_t)(n / SAMPLE_BYTES));
	good = FLAC__stream_encoder_finish(c->encoder) && good;
	if (good && !c->e.failed)
		return c->e.done;
	/* After an error, and it is one that the frames do not fit, an encoder is of no more use. */
	FLAC__stream_encoder_delete(c->encoder);
	c->encoder = NULL;
	return 0;
}
