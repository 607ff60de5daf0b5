/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs-stream.c - contents that libisofs does not get to see
 *
 * Each block that it reads of a file is 16 random bytes, the number of the contents, and
 * that of the block in them.  Where these bytes come out, the contents belong.
 *
 *	offset  size
 *	     0    16  w->mark
 *	    16     8  number of the contents, little-endian
 *	    24     8  number of the block
 */
#include "isofs.h"

#include <stdatomic.h>

struct contents {
	const struct pl_isofs *work;
	const struct pl_item *item;
	uint64_t number, block;
};

static int
contents_open(IsoStream *stream)
{
	struct contents *c = stream->data;

	c->block = 0;
	return 1;
}

static int
contents_close(IsoStream *stream)
{
	(void)stream;
	return 1;
}

static off_t
contents_size(IsoStream *stream)
{
	const struct contents *c = stream->data;

	return (off_t)c->item->file.size;
}

/* libisofs reads block by block; the last is whole too, and it takes that. */
static int
contents_read(IsoStream *stream, void *buf, size_t count)
{
	struct contents *c = stream->data;
	size_t n = 0;

	for (; count - n >= ISO_BLOCK; n += ISO_BLOCK) {
		uint8_t *to = (uint8_t *)buf + n;

		if (c->block * ISO_BLOCK >= c->item->file.size)
			break;
		memcpy(to, c->work->mark, sizeof c->work->mark);
		put_le64(to + 16, c->number);
		put_le64(to + 24, c->block++);
	}
	return (int)n;
}

static int
contents_repeatable(IsoStream *stream)
{
	(void)stream;
	return 1;
}

/* Contents are written in the order of these numbers, and once for all that have one. */
static void
contents_id(IsoStream *stream, unsigned *fs_id, dev_t *dev_id, ino_t *ino_id)
{
	const struct contents *c = stream->data;

	*fs_id = 0x706c;
	*dev_id = 1;
	*ino_id = c->item->serial;
}

static void
contents_free(IsoStream *stream)
{
	free(stream->data);
}

static IsoStreamIface contents_class = {
	.version = 0,
	.type = "user",
	.open = contents_open,
	.close = contents_close,
	.get_size = contents_size,
	.read = contents_read,
	.is_repeatable = contents_repeatable,
	.get_id = contents_id,
	.free = contents_free,
};

static int
number_contents(struct pl_isofs *w, const struct pl_item *item, uint64_t *ret)
{
	if (w->nr_contents == w->capacity) {
		size_t more = w->capacity ? 2 * w->capacity : 1024;
		const struct pl_item **list = pl_realloc_array(w->contents, more, sizeof *list);

		if (!list)
			return -ENOMEM;
		w->contents = list;
		w->capacity = more;
	}
	*ret = w->nr_contents;
	w->contents[w->nr_contents++] = item;
	return 0;
}

int
pl_isofs_stream_new(struct pl_isofs *w, const struct pl_item *item, IsoStream **ret,
		    struct platter_error *err)
{
	PL_AUTOFREE struct contents *c = malloc(sizeof *c);
	IsoStream *stream = calloc(1, sizeof *stream);

	if (c && stream) {
		*c = (struct contents){ .work = w, .item = item };
		if (number_contents(w, item, &c->number) == 0) {
			stream->class = &contents_class;
			stream->refcount = 1;
			stream->data = PL_STEAL(c);
			*ret = stream;
			return 0;
		}
	}
	free(stream);
	return pl_no_memory(err);
}
