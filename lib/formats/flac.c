/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flac.c - sound of CDs in FLAC files (RFC 9639)
 *
 * libFLAC does the coding.  Reading seeks to the samples that are wanted, on as many threads as
 * want some.  Writing encodes pieces apart from each other: each frame stands for itself but for
 * its number, so frames get theirs afterwards, and with it new checksums.
 *
 *	offset  size  a frame
 *	     0     2  sync: fff8, frames of one size
 *	     2     2  codes of block size, sample rate, channels, sample size
 *	     4   1-7  number, coded like UTF-8
 *	           0  block size in 1 or 2 bytes, if its code says so
 *	           1  CRC-8 of all before; subframes follow
 *	  last     2  CRC-16 of all before
 */
#include <FLAC/stream_decoder.h>
#include <FLAC/stream_encoder.h>
#include <stdio.h>

#include "disc.h"
#include "text.h"

#define SAMPLES_PER_SECOND 44100
#define BYTES_PER_SAMPLE   4

/* Samples of a frame, and bytes of what is encoded or decoded at once: 16 frames. */
#define BLOCK 4096
#define PIECE (16 * BLOCK * BYTES_PER_SAMPLE)

enum {
	MARK = 4,
	BLOCK_HEADER = 4,
	STREAMINFO = 34,
	FRAME_NUMBER_AT = 4,
};

struct flac {
	struct pl_disk disk;
	struct pl_disk *file;
	struct pl_decoder decoder;
};

static struct flac *
flac_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct flac, disk);
}

/* ---- decoding ---- */

struct decoding {
	struct pl_disk *file;
	uint64_t at;
	uint64_t first; /* sample that is decoded into the first bytes */
	uint8_t *out;
	size_t wanted, have; /* bytes */
	unsigned frames;     /* that one call decoded */
	bool failed;
};

static FLAC__StreamDecoderReadStatus
on_read(const FLAC__StreamDecoder *decoder, FLAC__byte *buf, size_t *n, void *closure)
{
	struct decoding *d = closure;

	(void)decoder;
	*n = (size_t)PL_MIN((uint64_t)*n, d->file->size - d->at);
	if (!*n)
		return FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
	if (pl_read(d->file, buf, *n, d->at, NULL) < 0)
		return FLAC__STREAM_DECODER_READ_STATUS_ABORT;
	d->at += *n;
	return FLAC__STREAM_DECODER_READ_STATUS_CONTINUE;
}

static FLAC__StreamDecoderSeekStatus
on_seek(const FLAC__StreamDecoder *decoder, FLAC__uint64 at, void *closure)
{
	struct decoding *d = closure;

	(void)decoder;
	if (at > d->file->size)
		return FLAC__STREAM_DECODER_SEEK_STATUS_ERROR;
	d->at = at;
	return FLAC__STREAM_DECODER_SEEK_STATUS_OK;
}

static FLAC__StreamDecoderTellStatus
on_tell(const FLAC__StreamDecoder *decoder, FLAC__uint64 *ret, void *closure)
{
	(void)decoder;
	*ret = ((const struct decoding *)closure)->at;
	return FLAC__STREAM_DECODER_TELL_STATUS_OK;
}

static FLAC__StreamDecoderLengthStatus
on_length(const FLAC__StreamDecoder *decoder, FLAC__uint64 *ret, void *closure)
{
	(void)decoder;
	*ret = ((const struct decoding *)closure)->file->size;
	return FLAC__STREAM_DECODER_LENGTH_STATUS_OK;
}

static FLAC__bool
on_eof(const FLAC__StreamDecoder *decoder, void *closure)
{
	const struct decoding *d = closure;

	(void)decoder;
	return d->at >= d->file->size;
}

static FLAC__StreamDecoderWriteStatus
on_write(const FLAC__StreamDecoder *decoder, const FLAC__Frame *frame,
	 const FLAC__int32 *const samples[], void *closure)
{
	struct decoding *d = closure;

	(void)decoder;
	d->frames++;
	/* Other samples than the next would stand where those belong that are missing. */
	if (frame->header.channels != 2 || frame->header.bits_per_sample != 16 ||
	    frame->header.number.sample_number != d->first + d->have / BYTES_PER_SAMPLE)
		return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
	for (unsigned i = 0; i < frame->header.blocksize && d->have < d->wanted; i++) {
		put_le16(d->out + d->have, (uint16_t)samples[0][i]);
		put_le16(d->out + d->have + 2, (uint16_t)samples[1][i]);
		d->have += BYTES_PER_SAMPLE;
	}
	return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
}

/* libFLAC goes on with silence, or with the frame behind what is damaged. */
static void
on_error(const FLAC__StreamDecoder *decoder, FLAC__StreamDecoderErrorStatus status, void *closure)
{
	(void)decoder, (void)status;
	((struct decoding *)closure)->failed = true;
}

static bool
decode_samples(FLAC__StreamDecoder *decoder, struct decoding *d)
{
	if (FLAC__stream_decoder_init_stream(decoder, on_read, on_seek, on_tell, on_length, on_eof,
					     on_write, NULL, on_error,
					     d) != FLAC__STREAM_DECODER_INIT_STATUS_OK)
		return false;
	if (!FLAC__stream_decoder_process_until_end_of_metadata(decoder))
		return false;
	if (d->first && !FLAC__stream_decoder_seek_absolute(decoder, d->first))
		return false;
	while (d->have < d->wanted) {
		size_t before = d->have;

		d->frames = 0;
		/* In place of frames that are missing libFLAC 1.4 gives silence before the next. */
		if (!FLAC__stream_decoder_process_single(decoder) || d->failed || d->frames > 1)
			return false;
		if (d->have == before && FLAC__stream_decoder_get_state(decoder) !=
						 FLAC__STREAM_DECODER_SEARCH_FOR_FRAME_SYNC)
			return false;
	}
	return true;
}

/* The bytes come from the file by themselves: where they are only libFLAC finds out. */
static int
flac_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct flac *f =
		(const void *)((const char *)decoder - offsetof(struct flac, decoder));
	struct decoding d = { .file = f->file,
			      .first = chunk_offset / BYTES_PER_SAMPLE,
			      .out = out,
			      .wanted = out_size };
	FLAC__StreamDecoder *libflac = FLAC__stream_decoder_new();
	bool good;

	(void)in, (void)in_size;
	if (!libflac)
		return pl_no_memory(err);
	good = decode_samples(libflac, &d);
	FLAC__stream_decoder_delete(libflac);
	if (!good)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "FLAC: of the sound at sample %" PRIu64
				  " only %zu of %zu bytes can be decoded",
				  d.first, d.have, out_size);
	return 0;
}

static int
flac_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	const struct flac *f = flac_of(disk);
	uint64_t begin = pl_round_down(offset, PIECE), end = PL_MIN(begin + PIECE, disk->size);

	(void)length, (void)err; /* nothing can fail */
	*ret = (struct pl_extent){ .length = end - offset,
				   .kind = PLATTER_DATA,
				   .below = f->file,
				   .decoder = &f->decoder,
				   .chunk_offset = begin,
				   .chunk_length = (uint32_t)(end - begin) };
	return 0;
}

static struct pl_disk *
flac_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? flac_of(disk)->file : NULL;
}

static void
flac_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	pl_fact_text(facts, "sound", "sound", "44100 Hz, 2 channels, 16 bits");
	pl_fact_number(facts, "seconds", "seconds",
		       disk->size / BYTES_PER_SAMPLE / SAMPLES_PER_SECOND);
}

static void
flac_free(struct pl_disk *disk)
{
	struct flac *f = flac_of(disk);

	pl_disk_unref(f->file);
	pl_disk_done(disk);
	free(f);
}

static const struct pl_disk_ops flac_ops = {
	.name = "flac",
	.map = flac_map,
	.below = flac_below,
	.describe = flac_describe,
	.free = flac_free,
};

static int
read_streaminfo(struct flac *f, struct platter_error *err)
{
	uint8_t h[MARK + BLOCK_HEADER + STREAMINFO];
	uint64_t bits, samples;
	int r;

	if (f->file->size < sizeof h)
		return pl_corrupt(err, 0, "%" PRIu64 " bytes are no FLAC file", f->file->size);
	r = pl_read(f->file, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	if (memcmp(h, "fLaC", 4) != 0 || (h[MARK] & 0x7f) ||
	    get_be32(h + MARK) << 8 >> 8 != STREAMINFO)
		return pl_corrupt(err, 0, "no FLAC header");
	/* 20 bits samples a second, 3 channels - 1, 5 bits - 1, 36 samples. */
	bits = get_be64(h + MARK + BLOCK_HEADER + 10);
	samples = bits & 0xfffffffff;
	if (bits >> 44 != SAMPLES_PER_SECOND || (bits >> 41 & 7) != 1 || (bits >> 36 & 31) != 15) {
		r = pl_unsupported(err, MARK + BLOCK_HEADER + 10,
				   "sound with %u channels, %u samples a second and %u bits; a CD"
				   " has 2, 44100 and 16",
				   (unsigned)(bits >> 41 & 7) + 1, (unsigned)(bits >> 44),
				   (unsigned)(bits >> 36 & 31) + 1);
		pl_hint(err, "convert it with a sound program first");
		return r;
	}
	if (!samples)
		return pl_unsupported(err, MARK + BLOCK_HEADER + 10,
				      "a FLAC file that does not tell how long it is");
	f->disk.size = samples * BYTES_PER_SAMPLE;
	return 0;
}

static int
flac_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct flac *f;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is sound, which has no snapshots",
			       request->file->name);
	f = calloc(1, sizeof *f);
	if (!f)
		return pl_no_memory(err);
	r = pl_disk_init(&f->disk, &flac_ops, request->file->name, err);
	if (r < 0) {
		free(f);
		return r;
	}
	f->file = pl_disk_ref(request->file);
	f->decoder = (struct pl_decoder){ .name = "flac", .decode = flac_decode };
	r = read_streaminfo(f, err);
	if (r == 0)
		r = pl_disk_stack(&f->disk, f->file, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		flac_free(&f->disk);
		return r;
	}
	*ret = &f->disk;
	return 0;
}

static int
flac_probe(const struct pl_probe *probe)
{
	return probe->size > MARK + BLOCK_HEADER + STREAMINFO && !memcmp(probe->head, "fLaC", 4) &&
			       !(probe->head[MARK] & 0x7f)
		       ? 40
		       : 0;
}

/* ---- encoding ---- */

struct flac_writer {
	struct pl_writer writer;
	struct pl_str header; /* all before the frames */
	bool begun;           /* it is written */
	uint64_t frontier;    /* where the next frames go */
	int level;
};

static struct flac_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct flac_writer, writer);
}

struct encoding {
	struct pl_encoded *out;
	uint64_t number; /* of the next frame */
	bool full;
};

static uint8_t
crc8(const uint8_t *bytes, size_t n)
{
	unsigned crc = 0;

	while (n--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x80 ? 0x107 : 0);
	}
	return (uint8_t)crc;
}

static uint16_t crc16_table[256];

static void
make_crc16_table(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(crc16_table); i++) {
		unsigned crc = i << 8;

		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x8000 ? 0x18005 : 0);
		crc16_table[i] = (uint16_t)crc;
	}
}

static uint16_t
crc16(const uint8_t *bytes, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned crc = 0;

	pthread_once(&once, make_crc16_table);
	while (n--)
		crc = (crc << 8 & 0xffff) ^ crc16_table[crc >> 8 ^ *bytes++];
	return (uint16_t)crc;
}

/* Coded like UTF-8, up to 36 bits; returns the bytes. */
static size_t
put_number(uint8_t *out, uint64_t n)
{
	size_t more = 1;

	if (n < 0x80) {
		out[0] = (uint8_t)n;
		return 1;
	}
	while (n >> (6 * more + 6 - more))
		more++;
	out[0] = (uint8_t)(0xff00 >> (more + 1) | n >> 6 * more);
	for (size_t i = 1; i <= more; i++)
		out[i] = (uint8_t)(0x80 | (n >> 6 * (more - i) & 0x3f));
	return more + 1;
}

/* Of what follows the number in a frame's header, before its CRC. */
static size_t
bytes_behind_number(const uint8_t *frame)
{
	unsigned block = frame[2] >> 4, rate = frame[2] & 15;

	return (block == 6   ? 1u
		: block == 7 ? 2u
			     : 0u) +
	       (rate == 12                 ? 1u
		: rate == 13 || rate == 14 ? 2u
					   : 0u);
}

/* Give a frame that was made as one of the first 16 its number. */
static void
add_frame(struct encoding *e, const uint8_t *frame, size_t n)
{
	struct pl_encoded *out = e->out;
	uint8_t *to = out->bytes + out->length;
	size_t behind = bytes_behind_number(frame), header = FRAME_NUMBER_AT, rest;

	if (out->capacity - out->length < n + 8) {
		e->full = true;
		return;
	}
	memcpy(to, frame, FRAME_NUMBER_AT);
	header += put_number(to + FRAME_NUMBER_AT, e->number++);
	memcpy(to + header, frame + FRAME_NUMBER_AT + 1, behind);
	header += behind;
	to[header] = crc8(to, header);
	header++;
	rest = n - (FRAME_NUMBER_AT + 1 + behind + 1) - 2;
	memcpy(to + header, frame + n - 2 - rest, rest);
	put_be16(to + header + rest, crc16(to, header + rest));
	out->length += header + rest + 2;
}

static FLAC__StreamEncoderWriteStatus
on_encoded(const FLAC__StreamEncoder *encoder, const FLAC__byte *bytes, size_t n, uint32_t samples,
	   uint32_t frame, void *closure)
{
	(void)encoder, (void)frame;
	/* Metadata comes without samples, and is written by ourselves. */
	if (samples)
		add_frame(closure, bytes, n);
	return FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static bool
encode_samples(FLAC__StreamEncoder *encoder, struct encoding *e, int level, const uint8_t *in,
	       size_t n)
{
	PL_AUTOFREE FLAC__int32 *samples = malloc(n / 2 * sizeof *samples);

	if (!samples)
		return false;
	for (size_t i = 0; i < n / 2; i++)
		samples[i] = (int16_t)get_le16(in + 2 * i);
	FLAC__stream_encoder_set_compression_level(encoder, (uint32_t)level);
	FLAC__stream_encoder_set_blocksize(encoder, BLOCK);
	FLAC__stream_encoder_set_channels(encoder, 2);
	FLAC__stream_encoder_set_bits_per_sample(encoder, 16);
	FLAC__stream_encoder_set_sample_rate(encoder, SAMPLES_PER_SECOND);
	return FLAC__stream_encoder_init_stream(encoder, on_encoded, NULL, NULL, NULL, e) ==
		       FLAC__STREAM_ENCODER_INIT_STATUS_OK &&
	       FLAC__stream_encoder_process_interleaved(encoder, samples,
							(uint32_t)(n / BYTES_PER_SAMPLE)) &&
	       FLAC__stream_encoder_finish(encoder) && !e->full;
}

static int
flac_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
	    struct pl_encoded *out, struct platter_error *err)
{
	struct encoding e = { .out = out, .number = offset / (BLOCK * BYTES_PER_SAMPLE) };
	FLAC__StreamEncoder *encoder = FLAC__stream_encoder_new();
	bool good;

	if (!encoder)
		return pl_no_memory(err);
	out->length = 0;
	out->as_is = false;
	good = encode_samples(encoder, &e, writer_of(w)->level, in, n);
	FLAC__stream_encoder_delete(encoder);
	return good ? 0
		    : pl_fail(err, -EIO, "libFLAC cannot encode the sound at byte %" PRIu64,
			      offset);
}

/* The header goes first; a writer may not write before it is asked to place something. */
static int
begin(struct flac_writer *fw, struct platter_error *err)
{
	if (fw->begun)
		return 0;
	fw->begun = true;
	return pl_write(fw->writer.file, fw->header.text, fw->header.length, 0, err);
}

static int
flac_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	   uint64_t *ret_length, struct platter_error *err)
{
	(void)offset; /* one behind the other */
	*ret_at = writer_of(w)->frontier;
	*ret_length = length;
	writer_of(w)->frontier += stored;
	return begin(writer_of(w), err);
}

/* Silence has frames too. */
static int
flac_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	  struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = calloc(1, PIECE), *bytes = malloc(w->encoded_max);
	int r = zeros && bytes ? begin(writer_of(w), err) : pl_no_memory(err);

	(void)kind;
	while (length && r == 0) {
		struct pl_encoded out = { .bytes = bytes, .capacity = w->encoded_max };
		size_t n = (size_t)PL_MIN(length, (uint64_t)PIECE);

		r = flac_encode(w, offset, zeros, n, &out, err);
		if (r == 0)
			r = pl_write(w->file, bytes, out.length, writer_of(w)->frontier, err);
		writer_of(w)->frontier += out.length;
		offset += n;
		length -= n;
	}
	return r;
}

static int
flac_finish(struct pl_writer *w, struct platter_error *err)
{
	return begin(writer_of(w), err);
}

static void
flac_writer_free(struct pl_writer *w)
{
	pl_str_done(&writer_of(w)->header);
	free(writer_of(w));
}

static const struct pl_writer_ops writer_ops = {
	.encode = flac_encode,
	.place = flac_place,
	.skip = flac_skip,
	.finish = flac_finish,
	.free = flac_writer_free,
};

static void
add_comment(struct pl_str *s, uint32_t *nr, const char *key, const char *text)
{
	uint8_t length[4];

	if (!text[0])
		return;
	put_le32(length, (uint32_t)(strlen(key) + 1 + strlen(text)));
	pl_str_add_bytes(s, length, sizeof length);
	pl_str_addf(s, "%s=%s", key, text);
	++*nr;
}

/* The block of comments, without its header. */
static void
add_comments(struct pl_str *s, const struct pl_create_request *request)
{
	struct pl_str comments = { 0 };
	uint8_t length[4];
	uint32_t nr = 0;
	char number[16];

	if (request->track) {
		const struct platter_track *t = request->track;

		add_comment(&comments, &nr, "TITLE", t->text.title);
		add_comment(&comments, &nr, "ARTIST",
			    t->text.performer[0] ? t->text.performer
						 : request->disc->info.text.performer);
		add_comment(&comments, &nr, "ALBUM", request->disc->info.text.title);
		add_comment(&comments, &nr, "COMPOSER", t->text.composer);
		add_comment(&comments, &nr, "GENRE", request->disc->info.text.genre);
		add_comment(&comments, &nr, "ISRC", t->isrc);
		snprintf(number, sizeof number, "%" PRIu32, t->number);
		add_comment(&comments, &nr, "TRACKNUMBER", number);
	}
	put_le32(length, 7);
	pl_str_add_bytes(s, length, sizeof length);
	pl_str_add(s, "platter");
	put_le32(length, nr);
	pl_str_add_bytes(s, length, sizeof length);
	if (comments.length)
		pl_str_add_bytes(s, comments.text, comments.length);
	s->failed |= comments.failed;
	pl_str_done(&comments);
}

static int
build_header(struct flac_writer *fw, const struct pl_create_request *request,
	     struct platter_error *err)
{
	uint8_t h[MARK + BLOCK_HEADER + STREAMINFO + BLOCK_HEADER] = "fLaC";
	uint8_t *info = h + MARK + BLOCK_HEADER;
	struct pl_str *s = &fw->header, comments = { 0 };
	bool failed;

	add_comments(&comments, request);
	put_be32(h + MARK, STREAMINFO);
	put_be16(info, BLOCK);
	put_be16(info + 2, BLOCK);
	/* Sizes of frames, and the MD5 of all samples, are not known yet: 0. */
	put_be64(info + 10, (uint64_t)SAMPLES_PER_SECOND << 44 | 1ull << 41 | 15ull << 36 |
				    request->size / BYTES_PER_SAMPLE);
	put_be32(info + STREAMINFO, 0x84000000u | (uint32_t)comments.length);
	pl_str_add_bytes(s, h, sizeof h);
	if (comments.text)
		pl_str_add_bytes(s, comments.text, comments.length);
	fw->frontier = s->length;
	failed = s->failed || comments.failed;
	pl_str_done(&comments);
	return failed ? pl_no_memory(err) : 0;
}

static int
flac_create(const struct pl_create_request *request, struct pl_writer **ret,
	    struct platter_error *err)
{
	const char *level = pl_create_option(request, "level");
	struct flac_writer *fw;
	int r = 0;

	if (level && (level[0] < '0' || level[0] > '8' || level[1]))
		return pl_invalid(err, "option level=%s: allowed is 0 to 8", level);
	if (request->size % BYTES_PER_SAMPLE || request->size / BYTES_PER_SAMPLE > 0xfffffffff)
		return pl_invalid(err, "sound of %" PRIu64 " bytes is no number of samples",
				  request->size);
	fw = calloc(1, sizeof *fw);
	if (!fw)
		return pl_no_memory(err);
	fw->level = level ? level[0] - '0' : 8;
	fw->writer = (struct pl_writer){ .ops = &writer_ops,
					 .file = request->file,
					 .size = request->size,
					 .chunk = PIECE,
					 .encoded_max = PIECE + PIECE / 8 + KIB(4) };
	if (!request->file->sequential)
		r = pl_resize(request->file, 0, err);
	if (r == 0)
		r = build_header(fw, request, err);
	if (r < 0) {
		flac_writer_free(&fw->writer);
		return r;
	}
	*ret = &fw->writer;
	return 0;
}

static const char *const extensions[] = { "flac", NULL };
static const struct platter_option_info options[] = {
	{ "level", "0..8", "how hard to compress; 8" },
	{ 0 },
};

const struct pl_format pl_format_flac = {
	.info = {
		.name = "flac",
		.longname = "sound in a FLAC file",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE,
		.holds = PLATTER_HOLDS_SOUND,
		.options = options,
	},
	.probe = flac_probe,
	.open = flac_open,
	.create = flac_create,
	.takes = PL_TAKES_SOUND,
	.disk_ops = &flac_ops,
};
