/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.c - new sparse bundles; the request's file is the property list */
#include "sparsebundle.h"
#include "storage.h"
#include "text.h"

#define CHUNK KIB(64)

struct sparsebundle_writer {
	struct pl_writer writer; /* its file: what the bands hold, a reference */
	struct pl_disk *list;    /* the property list, borrowed */
	struct pl_disk *bands;   /* a reference */
	uint64_t band_size;
	uint8_t *token; /* CDSA_NEW_DATA_OFFSET bytes, or NULL */
};

static struct sparsebundle_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct sparsebundle_writer, writer);
}

static int
sparsebundle_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
		   uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	uint64_t band_size = writer_of(w)->band_size;

	(void)stored, (void)err;
	*ret_at = offset;
	*ret_length = PL_MIN(length, band_size - offset % band_size);
	return 0;
}

/* Bands that are not there read as zeros. */
static int
sparsebundle_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
		  struct platter_error *err)
{
	return 0;
}

static int
sparsebundle_finish(struct pl_writer *w, struct platter_error *err)
{
	struct sparsebundle_writer *s = writer_of(w);
	struct bundle_info info = { pl_round_up(w->size, SECTOR), s->band_size };
	PL_AUTOFREE char *text = pl_sparsebundle_new_info(&info);
	int r = text ? pl_flush(w->file, err) : pl_no_memory(err);

	if (r == 0)
		r = pl_write(s->list, text, strlen(text), 0, err);
	if (r == 0)
		r = pl_storage_put_beside(s->list, BACKUP_NAME, text, strlen(text), err);
	return r == 0 ? pl_storage_put_beside(s->list, TOKEN_NAME,
					      s->token ? s->token : (const uint8_t *)"",
					      s->token ? CDSA_NEW_DATA_OFFSET : 0, err)
		      : r;
}

static void
sparsebundle_writer_free(struct pl_writer *w)
{
	struct sparsebundle_writer *s = writer_of(w);

	pl_disk_unref(w->file);
	pl_disk_unref(s->bands);
	free(s->token);
	free(s);
}

static const struct pl_writer_ops writer_ops = {
	.place = sparsebundle_place,
	.skip = sparsebundle_skip,
	.finish = sparsebundle_finish,
	.free = sparsebundle_writer_free,
};

static int
read_band_size(const struct pl_create_request *request, uint64_t *ret, struct platter_error *err)
{
	const char *text = pl_create_option(request, "band_size");

	*ret = NEW_BAND;
	if (!text)
		return 0;
	if (pl_parse_size(text, ret) < 0 || !pl_is_power_of_two(*ret) || *ret < CHUNK ||
	    *ret > MAX_BAND)
		return pl_invalid(err,
				  "option band_size=%s: allowed is a power of two from 64K to 8G",
				  text);
	return 0;
}

/* Encrypted, under keys that are made now; of what is only measured they matter to nobody. */
static int
open_encrypted(struct sparsebundle_writer *s, const struct pl_create_request *request,
	       uint32_t key_bits, uint64_t size, struct platter_error *err)
{
	struct bundle_info info = { size, s->band_size };
	struct pl_cdsa_layout layout = pl_sparsebundle_layout(&info);
	struct pl_cdsa_header header;
	struct pl_cdsa_keys keys;
	int r;

	s->token = calloc(1, CDSA_NEW_DATA_OFFSET);
	if (!s->token)
		return pl_no_memory(err);
	if (request->measured) {
		s->writer.file = pl_disk_ref(s->bands);
		return 0;
	}
	r = pl_cdsa_new_header(request->file->name, key_bits, s->token, &header, &keys, err);
	if (r == 0)
		r = pl_cdsa_disk_new(s->bands, &header, &keys, &layout, true, &s->writer.file, err);
	pl_cdsa_wipe(&keys, sizeof keys);
	return r;
}

static int
open_files(struct sparsebundle_writer *s, const struct pl_create_request *request,
	   uint32_t key_bits, struct platter_error *err)
{
	/* Of a stream the property list tells the size in the end. */
	uint64_t size =
		request->size == UINT64_MAX ? INT64_MAX : pl_round_up(request->size, SECTOR);
	int r = pl_storage_create_bands(request->file, BANDS_NAME, s->band_size, size, &s->bands,
					err);

	if (r < 0 || key_bits)
		return r < 0 ? r : open_encrypted(s, request, key_bits, size, err);
	s->writer.file = pl_disk_ref(s->bands);
	return 0;
}

int
pl_sparsebundle_create(const struct pl_create_request *request, struct pl_writer **ret,
		       struct platter_error *err)
{
	struct sparsebundle_writer *s;
	uint64_t band_size;
	uint32_t key_bits;
	int r = read_band_size(request, &band_size, err);

	if (r == 0)
		r = pl_cdsa_read_option(pl_create_option(request, "encryption"), &key_bits, err);
	if (r < 0)
		return r;
	s = calloc(1, sizeof *s);
	if (!s)
		return pl_no_memory(err);
	s->writer = (struct pl_writer){ .ops = &writer_ops, .size = request->size, .chunk = CHUNK };
	s->list = request->file;
	s->band_size = band_size;
	r = open_files(s, request, key_bits, err);
	if (r < 0) {
		sparsebundle_writer_free(&s->writer);
		return r;
	}
	*ret = &s->writer;
	return 0;
}

const struct platter_option_info pl_sparsebundle_options[] = {
	{ "band_size", "64K..8G", "bytes of each file, a power of two; 8M" },
	CDSA_OPTION,
	{ 0 },
};
