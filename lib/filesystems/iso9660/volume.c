/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/volume.c - the files of ISO 9660 (ECMA-119), with Joliet and Rock Ridge
 *
 * The descriptors name a root folder for the plain tree, one for Joliet and one for the
 * "enhanced" tree of ISO 9660:1999; Rock Ridge gives the plain tree other names, types and
 * owners.  A node's number is the byte where its record is: that in its parent, that in the
 * descriptor for the root, and "." of the folder itself where Rock Ridge moved that.
 */
#include "iso9660.h"

#include <strings.h>
#include <sys/stat.h>

#include "text.h"

const char *const pl_iso_views[] = {
	[VIEW_PLAIN] = "iso9660", [VIEW_ROCK_RIDGE] = "rockridge",
	[VIEW_JOLIET] = "joliet", [VIEW_ENHANCED] = "enhanced",
	[NR_VIEWS] = NULL,
};

struct node {
	struct iso_record record;
	struct iso_rock_ridge rr; /* in that view alone */
	enum platter_file_type type;
};

static enum platter_file_type
type_of(const struct iso *iso, const struct iso_record *r, const struct iso_rock_ridge *rr)
{
	if (r->flags & RECORD_FOLDER)
		return PLATTER_FILE_FOLDER;
	if (iso->view != VIEW_ROCK_RIDGE)
		return PLATTER_FILE_REGULAR;
	if (rr->has_child)
		return PLATTER_FILE_FOLDER;
	switch (rr->has_attributes ? rr->mode & S_IFMT : S_IFREG) {
	case S_IFLNK: return PLATTER_FILE_SYMLINK;
	case S_IFBLK: return PLATTER_FILE_BLOCK_DEVICE;
	case S_IFCHR: return PLATTER_FILE_CHARACTER_DEVICE;
	case S_IFIFO: return PLATTER_FILE_FIFO;
	case S_IFSOCK: return PLATTER_FILE_SOCKET;
	default: return PLATTER_FILE_REGULAR;
	}
}

/* The first record of a folder is that of itself. */
static int
read_self(struct iso *iso, const struct iso_record *folder, struct iso_record *ret,
	  struct platter_error *err)
{
	uint64_t at;
	int r = pl_iso_block_at(iso, folder->block + folder->extended, &at, err);

	if (r == 0)
		r = pl_iso_read_record(iso, at, ret, err);
	if (r == 0 && (ret->name_length != 1 || ret->name[0] || !(ret->flags & RECORD_FOLDER)))
		r = pl_corrupt(err, at, "folder that does not begin with itself");
	return r;
}

static int
read_node(struct iso *iso, uint64_t at, unsigned wanted, struct node *ret,
	  struct platter_error *err)
{
	int r = pl_iso_read_record(iso, at, &ret->record, err);

	if (r < 0)
		return r;
	if (iso->view == VIEW_ROCK_RIDGE) {
		const struct iso_record *from = &ret->record;
		struct iso_record self;

		if (at == iso->volume.root.inode && read_self(iso, from, &self, NULL) == 0)
			from = &self;
		pl_iso_rock_ridge(iso, from, wanted, &ret->rr);
	}
	ret->type = type_of(iso, &ret->record, &ret->rr);
	return 0;
}

static void
node_done(const struct iso *iso, struct node *n)
{
	if (iso->view == VIEW_ROCK_RIDGE)
		pl_iso_rock_ridge_done(&n->rr);
}

static void
set_time(struct platter_time *t, struct platter_time recorded)
{
	if (recorded.seconds != PLATTER_NO_TIME)
		*t = recorded;
}

static void
tell_rock_ridge(const struct node *n, struct platter_file *ret)
{
	const struct iso_rock_ridge *rr = &n->rr;

	if (rr->has_attributes) {
		ret->has_mode = ret->has_owner = true;
		ret->mode = rr->mode & 07777;
		ret->uid = rr->uid;
		ret->gid = rr->gid;
		ret->links = PL_MAX(rr->links, 1u);
		if (rr->serial)
			ret->inode = rr->serial;
	}
	/* Writers that know of one half only put all of it there. */
	if (rr->has_device && !rr->device_high && rr->device_low > 0xff) {
		ret->major = rr->device_low >> 8;
		ret->minor = rr->device_low & 0xff;
	} else if (rr->has_device) {
		ret->major = rr->device_high;
		ret->minor = rr->device_low;
	}
	set_time(&ret->modified, rr->modified);
	set_time(&ret->accessed, rr->accessed);
	set_time(&ret->changed, rr->changed);
	set_time(&ret->created, rr->created);
	if (rr->damaged)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	if (n->type != PLATTER_FILE_REGULAR)
		return;
	if (rr->zisofs) {
		ret->attributes |= PLATTER_FILE_COMPRESSED;
		ret->size = rr->zisofs_size;
	} else if (rr->sparse) {
		ret->attributes |= PLATTER_FILE_SPARSE;
		ret->size = rr->sparse_size;
	}
}

static int
stat_node(struct iso *iso, const struct node *n, struct platter_file *ret,
	  struct platter_error *err)
{
	const struct iso_record *r = &n->record;
	uint64_t at;
	int error = 0;

	ret->type = n->type;
	ret->modified = r->recorded;
	if (r->flags & RECORD_HIDDEN)
		ret->attributes |= PLATTER_FILE_HIDDEN;
	if (n->type == PLATTER_FILE_REGULAR) {
		error = pl_iso_file_size(iso, r, &ret->size, &ret->allocated, err);
	} else if (n->type == PLATTER_FILE_FOLDER) {
		ret->size = r->size;
		ret->allocated = pl_round_up(r->size, iso->block_size);
	} else {
		ret->allocated = 0;
		if (n->type == PLATTER_FILE_SYMLINK)
			ret->size = n->rr.target.length;
	}
	if (iso->view != VIEW_ROCK_RIDGE)
		return error;
	/* Where inodes have no numbers, names of one file are known by its contents. */
	if (n->type == PLATTER_FILE_REGULAR && n->rr.links > 1 && r->size &&
	    pl_iso_block_at(iso, r->block, &at, NULL) == 0)
		ret->inode = at;
	tell_rock_ridge(n, ret);
	return error;
}

static int
iso_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	struct iso *iso = iso_of(v);
	struct node n;
	int r;

	if (id.tree == ISO_BOOT_TREE)
		return pl_iso_boot_stat(iso, id.inode, ret, err);
	r = read_node(iso, id.inode, WANT_TARGET, &n, err);
	if (r < 0)
		return r;
	r = stat_node(iso, &n, ret, err);
	node_done(iso, &n);
	return r;
}

static bool
ends_with(const char *name, size_t n, const char *end)
{
	size_t length = strlen(end);

	return n > length && !memcmp(name + n - length, end, length);
}

/* `out` has room for ISO_MAX_NAME bytes. */
static size_t
name_of(const struct iso *iso, const struct iso_record *r, const struct iso_rock_ridge *rr,
	char *out)
{
	size_t n = r->name_length;

	if (iso->view == VIEW_ROCK_RIDGE && rr->has_name) {
		memcpy(out, rr->name, rr->name_length);
		return rr->name_length;
	}
	if (iso->view == VIEW_JOLIET)
		n = pl_name_from_utf16be(r->name, n / 2, out);
	else
		memcpy(out, r->name, n);
	if (r->flags & RECORD_FOLDER)
		return n;
	if (ends_with(out, n, ";1"))
		n -= 2;
	if (iso->view != VIEW_JOLIET && ends_with(out, n, "."))
		n--;
	return n;
}

struct lister {
	struct iso *iso;
	pl_entry_fn *fn;
	void *closure;
	bool root, continued;
	int first; /* error */
};

static int
find_kept(void *closure, const struct iso_record *r, struct platter_error *err)
{
	struct iso *iso = closure;
	struct iso_rock_ridge rr;

	(void)err;
	if (iso_is_dots(r))
		return 0;
	pl_iso_rock_ridge(iso, r, 0, &rr);
	pl_iso_rock_ridge_done(&rr);
	return !rr.relocated;
}

/* Where deep folders were moved to: of no interest once they are back in their places. */
static bool
is_empty_moved(struct iso *iso, const struct iso_record *r, const char *name, size_t n)
{
	if (n && name[0] == '.') {
		name++;
		n--;
	}
	return n == 8 && !strncasecmp(name, "rr_moved", 8) &&
	       pl_iso_each_record(iso, r, find_kept, iso, NULL) == 0;
}

static int
list_record(void *closure, const struct iso_record *r, struct platter_error *err)
{
	struct lister *l = closure;
	struct iso *iso = l->iso;
	struct iso_rock_ridge rr;
	char name[ISO_MAX_NAME + 1];
	struct pl_entry e = { .name = name, .id.inode = r->at };
	bool was_continued = l->continued;

	if (iso_is_dots(r) || r->flags & RECORD_ASSOCIATED)
		return 0;
	l->continued = r->flags & RECORD_CONTINUED;
	if (was_continued)
		return 0;
	if (iso->view == VIEW_ROCK_RIDGE) {
		pl_iso_rock_ridge(iso, r, 0, &rr);
		pl_iso_rock_ridge_done(&rr);
		if (rr.relocated)
			return 0;
		if (rr.has_child) {
			int error =
				pl_iso_block_at(iso, rr.child, &e.id.inode, l->first ? NULL : err);

			if (error < 0) {
				l->first = l->first ? l->first : error;
				return 0;
			}
		}
	}
	e.length = name_of(iso, r, &rr, name);
	e.type = type_of(iso, r, &rr);
	if (iso->view == VIEW_ROCK_RIDGE && l->root && e.type == PLATTER_FILE_FOLDER &&
	    is_empty_moved(iso, r, name, e.length))
		return 0;
	return l->fn(l->closure, &e, err);
}

static int
iso_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	struct iso *iso = iso_of(v);
	struct lister l = { .iso = iso, .fn = fn, .closure = closure };
	struct iso_record r;
	int error;

	if (folder.tree == ISO_BOOT_TREE) {
		if (folder.inode)
			return pl_fail(err, -ENOTDIR, "a boot image is no folder");
		return pl_iso_boot_list(iso, fn, closure, err);
	}
	error = pl_iso_read_record(iso, folder.inode, &r, err);
	if (error < 0)
		return error;
	if (!(r.flags & RECORD_FOLDER))
		return pl_fail_at(err, -ENOTDIR, folder.inode, "ISO 9660 node is no folder");
	l.root = folder.inode == v->root.inode;
	error = pl_iso_each_record(iso, &r, list_record, &l, err);
	return error ? error : l.first;
}

static int
iso_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	   struct pl_node_id *ret, struct platter_error *err)
{
	struct pl_finder f = { .name = name, .n = n, .folds_case = v->folds_case };
	int r = iso_list(v, folder, pl_finder_take, &f, err);

	r = pl_finder_answer(&f, r, ret);
	if (r == 0)
		return 0;
	/* In no listing: it is not of the file system. */
	if (folder.inode == v->root.inode && !folder.tree && iso_of(v)->boot.at &&
	    n == strlen(ISO_BOOT_FOLDER) && !memcmp(name, ISO_BOOT_FOLDER, n)) {
		*ret = (struct pl_node_id){ 0, ISO_BOOT_TREE };
		return 0;
	}
	return r;
}

static int
iso_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct iso *iso = iso_of(v);
	struct node n;
	int r;

	if (id.tree == ISO_BOOT_TREE)
		return pl_invalid(err, "a boot image is no symbolic link");
	r = read_node(iso, id.inode, WANT_TARGET, &n, err);
	if (r < 0)
		return r;
	if (n.type != PLATTER_FILE_SYMLINK) {
		r = pl_invalid(err, "ISO 9660 node is no symbolic link");
	} else if (n.rr.target.failed) {
		r = pl_no_memory(err);
	} else if (n.rr.damaged || !n.rr.target.length) {
		r = pl_corrupt(err, id.inode, "symbolic link without a whole target");
	} else {
		*ret = PL_STEAL(n.rr.target.text);
		n.rr.target = (struct pl_str){ 0 };
	}
	node_done(iso, &n);
	return r;
}

static int
open_node(struct iso *iso, const struct node *n, const char *name, struct pl_disk **ret,
	  struct platter_error *err)
{
	bool rr = iso->view == VIEW_ROCK_RIDGE;
	PL_AUTOUNREF struct pl_disk *stored = NULL;
	struct pl_runs runs = { 0 };
	uint64_t size;
	int r;

	if (n->type != PLATTER_FILE_REGULAR)
		return pl_fail(err, n->type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	if (rr && n->rr.sparse)
		return pl_unsupported(err, n->record.at,
				      "'%s' is sparse in the way of Rock Ridge, which is not read",
				      name);
	r = pl_iso_runs(iso, &n->record, &runs, &size, err);
	if (r < 0)
		return r;
	if (!rr || !n->rr.zisofs)
		return pl_file_new(iso->volume.disk, &runs, size, name, ret, err);
	r = pl_file_new(iso->volume.disk, &runs, size, name, &stored, err);
	if (r == 0)
		r = pl_iso_zisofs_open(stored, n->rr.zisofs_size, name, ret, err);
	if (r < 0)
		pl_error_place(err, name);
	return r;
}

static int
iso_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	struct iso *iso = iso_of(v);
	struct node n;
	int r;

	(void)stream;
	if (id.tree == ISO_BOOT_TREE)
		return pl_iso_boot_open(iso, id.inode, name, ret, err);
	r = read_node(iso, id.inode, 0, &n, err);
	if (r < 0)
		return r;
	r = open_node(iso, &n, name, ret, err);
	node_done(iso, &n);
	return r;
}

static int
iso_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct iso *iso = iso_of(v);
	struct node n;
	int r;

	if (id.tree == ISO_BOOT_TREE || iso->view != VIEW_ROCK_RIDGE)
		return 0;
	r = read_node(iso, id.inode, WANT_ATTRIBUTES, &n, err);
	if (r < 0)
		return r;
	r = pl_iso_each_attribute(&n.rr, fn, closure, err);
	node_done(iso, &n);
	return r;
}

/* There is no map of free blocks. */
static int
iso_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	return pl_ranges_add(used, 0, v->size, err);
}

static void
tell_text(struct pl_facts *facts, const char *key, const char *label, const uint8_t *field,
	  size_t n)
{
	char *text = pl_text_from_bytes(field, n);

	if (text && *text)
		pl_fact_text(facts, key, label, "%s", text);
	free(text);
}

static void
tell_time(struct pl_facts *facts, const char *key, const char *label, const uint8_t *date)
{
	struct platter_time t = pl_iso_long_time(date);

	if (t.seconds != PLATTER_NO_TIME)
		pl_fact_time(facts, key, label, t.seconds);
}

static void
tell_descriptor(const struct iso *iso, struct pl_facts *facts)
{
	enum {
		SET = 190,
		PREPARER = 446,
		COPYRIGHT = 702,
		CREATED = 813,
		MODIFIED = 830,
		EXPIRES = 847,
		EFFECTIVE = 864,
		END = 881
	};
	uint64_t at = iso->session[iso->chosen].root[VIEW_PLAIN] - ISO_DESCRIPTOR_ROOT;
	uint8_t d[END];

	if (iso->high_sierra || pl_meta_read(iso->volume.meta, d, sizeof d, at, NULL) < 0)
		return;
	tell_text(facts, "volume_set", "volume set", d + SET, 128);
	tell_text(facts, "preparer", "prepared by", d + PREPARER, 128);
	tell_text(facts, "copyright", "copyright", d + COPYRIGHT, 37);
	tell_time(facts, "created", "created", d + CREATED);
	tell_time(facts, "modified", "modified", d + MODIFIED);
	tell_time(facts, "expires", "expires", d + EXPIRES);
	tell_time(facts, "effective", "effective from", d + EFFECTIVE);
}

static void
iso_describe(struct pl_volume *v, struct pl_facts *facts)
{
	const struct iso *iso = iso_of(v);
	const struct iso_session *s = &iso->session[iso->chosen];
	struct pl_str trees = { 0 };

	for (int i = 0; i < NR_VIEWS; i++)
		if (i == VIEW_ROCK_RIDGE ? iso->has_rock_ridge : s->root[i] != 0)
			pl_str_addf(&trees, "%s%s", trees.length ? ", " : "", pl_iso_views[i]);
	pl_fact_text(facts, "names", "names shown", "%s", pl_iso_views[iso->view]);
	if (trees.text)
		pl_fact_text(facts, "trees", "names there are", "%s", trees.text);
	pl_str_done(&trees);
	if (iso->high_sierra)
		pl_fact_text(facts, "variant", "variant", "High Sierra");
	tell_descriptor(iso, facts);
	if (iso->nr_sessions > 1) {
		pl_fact_number(facts, "sessions", "sessions", iso->nr_sessions);
		pl_fact_text(facts, "session", "session shown", "%u, from sector %" PRIu64,
			     iso->chosen + 1, s->start);
	}
	if (iso->first_block)
		pl_warn(facts,
			"the image begins at block %" PRIu32
			" of the disc: files of earlier sessions are not here",
			iso->first_block);
	pl_iso_boot_describe(iso_of(v), facts);
}

static void
iso_free(struct pl_volume *v)
{
	struct iso *iso = iso_of(v);

	pl_volume_done(v);
	pthread_mutex_destroy(&iso->boot_lock);
	free(iso->session);
	free(iso);
}

static const struct pl_volume_ops iso_ops = {
	.stat = iso_stat,
	.list = iso_list,
	.lookup = iso_lookup,
	.read_link = iso_read_link,
	.open = iso_open_file,
	.xattrs = iso_xattrs,
	.used = iso_used,
	.describe = iso_describe,
	.free = iso_free,
};

static int
no_session(const struct iso *iso, const char *snapshot, struct platter_error *err)
{
	int r = pl_fail(err, -ENOENT, "no session '%s' on the disc", snapshot);

	if (iso->nr_sessions > 1)
		pl_hint(err, "the sessions are 1 to %u", iso->nr_sessions);
	else
		pl_hint(err, "there is one session, 1");
	return r;
}

/* Sessions are chosen as snapshots are: "1" is the first; else it is the last. */
static int
choose_session(struct iso *iso, const char *snapshot, struct platter_error *err)
{
	const struct iso_session *s;
	uint64_t end = 0;
	unsigned n = 0;

	if (snapshot) {
		for (const char *p = snapshot; *p >= '0' && *p <= '9' && n <= ISO_MAX_SESSIONS; p++)
			n = n * 10 + (unsigned)(*p - '0');
		if (!n || n > iso->nr_sessions)
			return no_session(iso, snapshot, err);
	}
	iso->chosen = n ? n - 1 : iso->nr_sessions - 1;
	s = &iso->session[iso->chosen];
	iso->block_size = iso->volume.block_size = s->block_size;
	iso->high_sierra = s->high_sierra;
	for (unsigned i = 0; i < iso->nr_sessions; i++)
		end = PL_MAX(end, iso->session[i].end);
	if (end)
		iso->volume.size = PL_MIN(iso->volume.size, end * ISO_SECTOR);
	return 0;
}

static bool
root_is_there(struct iso *iso, enum iso_view view)
{
	uint64_t at = iso->session[iso->chosen].root[view];
	struct iso_record root, self;

	return at && pl_iso_read_record(iso, at, &root, NULL) == 0 &&
	       read_self(iso, &root, &self, NULL) == 0 && self.block == root.block;
}

/*
 * An image of a later session alone counts its blocks from where the disc began.  Its root
 * says where it is, and is found by that.
 */
static void
find_first_block(struct iso *iso)
{
	uint64_t at = iso->session[iso->chosen].root[VIEW_PLAIN], size = iso->volume.disk->size;
	struct iso_record root, r;

	if (iso->nr_sessions > 1 || root_is_there(iso, VIEW_PLAIN) ||
	    pl_iso_read_record(iso, at, &root, NULL) < 0)
		return;
	for (uint64_t sector = 17; sector < 512 && (sector + 1) * ISO_SECTOR <= size; sector++) {
		uint64_t block = sector * (ISO_SECTOR / iso->block_size);
		uint32_t named = get_le32(root.bytes + 2);

		if (pl_iso_read_record(iso, sector * ISO_SECTOR, &r, NULL) < 0 ||
		    r.name_length != 1 || r.name[0] || !(r.flags & RECORD_FOLDER) ||
		    get_le32(r.bytes + 2) != named || get_be32(r.bytes + 6) != named ||
		    named <= block)
			continue;
		iso->first_block = (uint32_t)(named - block);
		iso->volume.size = iso->volume.disk->size;
		return;
	}
}

static void
find_rock_ridge(struct iso *iso)
{
	uint64_t at = iso->session[iso->chosen].root[VIEW_PLAIN];
	struct iso_record root, self;
	struct iso_rock_ridge rr;

	if (iso->high_sierra || pl_iso_read_record(iso, at, &root, NULL) < 0 ||
	    read_self(iso, &root, &self, NULL) < 0)
		return;
	pl_iso_rock_ridge(iso, &self, 0, &rr);
	/* CD-ROM XA has 14 bytes of its own first. */
	if (!rr.has_sp && self.system_use_length > 14 && !memcmp(self.system_use + 6, "XA", 2)) {
		pl_iso_rock_ridge_done(&rr);
		iso->susp_skip = 14;
		pl_iso_rock_ridge(iso, &self, 0, &rr);
	}
	if (rr.has_sp)
		iso->susp_skip = rr.skip;
	iso->has_rock_ridge = rr.has_any;
	pl_iso_rock_ridge_done(&rr);
}

static int
find_named(void *closure, const struct iso_record *r, struct platter_error *err)
{
	struct iso_rock_ridge rr;
	struct {
		struct iso *iso;
		bool any;
	} *found = closure;

	(void)err;
	if (iso_is_dots(r))
		return 0;
	found->any = true;
	pl_iso_rock_ridge(found->iso, r, 0, &rr);
	pl_iso_rock_ridge_done(&rr);
	return rr.has_name;
}

/* macOS writes owners and modes of Rock Ridge, but no names: those of Joliet are better. */
static bool
names_are_given(struct iso *iso)
{
	struct {
		struct iso *iso;
		bool any;
	} found = { iso, false };
	struct iso_record root;

	return pl_iso_read_record(iso, iso->session[iso->chosen].root[VIEW_PLAIN], &root, NULL) <
		       0 ||
	       pl_iso_each_record(iso, &root, find_named, &found, NULL) > 0 || !found.any;
}

static enum iso_view
best_view(struct iso *iso)
{
	bool joliet = root_is_there(iso, VIEW_JOLIET);

	if (iso->has_rock_ridge && (!joliet || names_are_given(iso)))
		return VIEW_ROCK_RIDGE;
	if (joliet)
		return VIEW_JOLIET;
	return root_is_there(iso, VIEW_ENHANCED) ? VIEW_ENHANCED : VIEW_PLAIN;
}

static int
choose_view(struct iso *iso, const char *name, struct platter_error *err)
{
	const uint64_t *root = iso->session[iso->chosen].root;
	bool there = true;

	iso->view = best_view(iso);
	for (int i = 0; name && i < NR_VIEWS; i++)
		if (!strcmp(name, pl_iso_views[i])) {
			iso->view = (enum iso_view)i;
			there = i == VIEW_ROCK_RIDGE ? iso->has_rock_ridge : root[i] != 0;
		}
	if (!there)
		return pl_fail(err, -ENOENT, "there are no names of '%s' on '%s'", name,
			       iso->volume.disk->name);
	iso->volume.root.inode = root[iso->view == VIEW_ROCK_RIDGE ? VIEW_PLAIN : iso->view];
	iso->volume.folds_case = iso->view != VIEW_ROCK_RIDGE;
	return 0;
}

/* The tree may be damaged and still hold something; where it is not at all, another is better. */
static int
check_root(struct iso *iso, struct platter_error *err)
{
	struct iso_record root;
	uint64_t at;
	int r = pl_iso_read_record(iso, iso->volume.root.inode, &root, err);

	return r < 0 ? r : pl_iso_block_at(iso, root.block, &at, err);
}

int
pl_iso_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct iso *iso = calloc(1, sizeof *iso);
	int r;

	if (!iso)
		return pl_no_memory(err);
	pthread_mutex_init(&iso->boot_lock, NULL);
	iso->block_size = ISO_SECTOR;
	r = pl_volume_init(&iso->volume, &iso_ops, request, err);
	if (r == 0)
		r = pl_iso_find_sessions(iso, err);
	if (r == 0)
		r = choose_session(iso, request->snapshot, err);
	if (r == 0) {
		find_first_block(iso);
		find_rock_ridge(iso);
		r = choose_view(iso, request->view, err);
	}
	if (r == 0)
		r = check_root(iso, err);
	if (r < 0) {
		iso_free(&iso->volume);
		return r;
	}
	pl_iso_boot_read(iso, iso->session[iso->chosen].boot_catalogue);
	iso->volume.free = 0;
	iso->volume.state = PLATTER_STATE_CLEAN;
	*ret = &iso->volume;
	return 0;
}
