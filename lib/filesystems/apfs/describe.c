/* SPDX-License-Identifier: GPL-3.0-or-later */
/* apfs/describe.c - what there is to tell of a container and its volumes */
#include <time.h>

#include "apfs.h"
#include "text.h"

/* Of apfs_modified_by_t: the program, when (nanoseconds), the transaction. */
#define PROGRAM_LENGTH 32

#define MAX_SNAPSHOTS_TOLD 256

static void
add_word(struct pl_str *s, const char *word)
{
	if (s->length)
		pl_str_add(s, ", ");
	pl_str_add(s, word);
}

static void
add_count(struct pl_str *s, uint64_t number, const char *one, const char *many)
{
	if (s->length)
		pl_str_add(s, ", ");
	pl_str_addf(s, "%" PRIu64 " %s", number, number == 1 ? one : many);
}

/* "NAME: text" */
static void
tell(struct pl_facts *facts, const char *key, const char *label, const struct apfs_subvolume *s,
     const char *text)
{
	pl_fact_text(facts, key, label, "%s: %s", s->name, text);
}

static void
tell_volume(struct pl_facts *facts, const struct apfs_subvolume *s)
{
	uint64_t incompat = get_le64(s->super + FS_INCOMPAT);
	uint64_t flags = get_le64(s->super + FS_FLAGS);
	const char *role = pl_apfs_role(s->role);
	char uuid[PL_UUID_TEXT];
	struct pl_str text = { 0 };

	pl_uuid_text(s->super + FS_UUID, uuid);
	add_word(&text, uuid);
	if (role)
		add_word(&text, role);
	add_word(&text, incompat & FS_CASE_INSENSITIVE ? "case-insensitive" : "case-sensitive");
	if (!(incompat & (FS_CASE_INSENSITIVE | FS_NORMALIZATION_INSENSITIVE)))
		add_word(&text, "normalization-sensitive");
	if (s->encrypted)
		add_word(&text, flags & FS_FLAG_ONE_KEY ? "encrypted with one key" : "encrypted");
	if (get_le64(s->super + FS_ENCRYPTION_STATE))
		add_word(&text, "encryption is under way");
	if (s->sealed)
		add_word(&text, "sealed");
	if (incompat & FS_DATALESS_SNAPSHOTS)
		add_word(&text, "dataless snapshots");
	if (incompat & FS_INCOMPLETE_RESTORE)
		add_word(&text, "restored in part");
	if (text.text)
		tell(facts, "volume", "volume", s, text.text);
	pl_str_done(&text);
}

static void
tell_counts(struct pl_facts *facts, const struct apfs *fs, const struct apfs_subvolume *s)
{
	static const struct {
		unsigned at;
		const char *one, *many;
	} counts[] = {
		{ FS_FILES, "file", "files" },
		{ FS_FOLDERS, "folder", "folders" },
		{ FS_SYMLINKS, "symbolic link", "symbolic links" },
		{ FS_OTHERS, "special file", "special files" },
		{ FS_SNAPSHOTS, "snapshot", "snapshots" },
	};
	static const struct {
		unsigned at;
		const char *what;
	} spaces[] = {
		{ FS_ALLOCATED, "in use" },
		{ FS_RESERVE, "reserved" },
		{ FS_QUOTA, "at most" },
	};
	struct pl_str text = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		uint64_t number = get_le64(s->super + counts[i].at);

		if (number || i < 2)
			add_count(&text, number, counts[i].one, counts[i].many);
	}
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		uint64_t bytes;
		char size[64];

		if (!get_le64(s->super + spaces[i].at) ||
		    __builtin_mul_overflow(get_le64(s->super + spaces[i].at),
					   (uint64_t)fs->block_size, &bytes))
			continue;
		add_word(&text, pl_format_size(bytes, size, sizeof size));
		pl_str_addf(&text, " %s", spaces[i].what);
	}
	if (text.text)
		tell(facts, "volume_counts", "holds", s, text.text);
	pl_str_done(&text);
}

/* Of nanoseconds since 1970; "" for none, or for years that nothing was written in. */
static const char *
time_text(int64_t nanoseconds, char *buf, size_t n)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	struct tm tm;

	if (nanoseconds <= 0 || !gmtime_r(&seconds, &tm) ||
	    !strftime(buf, n, "%Y-%m-%d %H:%M:%S UTC", &tm))
		return "";
	return buf;
}

static void
tell_program(struct pl_facts *facts, const char *key, const char *label,
	     const struct apfs_subvolume *s, unsigned at)
{
	PL_AUTOFREE char *program = pl_text_from_bytes(s->super + at, PROGRAM_LENGTH);
	const char *when;
	char buf[64];

	if (!program || !*program)
		return;
	when = time_text((int64_t)get_le64(s->super + at + PROGRAM_LENGTH), buf, sizeof buf);
	pl_fact_text(facts, key, label, "%s: %s%s%s", s->name, program, *when ? ", " : "", when);
}

static void
tell_time(struct pl_facts *facts, const char *key, const char *label,
	  const struct apfs_subvolume *s, unsigned at)
{
	char buf[64];
	const char *when = time_text((int64_t)get_le64(s->super + at), buf, sizeof buf);

	if (*when)
		tell(facts, key, label, s, when);
}

struct shown {
	struct pl_facts *facts;
	const struct apfs_subvolume *s;
	unsigned nr;
};

static int
tell_snapshot(void *closure, const struct apfs_snapshot *snapshot)
{
	struct shown *shown = closure;
	char buf[64];
	const char *when = time_text(snapshot->created, buf, sizeof buf);

	if (++shown->nr > MAX_SNAPSHOTS_TOLD)
		return 1;
	pl_fact_text(shown->facts, "snapshot", "snapshot", "%s: %s%s%s%s", shown->s->name,
		     snapshot->name, *when ? ", " : "", when,
		     snapshot->flags & SNAPSHOT_DATALESS ? ", dataless" : "");
	return 0;
}

static void
tell_subvolume(struct pl_facts *facts, struct apfs *fs, const struct apfs_subvolume *s)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct shown shown = { facts, s, 0 };

	/* Without a superblock there is nothing to tell. */
	if (memcmp(s->super + FS_MAGIC, "APSB", 4) != 0) {
		pl_warn(facts, "%s: %s", s->name, s->why.message);
		return;
	}
	tell_volume(facts, s);
	tell_counts(facts, fs, s);
	tell_program(facts, "formatted_by", "formatted by", s, FS_FORMATTED_BY);
	tell_program(facts, "modified_by", "modified by", s, FS_MODIFIED_BY);
	tell_time(facts, "modified", "last modified", s, FS_MODIFIED);
	tell_time(facts, "unmounted", "last unmounted", s, FS_UNMOUNTED);
	if (pl_apfs_snapshots(fs, s, tell_snapshot, &shown, &why) < 0)
		pl_warn(facts, "snapshots of '%s' cannot be listed: %s", s->name, why.message);
	if (get_le64(s->super + FS_REVERT_XID))
		pl_warn(facts, "'%s' will be set back to a snapshot when it is mounted next",
			s->name);
	if (s->broken < 0)
		pl_warn(facts, "%s", s->why.message);
}

/* Volumes of one group are shown as one by macOS: what is in the first is joined by the others. */
static void
tell_groups(struct pl_facts *facts, const struct apfs *fs)
{
	for (size_t i = 0; i < APFS_MAX_VOLUMES; i++) {
		const struct apfs_subvolume *first = fs->subvolume[i];
		struct pl_str names = { 0 };
		bool earlier = false;
		size_t nr = 0;

		if (!first || pl_is_zero(first->super + FS_GROUP, 16))
			continue;
		for (size_t k = 0; k < APFS_MAX_VOLUMES; k++) {
			const struct apfs_subvolume *s = fs->subvolume[k];

			if (!s || memcmp(s->super + FS_GROUP, first->super + FS_GROUP, 16) != 0)
				continue;
			earlier = earlier || k < i;
			add_word(&names, s->name);
			nr++;
		}
		if (!earlier && nr > 1 && names.text)
			pl_fact_text(facts, "volume_group", "volume group", "%s", names.text);
		pl_str_done(&names);
	}
}

void
pl_apfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_checkpoint *ck = &fs->checkpoint;

	pl_fact_number(facts, "checkpoint", "checkpoint", ck->xid);
	if (get_le64(ck->super + NX_FEATURES) & 1)
		pl_fact_flag(facts, "defragmentation", "defragmentation", true);
	if (!pl_is_zero(ck->super + NX_KEYLOCKER, 16))
		pl_fact_flag(facts, "keybag", "has encryption keys", true);
	if (get_le64(ck->super + NX_JUMPSTART))
		pl_fact_flag(facts, "jumpstart", "has a driver for UEFI", true);
	for (size_t i = 0; i < APFS_MAX_VOLUMES; i++)
		if (fs->subvolume[i])
			tell_subvolume(facts, fs, fs->subvolume[i]);
	tell_groups(facts, fs);
	if (fs->fusion)
		pl_warn(facts, "files on the other device of the Fusion drive cannot be read");
	if (!ck->whole)
		pl_warn(facts, "no checkpoint is whole: what is shown is the newest superblock's, "
			       "and may be damaged");
	else if (ck->skipped)
		pl_warn(facts,
			"%u newer checkpoints are not whole: what is shown is checkpoint %" PRIu64,
			ck->skipped, ck->xid);
	else if (ck->newer)
		pl_warn(facts,
			"was not unmounted: what is shown is checkpoint %" PRIu64
			", newer than the copy in block 0",
			ck->xid);
}
