/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dc42.c - floppies as Disk Copy 4.2 of Mac OS stored them, read only
 *
 * Spec: Apple II File Type Notes, "File Type $E0, Auxiliary Type $8005: DiskCopy disk image", 1990.
 * All integers are big-endian.
 *
 *	offset  size  header field
 *	     0    64  name of the disk: 1 byte of length, and up to 63 in Mac OS Roman
 *	    64     4  bytes of the disk
 *	    68     4  bytes of tags, 12 for each block of 512, which follow the disk; mostly none
 *	    72     4  checksum of the disk
 *	    76     4  checksum of the tags
 *	    80     1  0: 400 KB, 1: 800 KB, both GCR; 2: 720 KB, 3: 1440 KB, both MFM
 *	    81     1  format byte: sides and sectors
 *	    82     2  0x0100
 *
 * A checksum adds each 2 bytes, and is rotated right by a bit after each.
 */
#include "facts.h"
#include "format.h"
#include "text.h"

#define HEADER_SIZE 84u
#define BLOCK       512u
#define MAGIC       0x0100u
/* Hard disks were stored so too, up to what HFS had then. */
#define MAX_DATA GIB(2)

enum {
	DATA_SIZE = 64,
	TAG_SIZE = 68,
	DATA_SUM = 72,
	ENCODING = 80,
	PRIVATE = 82,
};

struct dc42 {
	struct pl_disk disk;
	struct pl_disk *file;
	uint8_t header[HEADER_SIZE];
};

static struct dc42 *
dc42_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct dc42, disk);
}

static int
check_header(const uint8_t *h, uint64_t size, struct platter_error *err)
{
	uint64_t data = get_be32(h + DATA_SIZE), tags = get_be32(h + TAG_SIZE);

	if (size < HEADER_SIZE)
		return pl_corrupt(err, 0, "a file of %" PRIu64 " bytes, a header has %u", size,
				  HEADER_SIZE);
	if (get_be16(h + PRIVATE) != MAGIC)
		return pl_corrupt(err, PRIVATE, "no image of Disk Copy 4.2: %#x instead of %#x",
				  get_be16(h + PRIVATE), MAGIC);
	if (h[0] > 63)
		return pl_corrupt(err, 0, "a name of %u bytes, limit is 63", h[0]);
	if (!data || data % BLOCK || data > MAX_DATA)
		return pl_corrupt(err, DATA_SIZE, "a disk of %" PRIu64 " bytes", data);
	if (tags && tags != data / BLOCK * 12)
		return pl_corrupt(err, TAG_SIZE,
				  "%" PRIu64 " bytes of tags, a disk of %" PRIu64 " has %" PRIu64,
				  tags, data, data / BLOCK * 12);
	if (!pl_in_range(HEADER_SIZE + data, tags, size))
		return pl_corrupt(err, DATA_SIZE,
				  "a disk of %" PRIu64 " bytes and %" PRIu64
				  " of tags in a file of %" PRIu64,
				  data, tags, size);
	return 0;
}

/* What the header says is of the file's length: sizes, length of the name, and the number at its end. */
static int
dc42_probe(const struct pl_probe *probe)
{
	uint64_t data = get_be32(probe->head + DATA_SIZE), tags = get_be32(probe->head + TAG_SIZE);

	if (check_header(probe->head, probe->size, NULL) < 0 || !probe->head[0])
		return 0;
	return HEADER_SIZE + data + tags == probe->size && probe->head[ENCODING] <= 3 ? 60 : 0;
}

static int
dc42_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	(void)length, (void)err;
	*ret = (struct pl_extent){ .length = disk->size - offset,
				   .kind = PLATTER_DATA,
				   .below = dc42_of(disk)->file,
				   .stored_offset = HEADER_SIZE + offset };
	return 0;
}

static struct pl_disk *
dc42_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? dc42_of(disk)->file : NULL;
}

static void
dc42_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	static const char *const encodings[] = { "400 KB GCR", "800 KB GCR", "720 KB MFM",
						 "1440 KB MFM" };
	const uint8_t *h = dc42_of(disk)->header;
	PL_AUTOFREE char *name = pl_text_from_bytes(h + 1, h[0]);

	pl_fact_text(facts, "disk_name", "name of the disk", "%s", name ? name : "");
	pl_fact_text(facts, "encoding", "encoding", "%s",
		     h[ENCODING] < ARRAY_SIZE(encodings) ? encodings[h[ENCODING]] : "another");
	pl_fact_size(facts, "tags", "tags", get_be32(h + TAG_SIZE));
}

static void
dc42_free(struct pl_disk *disk)
{
	pl_disk_unref(dc42_of(disk)->file);
	pl_disk_done(disk);
	free(dc42_of(disk));
}

static const struct pl_disk_ops dc42_ops = {
	.name = "dc42",
	.map = dc42_map,
	.below = dc42_below,
	.describe = dc42_describe,
	.free = dc42_free,
};

static int
dc42_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct dc42 *d;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is a floppy, which has no snapshots",
			       request->file->name);
	d = calloc(1, sizeof *d);
	if (!d)
		return pl_no_memory(err);
	r = pl_disk_init(&d->disk, &dc42_ops, request->file->name, err);
	if (r < 0) {
		free(d);
		return r;
	}
	d->file = pl_disk_ref(request->file);
	r = pl_read_padded(d->file, d->header, HEADER_SIZE, 0, NULL, err);
	if (r == 0)
		r = check_header(d->header, d->file->size, err);
	if (r == 0)
		r = pl_disk_stack(&d->disk, d->file, err);
	if (r < 0) {
		pl_disk_unref(&d->disk);
		return r;
	}
	d->disk.size = get_be32(d->header + DATA_SIZE);
	*ret = &d->disk;
	return 0;
}

static int
dc42_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	const struct dc42 *d = dc42_of(disk);
	PL_AUTOFREE uint8_t *buf = malloc(MIB(1));
	uint32_t sum = 0, want = get_be32(d->header + DATA_SUM);

	if (!buf)
		return pl_no_memory(err);
	for (uint64_t at = 0; at < disk->size; at += MIB(1)) {
		size_t n = (size_t)PL_MIN(MIB(1), disk->size - at);
		int r = pl_read(disk, buf, n, at, err);

		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i += 2) {
			sum += get_be16(buf + i);
			sum = sum >> 1 | sum << 31;
		}
		r = pl_check_goes_on(findings, n, err);
		if (r < 0)
			return r;
	}
	if (sum != want)
		pl_found(findings, PLATTER_DAMAGE, DATA_SUM,
			 "the disk has checksum %08" PRIx32 ", the header says %08" PRIx32, sum,
			 want);
	findings->data_read = true;
	return 0;
}

static const char *const extensions[] = { "dc42", "image", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_dc42 = {
	.info = {
		.name = "dc42",
		.longname = "Disk Copy 4.2 floppy",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = dc42_probe,
	.open = dc42_open,
	.check = dc42_check,
	.disk_ops = &dc42_ops,
};
