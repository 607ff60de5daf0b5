/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext/describe.c - what the superblock tells besides what identifies it; names as e2fsprogs has them */
#include "ext.h"
#include "text.h"

enum {
	SB_MOUNT_TIME = 44,
	SB_MOUNTS = 52,
	SB_MAX_MOUNTS = 54,
	SB_MINOR_REVISION = 62,
	SB_CHECK_TIME = 64,
	SB_OS = 72,
	SB_REVISION = 76,
	SB_MADE = 264,
	SB_ERRORS = 404,
	SB_LAST_ERROR = 460,
	SB_MOUNT_TIME_HIGH = 629,
	SB_MADE_HIGH = 630,
	SB_CHECK_TIME_HIGH = 631,
	SB_LAST_ERROR_HIGH = 633,
};

static const char *const compat_names[32] = {
	"dir_prealloc", "imagic_inodes", "has_journal", "ext_attr",        "resize_inode",
	"dir_index",    "lazy_bg",       NULL,          "snapshot_bitmap", "sparse_super2",
	"fast_commit",  "stable_inodes", "orphan_file",
};
static const char *const incompat_names[32] = {
	"compression",
	"filetype",
	"needs_recovery",
	"journal_dev",
	"meta_bg",
	NULL,
	"extent",
	"64bit",
	"mmp",
	"flex_bg",
	"ea_inode",
	NULL,
	"dirdata",
	"metadata_csum_seed",
	"large_dir",
	"inline_data",
	"encrypt",
	"casefold",
};
static const char *const ro_compat_names[32] = {
	"sparse_super",  "large_file",     NULL,           "huge_file", "uninit_bg",
	"dir_nlink",     "extra_isize",    "has_snapshot", "quota",     "bigalloc",
	"metadata_csum", "replica",        "read-only",    "project",   "shared_blocks",
	"verity",        "orphan_present",
};

static void
add_names(struct pl_str *s, uint32_t bits, const char *const *names, char kind)
{
	for (unsigned i = 0; i < 32; i++) {
		if (!(bits >> i & 1))
			continue;
		if (s->length)
			pl_str_add(s, " ");
		if (names[i])
			pl_str_add(s, names[i]);
		else
			pl_str_addf(s, "FEATURE_%c%u", kind, i);
	}
}

static void
tell_features(const struct ext_super *sb, struct pl_facts *facts)
{
	struct pl_str s = { 0 };

	add_names(&s, sb->compat, compat_names, 'C');
	add_names(&s, sb->incompat, incompat_names, 'I');
	add_names(&s, sb->ro_compat, ro_compat_names, 'R');
	if (s.text)
		pl_fact_text(facts, "features", "features", "%s", s.text);
	pl_str_done(&s);
}

static void
tell_journal(const struct ext *fs, struct pl_facts *facts)
{
	const struct ext_journal_report *j = &fs->journal;
	struct ext_inode *inode = NULL;

	if (!(fs->sb.compat & COMPAT_JOURNAL))
		return;
	if (!fs->sb.journal_inode) {
		pl_fact_text(facts, "journal", "journal", "on another device");
		pl_warn(facts, "without the device of its journal it is not whole");
	} else {
		inode = malloc(sizeof *inode);
		if (inode && ext_inode_read(fs, fs->sb.journal_inode, inode, NULL) == 0)
			pl_fact_size(facts, "journal", "journal", inode->size);
		free(inode);
	}
	if (j->nr_transactions) {
		pl_fact_number(facts, "replayed_transactions", "transactions replayed",
			       j->nr_transactions);
		pl_fact_number(facts, "replayed_blocks", "blocks replayed", j->nr_blocks);
	}
}

static void
tell_state(const struct ext *fs, struct pl_facts *facts)
{
	static const char *const states[] = {
		[PLATTER_STATE_UNKNOWN] = "unknown",       [PLATTER_STATE_CLEAN] = "clean",
		[PLATTER_STATE_DIRTY] = "not unmounted",   [PLATTER_STATE_RECOVERED] = "recovered",
		[PLATTER_STATE_HIBERNATED] = "hibernated",
	};
	const struct ext_journal_report *j = &fs->journal;

	pl_fact_text(facts, "state", "state", "%s", states[fs->volume.state]);
	if (fs->volume.state == PLATTER_STATE_RECOVERED && j->nr_transactions)
		pl_warn(facts, "what its journal holds is seen as if it were in place");
	if (j->problem)
		pl_warn(facts, "its journal was not replayed as a whole: %s", j->problem);
	if (j->fast_commits)
		pl_warn(facts, "its journal holds fast commits, which are not replayed");
	if (fs->volume.state == PLATTER_STATE_DIRTY && !j->problem && !j->fast_commits)
		pl_warn(facts, "it was not unmounted cleanly");
}

static void
tell_time(struct pl_facts *facts, const char *key, const char *label, const uint8_t *raw,
	  unsigned at, unsigned high_at)
{
	int64_t seconds = get_le32(raw + at) | (int64_t)raw[high_at] << 32;

	if (seconds)
		pl_fact_time(facts, key, label, seconds);
}

static const char *
hash_name(const struct ext_super *sb)
{
	static const char *const names[] = {
		[HASH_LEGACY] = "legacy",
		[HASH_HALF_MD4] = "half_md4",
		[HASH_TEA] = "tea",
		[HASH_LEGACY_UNSIGNED] = "legacy",
		[HASH_HALF_MD4_UNSIGNED] = "half_md4",
		[HASH_TEA_UNSIGNED] = "tea",
		[HASH_SIPHASH] = "siphash",
	};

	return sb->default_hash < ARRAY_SIZE(names) ? names[sb->default_hash] : "unknown";
}

void
ext_describe(struct pl_volume *v, struct pl_facts *facts)
{
	static const char *const systems[] = { "Linux", "Hurd", "Masix", "FreeBSD", "Lites" };
	const struct ext *fs = ext_of(v);
	const struct ext_super *sb = &fs->sb;
	uint8_t raw[EXT_SUPERBLOCK_SIZE];
	uint32_t errors, os;

	if (pl_meta_read(v->meta, raw, sizeof raw, EXT_SUPERBLOCK, NULL) < 0)
		return;
	tell_state(fs, facts);
	tell_features(sb, facts);
	pl_fact_text(facts, "revision", "revision", "%" PRIu32 ".%u", get_le32(raw + SB_REVISION),
		     get_le16(raw + SB_MINOR_REVISION));
	os = get_le32(raw + SB_OS);
	if (os < ARRAY_SIZE(systems))
		pl_fact_text(facts, "os", "made for", "%s", systems[os]);
	tell_time(facts, "created", "created", raw, SB_MADE, SB_MADE_HIGH);
	tell_time(facts, "mounted", "last mounted", raw, SB_MOUNT_TIME, SB_MOUNT_TIME_HIGH);
	tell_time(facts, "checked", "last checked", raw, SB_CHECK_TIME, SB_CHECK_TIME_HIGH);
	pl_fact_number(facts, "mounts", "mounts since then", get_le16(raw + SB_MOUNTS));
	errors = get_le32(raw + SB_ERRORS);
	if (errors) {
		pl_fact_number(facts, "errors", "errors met", errors);
		tell_time(facts, "last_error", "last error", raw, SB_LAST_ERROR,
			  SB_LAST_ERROR_HIGH);
	}
	pl_fact_size(facts, "reserved", "reserved for root", sb->reserved_blocks << sb->block_bits);
	pl_fact_number(facts, "inodes", "inodes", sb->inodes);
	pl_fact_number(facts, "free_inodes", "free inodes", sb->free_inodes);
	pl_fact_size(facts, "inode_size", "size of an inode", sb->inode_size);
	if (sb->cluster_ratio > 1)
		pl_fact_size(facts, "cluster_size", "size of a cluster",
			     (uint64_t)sb->cluster_ratio << sb->block_bits);
	if (sb->compat & COMPAT_DIR_INDEX)
		pl_fact_text(facts, "hash", "hash of names", "%s%s", hash_name(sb),
			     sb->unsigned_hash ? ", unsigned" : "");
	tell_journal(fs, facts);
}
