/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nrg.c - Nero Burning ROM's images of discs
 *
 * The sectors of the tracks come first, with the pregap of the first; chunks say what they are; the
 * end of the file says where the chunks begin.  There is no specification: layout as known from
 * libcdio, libmirage and Aaru.  All integers are big-endian.
 *
 *	"NERO", offset u32		the last 8 bytes of version 1
 *	"NER5", offset u64		the last 12 bytes of version 2
 *
 *	chunk: id 4, length u32, data; 1/2 are of versions 1 and 2
 *	CUES/CUEX  entries of 8: control and ADR, track BCD (AA: lead-out), index BCD, 0,
 *		   position: 0, MSF BCD / LBA s32
 *	DAOI/DAOX  length u32, MCN 13, 0, type of TOC u16, first track, last track; then of each track
 *		   ISRC 12, bytes of a sector u16, mode u8, 3, where in the file: index 0, index 1,
 *		   end: u32 / u64
 *	ETNF/ETN2  entries: offset, length: u32 / u64; mode u32, sector u32, 0 u32 / u64: tracks that
 *		   were recorded one at a time, without their pregaps of 150 sectors
 *	CDTX	   CD-TEXT packs
 *	SINF	   ends a session: u32 tracks
 *	MTYP	   u32 kinds of media
 *	END!
 */
#include "nrg.h"

#define MAX_CHUNK_BYTES MIB(1)
#define MAX_SESSIONS    PL_DISC_MAX_SESSIONS

enum {
	CHUNK_HEADER = 8,
	CUE_ENTRY = 8,
	CUE_LEAD_OUT = 0xaa,
	/* Of DAOI and DAOX. */
	DAO_MCN = 4,
	DAO_FIRST_TRACK = 20,
	DAO_HEADER = 22,
	/* Of a track in them. */
	DAO_SECTOR_BYTES = 12,
	DAO_MODE = 14,
	DAO_OFFSETS = 18,
};

/* Kinds of media that MTYP has bits for. */
#define MEDIA_CD  0x00000401u
#define MEDIA_DVD 0x000c021cu
#define MEDIA_BD  0x00700000u

struct chunk {
	const uint8_t *data; /* NULL: not there */
	uint32_t length;
	uint64_t at;  /* of its data in the file */
	bool is_wide; /* of version 2 */
};

/* What says what a session is: CUE and DAO, or ETN alone. */
struct nrg_session {
	struct chunk cue, dao, etn;
};

struct nrg {
	struct pl_disc *disc;
	struct pl_disk *file; /* borrowed */
	struct nrg_session sessions[MAX_SESSIONS];
	size_t nr_sessions;
	struct chunk text;
	int64_t end; /* LBA behind what was added */
};

static uint64_t
get_offset(const uint8_t *p, bool is_wide)
{
	return is_wide ? get_be64(p) : get_be32(p);
}

/* Where the chunks begin and end; false: it is no image of Nero's. */
static bool
find_trailer(const uint8_t *tail, size_t n, uint64_t size, uint64_t *ret_at, uint64_t *ret_end)
{
	if (n >= 12 && memcmp(tail + n - 12, "NER5", 4) == 0) {
		*ret_at = get_be64(tail + n - 8);
		*ret_end = size - 12;
		return true;
	}
	if (n >= 8 && memcmp(tail + n - 8, "NERO", 4) == 0) {
		*ret_at = get_be32(tail + n - 4);
		*ret_end = size - 8;
		return true;
	}
	return false;
}

/* Raw sectors stand before the chunks: the first chunk's name outweighs what they look like. */
static int
nrg_probe(const struct pl_probe *probe)
{
	static const char first[][5] = { "CUES", "CUEX", "DAOI", "DAOX", "ETNF", "ETN2" };
	uint64_t at, end;
	uint8_t id[4];

	if (probe->size < PL_PROBE_TAIL ||
	    !find_trailer(probe->tail, PL_PROBE_TAIL, probe->size, &at, &end))
		return 0;
	if (!pl_in_range(at, sizeof id, end) || pl_read(probe->file, id, sizeof id, at, NULL) < 0)
		return 32;
	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		if (memcmp(id, first[i], sizeof id) == 0)
			return 256;
	return 64;
}

/* ---- chunks ---- */

/* The session that a chunk belongs to: a new one if the last has such a chunk already. */
static int
place_chunk(struct nrg *nrg, const struct chunk *chunk, size_t slot, struct platter_error *err)
{
	struct nrg_session *s = nrg->nr_sessions ? &nrg->sessions[nrg->nr_sessions - 1] : NULL;
	struct chunk *to = s ? (struct chunk *)((char *)s + slot) : NULL;

	if (!s || to->data || s->etn.data ||
	    (slot == offsetof(struct nrg_session, etn) && s->cue.data)) {
		if (nrg->nr_sessions == MAX_SESSIONS)
			return pl_corrupt(err, chunk->at, "more than %d sessions", MAX_SESSIONS);
		s = &nrg->sessions[nrg->nr_sessions++];
		to = (struct chunk *)((char *)s + slot);
	}
	*to = *chunk;
	return 0;
}

static void
take_medium(struct nrg *nrg, uint32_t kinds)
{
	if (!(kinds & MEDIA_CD) && kinds & MEDIA_DVD)
		nrg->disc->info.medium = "DVD";
	else if (!(kinds & MEDIA_CD) && kinds & MEDIA_BD)
		nrg->disc->info.medium = "BD";
}

static int
take_chunk(struct nrg *nrg, const uint8_t *id, struct chunk *chunk, struct platter_error *err)
{
	static const struct {
		char id[5];
		bool is_wide;
		size_t slot;
	} known[] = {
		{ "CUES", false, offsetof(struct nrg_session, cue) },
		{ "CUEX", true, offsetof(struct nrg_session, cue) },
		{ "DAOI", false, offsetof(struct nrg_session, dao) },
		{ "DAOX", true, offsetof(struct nrg_session, dao) },
		{ "ETNF", false, offsetof(struct nrg_session, etn) },
		{ "ETN2", true, offsetof(struct nrg_session, etn) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (memcmp(id, known[i].id, 4) == 0) {
			chunk->is_wide = known[i].is_wide;
			return place_chunk(nrg, chunk, known[i].slot, err);
		}
	if (memcmp(id, "CDTX", 4) == 0)
		nrg->text = *chunk;
	else if (memcmp(id, "MTYP", 4) == 0 && chunk->length >= 4)
		take_medium(nrg, get_be32(chunk->data));
	return 0;
}

static int
take_chunks(struct nrg *nrg, const uint8_t *bytes, size_t n, uint64_t at, struct platter_error *err)
{
	struct pl_cursor c = { bytes, bytes + n };
	const uint8_t *h;
	int r = 0;

	while (r == 0 && (h = pl_take(&c, CHUNK_HEADER)) && memcmp(h, "END!", 4) != 0) {
		struct chunk chunk = { .length = get_be32(h + 4) };

		chunk.at = at + (uint64_t)(h + CHUNK_HEADER - bytes);
		chunk.data = pl_take(&c, chunk.length);
		if (!chunk.data)
			return pl_corrupt(err, chunk.at - 4,
					  "chunk of %" PRIu32
					  " bytes passes the last, byte %" PRIu64,
					  chunk.length, at + n);
		r = take_chunk(nrg, h, &chunk, err);
	}
	return r;
}

/* ---- tracks ---- */

struct nrg_mode {
	enum platter_track_mode mode;
	uint32_t main_bytes;
	enum pl_subchannel sub;
};

/* `sector_bytes` 0: not told. */
static int
decode_mode(uint32_t code, uint32_t sector_bytes, uint64_t at, struct nrg_mode *ret,
	    struct platter_error *err)
{
	static const struct {
		uint32_t code;
		struct nrg_mode mode;
	} modes[] = {
		{ 0x00, { PLATTER_TRACK_MODE1, 2048, PL_SUB_NONE } },
		{ 0x02, { PLATTER_TRACK_MODE2, 2048, PL_SUB_NONE } },
		{ 0x03, { PLATTER_TRACK_MODE2, 2336, PL_SUB_NONE } },
		{ 0x05, { PLATTER_TRACK_MODE1, 2352, PL_SUB_NONE } },
		{ 0x06, { PLATTER_TRACK_MODE2, 2352, PL_SUB_NONE } },
		{ 0x07, { PLATTER_TRACK_AUDIO, 2352, PL_SUB_NONE } },
		{ 0x0f, { PLATTER_TRACK_MODE1, 2352, PL_SUB_RAW96 } },
		{ 0x10, { PLATTER_TRACK_AUDIO, 2352, PL_SUB_RAW96 } },
		{ 0x11, { PLATTER_TRACK_MODE2, 2352, PL_SUB_RAW96 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		uint32_t bytes = modes[i].mode.main_bytes + (modes[i].mode.sub ? 96 : 0);

		if (modes[i].code != code)
			continue;
		*ret = modes[i].mode;
		/* MagicISO writes raw sectors and the code of cooked ones. */
		if (sector_bytes == PL_SECTOR_RAW)
			*ret = (struct nrg_mode){ ret->mode, PL_SECTOR_RAW, PL_SUB_NONE };
		else if (sector_bytes && sector_bytes != bytes)
			return pl_corrupt(err, at,
					  "track of mode %" PRIu32 " with sectors of %" PRIu32
					  " bytes, not %" PRIu32,
					  code, sector_bytes, bytes);
		return 0;
	}
	return pl_unsupported(err, at, "track of mode %" PRIu32 ", which is not known", code);
}

/* Are the times of a CUES chunk BCD?  Not every program has heard of that. */
static bool
is_bcd(const struct chunk *cue)
{
	for (uint32_t i = 0; i + CUE_ENTRY <= cue->length; i += CUE_ENTRY)
		for (size_t k = 5; k < CUE_ENTRY; k++)
			if (!pl_is_bcd(cue->data[i + k]))
				return false;
	return true;
}

/* Positions of a track in a CUE chunk. */
struct cue_track {
	unsigned control;
	bool has[100];
	int64_t lba[100];
};

static int64_t
cue_position(const struct chunk *cue, bool bcd, const uint8_t *entry)
{
	int64_t msf[3];

	if (cue->is_wide)
		return (int32_t)get_be32(entry + 4);
	for (size_t i = 0; i < 3; i++)
		msf[i] = bcd ? pl_from_bcd(entry[5 + i]) : entry[5 + i];
	return (msf[0] * 60 + msf[1]) * 75 + msf[2] - PL_DISC_PREGAP;
}

/* What the CUE chunk says of a track (AA: of the lead-out, whose index is 1). */
static void
look_up_cue(const struct chunk *cue, uint8_t bcd_track, struct cue_track *ret)
{
	bool bcd = is_bcd(cue);

	memset(ret, 0, sizeof *ret);
	for (uint32_t i = 0; i + CUE_ENTRY <= cue->length; i += CUE_ENTRY) {
		const uint8_t *e = cue->data + i;
		unsigned index = pl_from_bcd(e[2]);

		if (e[1] != bcd_track || index >= ARRAY_SIZE(ret->lba))
			continue;
		ret->control = e[0] >> 4;
		ret->has[index] = true;
		ret->lba[index] = cue_position(cue, bcd, e);
	}
}

static int
set_indexes(struct nrg *nrg, const struct cue_track *cue, size_t track, struct platter_error *err)
{
	size_t nr = 0;

	while (nr < PL_DISC_MAX_INDEXES && cue->has[nr + 2])
		nr++;
	return pl_disc_set_indexes(nrg->disc, track, cue->lba + 2, nr, err);
}

struct dao_track {
	uint64_t at; /* of its entry in the file */
	uint64_t index0, index1, end;
	uint32_t sector_bytes, mode;
	const uint8_t *isrc;
};

static int
decode_dao_track(const struct chunk *dao, size_t index, struct dao_track *ret,
		 struct platter_error *err)
{
	size_t width = dao->is_wide ? 8 : 4, entry = DAO_OFFSETS + 3 * width;
	const uint8_t *e = dao->data + DAO_HEADER + index * entry;

	*ret = (struct dao_track){
		.at = dao->at + (uint64_t)(e - dao->data),
		.sector_bytes = get_be16(e + DAO_SECTOR_BYTES),
		.mode = e[DAO_MODE],
		.isrc = e,
		.index0 = get_offset(e + DAO_OFFSETS, dao->is_wide),
		.index1 = get_offset(e + DAO_OFFSETS + width, dao->is_wide),
		.end = get_offset(e + DAO_OFFSETS + 2 * width, dao->is_wide),
	};
	if (!ret->sector_bytes)
		return pl_corrupt(err, ret->at + DAO_SECTOR_BYTES, "track with sectors of 0 bytes");
	if (ret->index0 > ret->index1 || ret->index1 > ret->end || ret->end > INT64_MAX ||
	    ret->end / ret->sector_bytes > PL_DISC_MAX_SECTORS)
		return pl_corrupt(err, ret->at + DAO_OFFSETS,
				  "track from byte %" PRIu64 " (index 0: %" PRIu64
				  ") to byte %" PRIu64,
				  ret->index1, ret->index0, ret->end);
	return 0;
}

static int
add_dao_track(struct nrg *nrg, const struct nrg_session *s, uint32_t session, size_t index,
	      struct platter_error *err)
{
	uint32_t number = s->dao.data[DAO_FIRST_TRACK] + (uint32_t)index;
	struct platter_track track = { .number = number, .session = session };
	struct pl_disc_run run = { .file = nrg->file };
	struct cue_track cue;
	struct dao_track dao;
	struct nrg_mode mode;
	uint64_t before;
	int r = decode_dao_track(&s->dao, index, &dao, err);

	if (r == 0)
		r = decode_mode(dao.mode, dao.sector_bytes, dao.at + DAO_MODE, &mode, err);
	if (r < 0)
		return r;
	look_up_cue(&s->cue, (uint8_t)(number / 10 % 10 << 4 | number % 10), &cue);
	if (!cue.has[1])
		return pl_corrupt(err, s->cue.at, "no position of track %" PRIu32, number);
	before = (dao.index1 - dao.index0) / dao.sector_bytes;
	track.mode = mode.mode;
	track.start = cue.lba[1];
	track.flags = pl_reader_flags(cue.control);
	track.isrc = pl_reader_isrc(nrg->disc, dao.isrc);
	if (cue.has[0] && cue.lba[0] < cue.lba[1])
		track.pregap = (uint64_t)(cue.lba[1] - cue.lba[0]);
	r = pl_disc_add_track(nrg->disc, &track, &run.track, err);
	if (r == 0)
		r = set_indexes(nrg, &cue, run.track, err);
	if (r < 0)
		return r;
	run.lba = track.start - (int64_t)before;
	run.nr = before + (dao.end - dao.index1) / dao.sector_bytes;
	run.offset = dao.index1 - before * dao.sector_bytes;
	run.main_bytes = mode.main_bytes;
	run.sub = mode.sub;
	nrg->end = run.lba + (int64_t)run.nr;
	return run.nr ? pl_disc_add_run(nrg->disc, &run, err) : 0;
}

static int
add_dao_session(struct nrg *nrg, const struct nrg_session *s, uint32_t session,
		struct platter_error *err)
{
	size_t entry = DAO_OFFSETS + (s->dao.is_wide ? 24 : 12);
	struct cue_track lead_out;
	int r = 0;

	if (!s->cue.data)
		return pl_corrupt(err, s->dao.at, "no chunk of positions for session %" PRIu32,
				  session);
	if (!s->dao.data)
		return pl_corrupt(err, s->cue.at, "no chunk of tracks for session %" PRIu32,
				  session);
	if (s->dao.length < DAO_HEADER)
		return pl_corrupt(err, s->dao.at - 4,
				  "chunk of tracks of %" PRIu32 " bytes, the least is %d",
				  s->dao.length, DAO_HEADER);
	if (!*nrg->disc->info.mcn)
		nrg->disc->info.mcn = pl_reader_mcn(nrg->disc, s->dao.data + DAO_MCN);
	for (size_t i = 0; i < (s->dao.length - DAO_HEADER) / entry && r == 0; i++)
		r = add_dao_track(nrg, s, session, i, err);
	look_up_cue(&s->cue, CUE_LEAD_OUT, &lead_out);
	if (r == 0 && lead_out.has[1])
		r = pl_disc_end_session(nrg->disc, session, lead_out.lba[1], err);
	return r;
}

static int
add_etn_track(struct nrg *nrg, const struct chunk *etn, uint32_t session, size_t index,
	      size_t entry, struct platter_error *err)
{
	size_t width = etn->is_wide ? 8 : 4, nr = nrg->disc->info.nr_tracks;
	const uint8_t *e = etn->data + index * entry;
	uint64_t at = etn->at + index * entry, length = get_offset(e + width, etn->is_wide);
	struct platter_track track = { .session = session, .pregap = PL_DISC_PREGAP };
	struct pl_disc_run run = { .file = nrg->file, .offset = get_offset(e, etn->is_wide) };
	struct nrg_mode mode;
	uint32_t stride;
	int r = decode_mode(get_be32(e + 2 * width), 0, at + 2 * width, &mode, err);

	if (r < 0)
		return r;
	/* What is before LBA 0 is no pregap of a DVD. */
	if (strcmp(nrg->disc->info.medium, "CD") != 0)
		track.pregap = 0;
	/* Sectors are counted without the pregaps, which are not stored. */
	run.lba = (int64_t)get_be32(e + 2 * width + 4) + (int64_t)index * PL_DISC_PREGAP;
	if (session > 1 && run.lba < nrg->end)
		run.lba = nrg->end + (index          ? PL_DISC_PREGAP
				      : session == 2 ? PL_DISC_FIRST_GAP
						     : PL_DISC_OTHER_GAP);
	stride = mode.main_bytes + (mode.sub ? 96 : 0);
	run.nr = length / stride;
	if (!run.nr || run.nr > PL_DISC_MAX_SECTORS || run.offset > INT64_MAX)
		return pl_corrupt(err, at + width, "track of %" PRIu64 " bytes at byte %" PRIu64,
				  length, run.offset);
	run.main_bytes = mode.main_bytes;
	run.sub = mode.sub;
	track.number = nr ? nrg->disc->tracks[nr - 1].number + 1 : 1;
	track.mode = mode.mode;
	track.start = run.lba;
	nrg->end = run.lba + (int64_t)run.nr;
	r = pl_disc_add_track(nrg->disc, &track, &run.track, err);
	return r < 0 ? r : pl_disc_add_run(nrg->disc, &run, err);
}

static int
add_sessions(struct nrg *nrg, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < nrg->nr_sessions && r == 0; i++) {
		const struct nrg_session *s = &nrg->sessions[i];
		size_t entry = s->etn.is_wide ? 32 : 20;

		if (!s->etn.data)
			r = add_dao_session(nrg, s, (uint32_t)i + 1, err);
		for (size_t k = 0; s->etn.data && k < s->etn.length / entry && r == 0; k++)
			r = add_etn_track(nrg, &s->etn, (uint32_t)i + 1, k, entry, err);
	}
	return r;
}

static int
nrg_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	PL_AUTOFREE struct nrg *nrg = calloc(1, sizeof *nrg);
	PL_AUTOFREE uint8_t *bytes = NULL;
	uint8_t tail[12] = { 0 };
	size_t have = (size_t)PL_MIN(file->size, sizeof tail);
	uint64_t at, end;
	int r = nrg ? 0 : pl_no_memory(err);

	if (r == 0)
		r = pl_read(file, tail + sizeof tail - have, have, file->size - have, err);
	if (r < 0)
		return r;
	if (!find_trailer(tail, sizeof tail, file->size, &at, &end))
		return pl_corrupt(err, file->size - have,
				  "the file does not end like one of Nero's");
	if (at >= end)
		return pl_corrupt(err, end + 4,
				  "chunks from byte %" PRIu64 " on, and they end at byte %" PRIu64,
				  at, end);
	if (end - at > MAX_CHUNK_BYTES)
		return pl_over_limit(err, end + 4, "chunks of %" PRIu64 " bytes, limit is %" PRIu64,
				     end - at, MAX_CHUNK_BYTES);
	nrg->disc = disc;
	nrg->file = file;
	r = pl_read_alloc(file, (size_t)(end - at), at, &bytes, err);
	if (r == 0)
		r = take_chunks(nrg, bytes, (size_t)(end - at), at, err);
	if (r == 0)
		r = add_sessions(nrg, err);
	if (r == 0 && nrg->text.data)
		pl_disc_take_cdtext(disc, nrg->text.data, nrg->text.length);
	return r;
}

static const struct pl_disk_ops nrg_ops = PL_DISC_OPS("nrg");

static int
nrg_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &nrg_ops, nrg_read, ret, err);
}

static const char *const extensions[] = { "nrg", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_nrg = {
	.info = {
		.name = "nrg",
		.longname = "Nero Burning ROM image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = nrg_probe,
	.open = nrg_open,
	.create = pl_nrg_create,
	.check = pl_disc_check,
	.many_disks = true,
	.takes = PL_TAKES_DISC,
	.disk_ops = &nrg_ops,
};
