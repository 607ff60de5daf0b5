/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mds.c - Alcohol 120%'s images of discs: reading; mds.h has the layout */
#include "mds.h"

#include "text.h"

/* Of a DVD in files of 1 GiB there are nine. */
#define MAX_FILES 256
#define MAX_NAME  4095

struct mds_file {
	uint32_t name_at;     /* of its name in the sheet */
	struct pl_disk *disk; /* a reference */
};

struct mds {
	const struct pl_open_request *request;
	struct pl_disc *disc;
	uint8_t *bytes;
	size_t n;
	bool is_dvd;
	struct mds_file files[MAX_FILES];
	size_t nr_files;

	/* Behind the track before: */
	const struct pl_disk *last_file;
	uint64_t last_end; /* byte of it */
	int64_t end;       /* LBA */
};

struct mds_track {
	uint64_t at; /* of its block */
	uint64_t length, pregap;
	uint64_t offset;
	uint32_t stride, nr_files, footers;
};

static int
mds_probe(const struct pl_probe *probe)
{
	if (probe->size < MDS_HEADER || memcmp(probe->head, MDS_MAGIC, 16) != 0)
		return 0;
	/* Others are claimed too: the opener names them better than "raw" would. */
	return probe->head[MDS_VERSION] == 1 ? 136 : 128;
}

/* ---- files ---- */

static char *
name_of(const struct mds *m, uint32_t at, bool is_wide)
{
	size_t room, n = 0;
	char *name;

	if (at >= m->n)
		return NULL;
	room = PL_MIN(m->n - at, MAX_NAME);
	if (!is_wide)
		return strndup((const char *)m->bytes + at, room);
	while (2 * n + 1 < room && get_le16(m->bytes + at + 2 * n))
		n++;
	name = malloc(3 * n + 1);
	if (name)
		pl_name_from_utf16le(m->bytes + at, n, name);
	return name;
}

/* The index-th file of a track, borrowed. */
static int
file_of(struct mds *m, const struct mds_track *t, uint32_t index, struct pl_disk **ret,
	struct platter_error *err)
{
	uint64_t at = t->footers + (uint64_t)index * MDS_FOOTER;
	PL_AUTOFREE char *name = NULL;
	struct mds_file *f = &m->files[m->nr_files];
	uint32_t name_at;
	int r;

	if (!pl_in_range(at, MDS_FOOTER, m->n))
		return pl_corrupt(err, t->at + MDS_FOOTERS,
				  "footer at byte %" PRIu64 " of a sheet of %zu bytes", at, m->n);
	name_at = get_le32(m->bytes + at + MDS_NAME);
	for (size_t i = 0; i < m->nr_files; i++)
		if (m->files[i].name_at == name_at) {
			*ret = m->files[i].disk;
			return 0;
		}
	if (m->nr_files == MAX_FILES)
		return pl_over_limit(err, at, "more than %d files", MAX_FILES);
	name = name_of(m, name_at, get_le32(m->bytes + at + MDS_NAME_IS_WIDE) != 0);
	if (name && name[0] == '*' && name[1] == '.') {
		PL_AUTOFREE char *pattern = name;

		name = pl_sheet_named_like(m->request->file, pattern + 2);
	}
	if (!name || !*name)
		return pl_corrupt(err, at, "no name of a file at byte %" PRIu32, name_at);
	r = pl_sheet_open_file(m->request, name, "raw", &f->disk, err);
	if (r < 0)
		return r;
	f->name_at = name_at;
	*ret = f->disk;
	m->nr_files++;
	return 0;
}

/* Sectors from `run` on, `left` of them, in the files of the track. */
static int
add_runs(struct mds *m, const struct mds_track *t, struct pl_disc_run run, uint64_t left,
	 struct platter_error *err)
{
	int r = 0;

	for (uint32_t i = 0; i < t->nr_files && left && r == 0; i++) {
		bool is_last = i + 1 == t->nr_files;
		uint64_t room;

		r = file_of(m, t, i, &run.file, err);
		if (r < 0)
			return r;
		if (run.offset >= run.file->size && !is_last) {
			run.offset -= run.file->size;
			continue;
		}
		room = run.offset < run.file->size ? (run.file->size - run.offset) / t->stride : 0;
		/* That the last is too short is found out by whoever reads the runs. */
		run.nr = is_last ? left : PL_MIN(left, room);
		if (!run.nr)
			continue;
		r = pl_disc_add_run(m->disc, &run, err);
		left -= run.nr;
		run.lba += (int64_t)run.nr;
		run.offset = is_last ? run.offset + run.nr * t->stride : 0;
		m->last_file = run.file;
		m->last_end = run.offset;
	}
	return r;
}

/* ---- tracks ---- */

static int
decode_mode(const struct mds *m, const uint8_t *block, const struct mds_track *t,
	    enum platter_track_mode *ret, struct pl_disc_run *run, struct platter_error *err)
{
	static const enum platter_track_mode modes[] = {
		PLATTER_TRACK_MODE2, PLATTER_TRACK_AUDIO, PLATTER_TRACK_MODE1, PLATTER_TRACK_MODE2,
		PLATTER_TRACK_MODE2, PLATTER_TRACK_MODE2, PLATTER_TRACK_MODE0, /* no such mode */
		PLATTER_TRACK_MODE2,
	};

	*ret = modes[block[MDS_MODE] & 7];
	if (*ret == PLATTER_TRACK_MODE0)
		return pl_unsupported(err, t->at + MDS_MODE,
				      "track of mode 0x%02x, which is not known", block[MDS_MODE]);
	if (m->is_dvd)
		*ret = PLATTER_TRACK_MODE1;
	run->main_bytes = t->stride;
	if (block[MDS_SUBCHANNEL] == MDS_SUB_RAW96 || t->stride == PL_SECTOR_RAW + 96) {
		if (t->stride <= 96)
			return pl_corrupt(err, t->at + MDS_SECTOR_BYTES,
					  "sectors of %" PRIu32 " bytes with subchannel",
					  t->stride);
		run->sub = PL_SUB_RAW96;
		run->main_bytes -= 96;
	} else if (block[MDS_SUBCHANNEL]) {
		return pl_unsupported(err, t->at + MDS_SUBCHANNEL,
				      "subchannel of kind 0x%02x, which is not known",
				      block[MDS_SUBCHANNEL]);
	}
	return 0;
}

static int
decode_track(const struct mds *m, const uint8_t *block, struct mds_track *ret,
	     struct platter_error *err)
{
	uint32_t extra = get_le32(block + MDS_EXTRA);

	*ret = (struct mds_track){
		.at = (uint64_t)(block - m->bytes),
		.length = extra,
		.offset = get_le64(block + MDS_OFFSET),
		.stride = get_le16(block + MDS_SECTOR_BYTES),
		.nr_files = get_le32(block + MDS_NR_FILES),
		.footers = get_le32(block + MDS_FOOTERS),
	};
	if (!ret->stride)
		return pl_corrupt(err, ret->at + MDS_SECTOR_BYTES, "track with sectors of 0 bytes");
	if (!ret->nr_files || ret->nr_files > MAX_FILES)
		return pl_corrupt(err, ret->at + MDS_NR_FILES,
				  "track in %" PRIu32 " files, limits are 1 and %d", ret->nr_files,
				  MAX_FILES);
	if (ret->offset > INT64_MAX)
		return pl_corrupt(err, ret->at + MDS_OFFSET, "track at byte %" PRIu64, ret->offset);
	if (m->is_dvd)
		return 0;
	if (!pl_in_range(extra, 8, m->n))
		return pl_corrupt(err, ret->at + MDS_EXTRA,
				  "length at byte %" PRIu32 " of a sheet of %zu bytes", extra,
				  m->n);
	ret->pregap = get_le32(m->bytes + extra);
	ret->length = get_le32(m->bytes + extra + 4);
	return 0;
}

/* How many sectors of the pregap lie between what belongs to the track before and to this. */
static int
stored_pregap(struct mds *m, const struct mds_track *t, uint64_t *ret, struct platter_error *err)
{
	struct pl_disk *file;
	uint64_t from = 0;
	int r = file_of(m, t, 0, &file, err);

	*ret = 0;
	if (r < 0)
		return r;
	if (m->last_file == file)
		from = m->last_end;
	else if (m->last_file)
		return 0;
	if (t->offset > from && (t->offset - from) % t->stride == 0 &&
	    (t->offset - from) / t->stride <= t->pregap)
		*ret = (t->offset - from) / t->stride;
	return 0;
}

static int
add_track(struct mds *m, const uint8_t *block, uint32_t session, struct platter_error *err)
{
	struct platter_track track = { .number = block[MDS_POINT], .session = session };
	struct pl_disc_run run = { 0 };
	struct mds_track t;
	uint64_t stored = 0;
	int r = decode_track(m, block, &t, err);

	if (r == 0)
		r = decode_mode(m, block, &t, &track.mode, &run, err);
	if (r == 0 && t.pregap)
		r = stored_pregap(m, &t, &stored, err);
	if (r < 0)
		return r;
	track.start = (int32_t)get_le32(block + MDS_START);
	track.pregap = t.pregap;
	track.flags = pl_reader_flags(block[MDS_CONTROL] & 15u);
	r = pl_disc_add_track(m->disc, &track, &run.track, err);
	if (r < 0)
		return r;
	run.lba = track.start - (int64_t)stored;
	run.offset = t.offset - stored * t.stride;
	m->end = track.start + (int64_t)t.length;
	return add_runs(m, &t, run, t.length + stored, err);
}

static int
add_session(struct mds *m, const uint8_t *s, struct platter_error *err)
{
	uint32_t number = get_le16(s + MDS_SESSION_NUMBER), blocks = get_le32(s + MDS_BLOCKS);
	size_t nr = s[MDS_NR_BLOCKS];
	int32_t end = (int32_t)get_le32(s + MDS_SESSION_END);
	int r = 0;

	if (!pl_in_range(blocks, nr * MDS_BLOCK, m->n))
		return pl_corrupt(err, (uint64_t)(s - m->bytes) + MDS_BLOCKS,
				  "%zu blocks at byte %" PRIu32 " of a sheet of %zu bytes", nr,
				  blocks, m->n);
	for (size_t i = 0; i < nr && r == 0; i++) {
		const uint8_t *block = m->bytes + blocks + i * MDS_BLOCK;

		if (block[MDS_POINT] >= 1 && block[MDS_POINT] <= PL_DISC_MAX_TRACKS)
			r = add_track(m, block, number, err);
	}
	if (r == 0 && end >= m->end)
		r = pl_disc_end_session(m->disc, number, end, err);
	return r;
}

static int
check_header(struct pl_disk *file, struct platter_error *err)
{
	uint8_t h[MDS_HEADER];
	int r = pl_read_padded(file, h, sizeof h, 0, NULL, err);

	if (r < 0)
		return r;
	if (memcmp(h, MDS_MAGIC, 16) != 0)
		return pl_corrupt(err, 0, "the file does not begin with '" MDS_MAGIC "'");
	if (h[MDS_VERSION] == 1)
		return 0;
	r = pl_unsupported(err, MDS_VERSION,
			   "image in version %u of the format (MDX, or MDS of Daemon Tools), whose"
			   " sheet is encrypted; version 1 is read",
			   h[MDS_VERSION]);
	pl_hint(err, "Daemon Tools and Alcohol 120%% can save the disc as version 1, or as ISO");
	return r;
}

static int
add_sessions(struct mds *m, struct platter_error *err)
{
	uint32_t nr = get_le16(m->bytes + MDS_NR_SESSIONS);
	uint32_t at = get_le32(m->bytes + MDS_SESSIONS);
	int r = 0;

	if (nr > PL_DISC_MAX_SESSIONS)
		return pl_corrupt(err, MDS_NR_SESSIONS, "%" PRIu32 " sessions, limit is %d", nr,
				  PL_DISC_MAX_SESSIONS);
	if (!pl_in_range(at, (uint64_t)nr * MDS_SESSION, m->n))
		return pl_corrupt(err, MDS_SESSIONS,
				  "%" PRIu32 " sessions at byte %" PRIu32
				  " of a sheet of %zu bytes",
				  nr, at, m->n);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_session(m, m->bytes + at + (size_t)i * MDS_SESSION, err);
	return r;
}

static int
mds_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	PL_AUTOFREE struct mds *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return pl_no_memory(err);
	m->request = request;
	m->disc = disc;
	r = check_header(request->file, err);
	if (r == 0)
		r = pl_reader_load(request->file, MDS_HEADER, &m->bytes, &m->n, err);
	if (r == 0) {
		m->is_dvd = get_le16(m->bytes + MDS_MEDIUM) >= MDS_MEDIUM_DVD;
		if (m->is_dvd)
			disc->info.medium = "DVD";
		r = add_sessions(m, err);
	}
	for (size_t i = 0; i < m->nr_files; i++)
		pl_disk_unref(m->files[i].disk);
	free(m->bytes);
	return r;
}

static const struct pl_disk_ops mds_ops = PL_DISC_OPS("mds");

static int
mds_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &mds_ops, mds_read, ret, err);
}

static const char *const extensions[] = { "mds", "xmd", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_mds = {
	.info = {
		.name = "mds",
		.longname = "Alcohol 120% image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = mds_probe,
	.open = mds_open,
	.create = pl_mds_create,
	.check = pl_disc_check,
	.many_disks = true,
	.takes = PL_TAKES_DISC,
	.disk_ops = &mds_ops,
};
