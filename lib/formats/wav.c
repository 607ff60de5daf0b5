/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wav.c - sound of CDs in RIFF WAVE files
 *
 * Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).  All
 * integers are little-endian; chunks begin at even offsets.
 *
 *	offset  size
 *	     0     4  "RIFF"; 4: length of what follows, or 0 or ffffffff from a stream
 *	     8     4  "WAVE"
 *	    12        chunks: 4 letters, length of 4 bytes, contents
 *
 *	"fmt "  2 bytes: 1, PCM (or fffe, told in bytes 24 and 25); 2: channels; 4: samples a second;
 *		14: bits of a sample
 *	"data"  the samples
 *	"LIST"  "INFO", then chunks: INAM title, IART artist, IPRD album, ITRK track
 *
 * Only what a CD has is read: 44100 samples a second, 2 channels, 16 bits.
 */
#include <stdio.h>

#include "disc.h"
#include "text.h"

enum {
	RIFF_HEADER = 12,
	CHUNK_HEADER = 8,
	FORMAT_BYTES = 16,
	FORMAT_PCM = 1,
	FORMAT_EXTENSIBLE = 0xfffe,
};

#define SAMPLES_PER_SECOND 44100
#define BYTES_PER_SAMPLE   4

/* Chunks before the samples that are passed over. */
#define MAX_CHUNKS 1000

struct wav {
	struct pl_disk disk;
	struct pl_disk *file;
	uint64_t data_at;
	bool cut; /* the file ends before the samples do */
};

static struct wav *
wav_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct wav, disk);
}

static int
wav_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	const struct wav *w = wav_of(disk);

	(void)length, (void)err; /* it goes on to the end, and nothing can fail */
	*ret = (struct pl_extent){ .length = disk->size - offset,
				   .kind = PLATTER_DATA,
				   .below = w->file,
				   .stored_offset = w->data_at + offset };
	return 0;
}

static struct pl_disk *
wav_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? wav_of(disk)->file : NULL;
}

static void
wav_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	pl_fact_text(facts, "sound", "sound", "44100 Hz, 2 channels, 16 bits");
	pl_fact_number(facts, "seconds", "seconds",
		       disk->size / BYTES_PER_SAMPLE / SAMPLES_PER_SECOND);
	if (wav_of(disk)->cut)
		pl_warn(facts, "the file ends before its samples do");
}

static void
wav_free(struct pl_disk *disk)
{
	struct wav *w = wav_of(disk);

	pl_disk_unref(w->file);
	pl_disk_done(disk);
	free(w);
}

static const struct pl_disk_ops wav_ops = {
	.name = "wav",
	.map = wav_map,
	.below = wav_below,
	.describe = wav_describe,
	.free = wav_free,
};

static int
check_format(const struct wav *w, uint64_t at, uint32_t length, struct platter_error *err)
{
	uint8_t f[26] = { 0 };
	unsigned kind;
	int r;

	if (length < FORMAT_BYTES)
		return pl_corrupt(err, at, "format of %" PRIu32 " bytes, %d are expected", length,
				  FORMAT_BYTES);
	r = pl_read_padded(w->file, f, PL_MIN(length, (uint32_t)sizeof f), at, NULL, err);
	if (r < 0)
		return r;
	kind = get_le16(f);
	if (kind == FORMAT_EXTENSIBLE)
		kind = get_le16(f + 24);
	if (kind == FORMAT_PCM && get_le16(f + 2) == 2 && get_le32(f + 4) == SAMPLES_PER_SECOND &&
	    get_le16(f + 14) == 16)
		return 0;
	r = pl_unsupported(err, at,
			   "sound of kind %u with %u channels, %" PRIu32
			   " samples a second and %u bits; a CD has PCM, 2, 44100 and 16",
			   kind, get_le16(f + 2), get_le32(f + 4), get_le16(f + 14));
	pl_hint(err, "convert it with a sound program first");
	return r;
}

static int
find_samples(struct wav *w, struct platter_error *err)
{
	uint64_t at = RIFF_HEADER;
	bool has_format = false;

	for (unsigned i = 0; i < MAX_CHUNKS && pl_in_range(at, CHUNK_HEADER, w->file->size); i++) {
		uint8_t h[CHUNK_HEADER];
		uint32_t length;
		int r = pl_read(w->file, h, sizeof h, at, err);

		if (r < 0)
			return r;
		length = get_le32(h + 4);
		at += CHUNK_HEADER;
		if (!memcmp(h, "fmt ", 4)) {
			r = check_format(w, at, length, err);
			has_format = true;
		} else if (!memcmp(h, "data", 4) && has_format) {
			uint64_t left = w->file->size - at;

			/* From a stream the length is not known. */
			w->cut = length > left && length != UINT32_MAX;
			w->data_at = at;
			w->disk.size = pl_round_down(PL_MIN(length, left), BYTES_PER_SAMPLE);
			return 0;
		}
		if (r < 0)
			return r;
		at += (uint64_t)length + length % 2;
	}
	return pl_corrupt(err, at, "no samples in the first %d chunks", MAX_CHUNKS);
}

static int
read_header(struct wav *w, struct platter_error *err)
{
	uint8_t h[RIFF_HEADER];
	int r;

	if (w->file->size < sizeof h)
		return pl_corrupt(err, 0, "%" PRIu64 " bytes are no WAVE file", w->file->size);
	r = pl_read(w->file, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	if (memcmp(h, "RIFF", 4) != 0 || memcmp(h + 8, "WAVE", 4) != 0)
		return pl_corrupt(err, 0, "no RIFF WAVE header");
	return find_samples(w, err);
}

static int
wav_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct wav *w;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is sound, which has no snapshots",
			       request->file->name);
	w = calloc(1, sizeof *w);
	if (!w)
		return pl_no_memory(err);
	r = pl_disk_init(&w->disk, &wav_ops, request->file->name, err);
	if (r < 0) {
		free(w);
		return r;
	}
	w->file = pl_disk_ref(request->file);
	r = read_header(w, err);
	if (r == 0)
		r = pl_disk_stack(&w->disk, w->file, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		wav_free(&w->disk);
		return r;
	}
	*ret = &w->disk;
	return 0;
}

static int
wav_probe(const struct pl_probe *probe)
{
	return probe->size >= RIFF_HEADER && !memcmp(probe->head, "RIFF", 4) &&
			       !memcmp(probe->head + 8, "WAVE", 4)
		       ? 64
		       : 0;
}

/* ---- writing ---- */

struct wav_writer {
	struct pl_writer writer;
	struct pl_str header; /* all before the samples */
	bool begun;           /* it is written: only a stream's first bytes may be its first */
};

static struct wav_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct wav_writer, writer);
}

/* The header goes first; a writer may not write before it is asked to place something. */
static int
begin(struct wav_writer *ww, struct platter_error *err)
{
	if (ww->begun)
		return 0;
	ww->begun = true;
	return pl_write(ww->writer.file, ww->header.text, ww->header.length, 0, err);
}

static int
wav_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	  uint64_t *ret_length, struct platter_error *err)
{
	(void)stored; /* nothing is encoded */
	*ret_at = writer_of(w)->header.length + offset;
	*ret_length = length;
	return begin(writer_of(w), err);
}

/* Silence is a hole of the file. */
static int
wav_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	int r = begin(writer_of(w), err);

	(void)kind;
	if (r == 0 && w->file->sequential)
		return pl_zero(w->file, writer_of(w)->header.length + offset, length, 0, err);
	return r;
}

static int
wav_finish(struct pl_writer *w, struct platter_error *err)
{
	int r = begin(writer_of(w), err);

	if (r < 0 || w->file->sequential)
		return r;
	return pl_resize(w->file, writer_of(w)->header.length + w->size, err);
}

static void
wav_writer_free(struct pl_writer *w)
{
	pl_str_done(&writer_of(w)->header);
	free(writer_of(w));
}

static const struct pl_writer_ops writer_ops = {
	.place = wav_place,
	.skip = wav_skip,
	.finish = wav_finish,
	.free = wav_writer_free,
};

static void
add_le32(struct pl_str *s, uint32_t n)
{
	uint8_t bytes[4];

	put_le32(bytes, n);
	pl_str_add_bytes(s, bytes, sizeof bytes);
}

static void
add_tag(struct pl_str *s, const char *name, const char *text)
{
	size_t n = strlen(text) + 1;

	if (n == 1)
		return;
	pl_str_add(s, name);
	add_le32(s, (uint32_t)n);
	pl_str_add_bytes(s, text, n);
	if (n % 2)
		pl_str_add_bytes(s, "", 1);
}

static void
add_tags(struct pl_str *s, const struct pl_create_request *request)
{
	struct pl_str tags = { 0 };
	char number[16];

	if (!request->track)
		return;
	add_tag(&tags, "INAM", request->track->text.title);
	add_tag(&tags, "IART",
		request->track->text.performer[0] ? request->track->text.performer
						  : request->disc->info.text.performer);
	add_tag(&tags, "IPRD", request->disc->info.text.title);
	add_tag(&tags, "IGNR", request->disc->info.text.genre);
	snprintf(number, sizeof number, "%" PRIu32, request->track->number);
	if (tags.length)
		add_tag(&tags, "ITRK", number);
	if (tags.length) {
		pl_str_add(s, "LIST");
		add_le32(s, (uint32_t)tags.length + 4);
		pl_str_add(s, "INFO");
		pl_str_add_bytes(s, tags.text, tags.length);
	}
	s->failed |= tags.failed;
	pl_str_done(&tags);
}

static int
build_header(struct wav_writer *ww, const struct pl_create_request *request,
	     struct platter_error *err)
{
	static const uint8_t format[FORMAT_BYTES] = { 1,    0,    2,    0, 0x44, 0xac, 0,  0,
						      0x10, 0xb1, 0x02, 0, 4,    0,    16, 0 };
	struct pl_str *s = &ww->header, chunks = { 0 };
	bool failed;

	pl_str_add(&chunks, "WAVEfmt ");
	add_le32(&chunks, sizeof format);
	pl_str_add_bytes(&chunks, format, sizeof format);
	add_tags(&chunks, request);
	pl_str_add(&chunks, "data");
	add_le32(&chunks, (uint32_t)request->size);
	pl_str_add(s, "RIFF");
	add_le32(s, (uint32_t)(chunks.length + request->size));
	if (chunks.text)
		pl_str_add_bytes(s, chunks.text, chunks.length);
	failed = s->failed || chunks.failed;
	pl_str_done(&chunks);
	return failed ? pl_no_memory(err) : 0;
}

static int
wav_create(const struct pl_create_request *request, struct pl_writer **ret,
	   struct platter_error *err)
{
	struct wav_writer *ww;
	int r = 0;

	/* The lengths in the header have 32 bits; tags are a few KiB. */
	if (request->size > UINT32_MAX - MIB(1))
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "sound of %" PRIu64 " bytes, limit of WAVE is 4 GiB",
				     request->size);
	ww = calloc(1, sizeof *ww);
	if (!ww)
		return pl_no_memory(err);
	ww->writer = (struct pl_writer){
		.ops = &writer_ops, .file = request->file, .size = request->size, .chunk = KIB(64)
	};
	if (!request->file->sequential)
		r = pl_resize(request->file, 0, err);
	if (r == 0)
		r = build_header(ww, request, err);
	if (r < 0) {
		wav_writer_free(&ww->writer);
		return r;
	}
	*ret = &ww->writer;
	return 0;
}

static const char *const extensions[] = { "wav", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_wav = {
	.info = {
		.name = "wav",
		.longname = "sound in a WAVE file",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE,
		.holds = PLATTER_HOLDS_SOUND,
		.options = options,
	},
	.probe = wav_probe,
	.open = wav_open,
	.create = wav_create,
	.takes = PL_TAKES_SOUND,
	.disk_ops = &wav_ops,
};
