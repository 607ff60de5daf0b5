/* SPDX-License-Identifier: GPL-3.0-or-later */
/* volume.c - opening file systems, and what all drivers share */
#include "volume.h"

#include <locale.h>
#include <sys/stat.h>
#include <wctype.h>

#include "content.h"
#include "text.h"

int
pl_volume_init(struct pl_volume *v, const struct pl_volume_ops *ops,
	       const struct pl_volume_request *request, struct platter_error *err)
{
	v->ops = ops;
	v->disk = pl_disk_ref(request->disk);
	v->size = pl_disk_size(v->disk);
	v->free = UINT64_MAX;
	v->ignore_checksums = request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS;
	atomic_init(&v->refs, 1);
	return pl_meta_new(v->disk, &v->meta, err);
}

void
pl_volume_done(struct pl_volume *v)
{
	pl_meta_free(v->meta);
	pl_disk_unref(v->disk);
}

struct pl_volume *
pl_volume_ref(struct pl_volume *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void
pl_volume_unref(struct pl_volume *v)
{
	if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
		v->ops->free(v);
}

static bool
has_view(const struct pl_content_driver *driver, const char *name)
{
	for (const char *const *view = driver->views; view && *view; view++)
		if (!strcmp(*view, name))
			return true;
	return false;
}

static int
not_read(const struct pl_disk *disk, const struct platter_content *c, struct platter_error *err)
{
	bool locked = !strcmp(c->usage, "crypto");
	int r = pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' holds %s, %s", disk->name, c->longname,
			       locked ? "which is encrypted" : "whose files cannot be read");

	if (locked)
		pl_hint(err, "unlock it first, and open the disk that then appears");
	return r;
}

static int
no_snapshots(const struct pl_disk *disk, const struct pl_content_driver *driver,
	     const char *snapshot, struct platter_error *err)
{
	return pl_fail(err, -ENOENT, "'%s' has no snapshot '%s': it holds %s, which has none",
		       disk->name, snapshot, driver->info.longname);
}

/*
 * The first of what was found that opens; what hides the rest by being encrypted ends it.
 * *ret_any: something was what was wanted, and *err says why it did not open.
 */
static int
open_one(struct pl_disk *disk, const struct pl_content *found, size_t nr, const char *name,
	 struct pl_volume_request *request, struct pl_volume **ret, bool *ret_any,
	 struct platter_error *err)
{
	int first = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct pl_content *c = &found[i];
		struct platter_error why = PLATTER_ERROR_INIT;
		bool named = name && !strcmp(name, c->content.name), crypto;
		int r;

		request->view = name && has_view(c->driver, name) ? name : NULL;
		if (name ? !named && !request->view : c->leftover)
			continue;
		crypto = !strcmp(c->content.usage, "crypto");
		if (c->driver->open && request->snapshot && !c->driver->snapshots) {
			r = no_snapshots(disk, c->driver, request->snapshot, &why);
		} else if (c->driver->open) {
			r = c->driver->open(request, ret, &why);
			if (r == 0) {
				(*ret)->driver = c->driver;
				return 0;
			}
			pl_error_place(&why, disk->name);
		} else {
			r = not_read(disk, &c->content, &why);
		}
		/* What is damaged says more than what is not known. */
		if (!first || (first == -ENOTSUP && r != -ENOTSUP && !crypto)) {
			first = r;
			if (err)
				*err = why;
		}
		if (crypto)
			break;
	}
	*ret_any = first;
	return first ? first : -ENOENT;
}

/* What names itself so goes before others, but for what hides them by being encrypted. */
static void
put_first(struct pl_content *found, size_t nr)
{
	for (size_t i = 0; i < nr && strcmp(found[i].content.usage, "crypto") != 0; i++) {
		struct pl_content chosen = found[i];

		if (!chosen.opens_first || chosen.leftover)
			continue;
		memmove(found + 1, found, i * sizeof *found);
		found[0] = chosen;
		return;
	}
}

int
pl_volume_open(struct pl_disk *disk, const char *name, const char *snapshot, unsigned flags,
	       struct pl_volume **ret, struct platter_error *err)
{
	struct pl_volume_request request = { .disk = disk, .flags = flags, .snapshot = snapshot };
	struct pl_arena arena = { 0 };
	struct pl_content *found;
	bool any = false;
	size_t nr;
	int r;

	if (disk->sequential)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "the files of a stream cannot be read");
	r = pl_contents_find(disk, &arena, &found, &nr, err);
	if (r == 0)
		put_first(found, nr);
	if (r == 0)
		r = open_one(disk, found, nr, name, &request, ret, &any, err);
	if (r == -ENOENT && !any && name)
		r = pl_fail(err, r, "no file system '%s' on '%s'", name, disk->name);
	else if (r == -ENOENT && !any)
		r = pl_fail(err, r, "no file system is recognised on '%s'", disk->name);
	pl_arena_done(&arena);
	return r;
}

int
pl_volume_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	       struct platter_error *err)
{
	*ret = (struct platter_file){
		.links = 1,
		.inode = id.inode,
		.allocated = UINT64_MAX,
		.modified.seconds = PLATTER_NO_TIME,
		.accessed.seconds = PLATTER_NO_TIME,
		.changed.seconds = PLATTER_NO_TIME,
		.created.seconds = PLATTER_NO_TIME,
	};
	return v->ops->stat(v, id, ret, err);
}

struct lister {
	pl_entry_fn *fn;
	void *closure;
};

static int
pass_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct lister *l = closure;
	bool dots = (e->length == 1 && e->name[0] == '.') ||
		    (e->length == 2 && e->name[0] == '.' && e->name[1] == '.');

	/* No path can name these. */
	if (!e->length || dots || memchr(e->name, 0, e->length))
		return 0;
	return l->fn(l->closure, e, err);
}

int
pl_volume_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	       struct platter_error *err)
{
	struct lister l = { fn, closure };

	return v->ops->list(v, folder, pass_entry, &l, err);
}

int
pl_finder_take(void *finder, const struct pl_entry *e, struct platter_error *err)
{
	struct pl_finder *f = finder;

	(void)err;
	if (e->length == f->n && !memcmp(e->name, f->name, f->n)) {
		f->id = e->id;
		f->found = true;
		return 1;
	}
	if (f->folds_case && !f->found_folded &&
	    pl_names_equal_folded(e->name, e->length, f->name, f->n)) {
		f->id = e->id;
		f->found_folded = true;
	}
	return 0;
}

int
pl_finder_answer(const struct pl_finder *f, int r, struct pl_node_id *ret)
{
	if (!f->found && !f->found_folded)
		return r < 0 ? r : -ENOENT;
	*ret = f->id;
	return 0;
}

enum platter_file_type
pl_type_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return PLATTER_FILE_REGULAR;
	case S_IFDIR: return PLATTER_FILE_FOLDER;
	case S_IFLNK: return PLATTER_FILE_SYMLINK;
	case S_IFCHR: return PLATTER_FILE_CHARACTER_DEVICE;
	case S_IFBLK: return PLATTER_FILE_BLOCK_DEVICE;
	case S_IFIFO: return PLATTER_FILE_FIFO;
	case S_IFSOCK: return PLATTER_FILE_SOCKET;
	default: return PLATTER_FILE_UNKNOWN;
	}
}

enum platter_file_type
pl_type_of_entry(uint8_t type)
{
	static const enum platter_file_type types[] = {
		PLATTER_FILE_UNKNOWN,          PLATTER_FILE_REGULAR,      PLATTER_FILE_FOLDER,
		PLATTER_FILE_CHARACTER_DEVICE, PLATTER_FILE_BLOCK_DEVICE, PLATTER_FILE_FIFO,
		PLATTER_FILE_SOCKET,           PLATTER_FILE_SYMLINK,
	};

	return type < ARRAY_SIZE(types) ? types[type] : PLATTER_FILE_UNKNOWN;
}

int
pl_volume_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		 struct pl_node_id *ret, struct platter_error *err)
{
	struct pl_finder f = { .name = name, .n = n, .folds_case = v->folds_case };
	int r;

	if (v->ops->lookup)
		return v->ops->lookup(v, folder, name, n, ret, err);
	r = pl_volume_list(v, folder, pl_finder_take, &f, err);
	return pl_finder_answer(&f, r, ret);
}

int
pl_volume_read_link(struct pl_volume *v, struct pl_node_id id, char **ret,
		    struct platter_error *err)
{
	if (!v->ops->read_link)
		return pl_invalid(err, "no symbolic link");
	return v->ops->read_link(v, id, ret, err);
}

int
pl_volume_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		    struct pl_disk **ret, struct platter_error *err)
{
	if (stream && !v->ops->streams)
		return pl_fail(err, -ENOENT, "'%s' has no stream '%s': this file system has none",
			       name, stream);
	return v->ops->open(v, id, stream, name, ret, err);
}

int
pl_volume_used(struct pl_volume *v, struct pl_ranges *used, char **ret_why,
	       struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	int r = v->ops->used ? v->ops->used(v, used, &why)
			     : pl_unsupported(&why, PLATTER_NO_OFFSET,
					      "what of it is in use cannot be told");

	if (ret_why)
		*ret_why = NULL;
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r < 0) {
		pl_ranges_done(used);
		if (ret_why)
			*ret_why = strdup(why.message);
		r = pl_ranges_add(used, 0, v->size, err);
	}
	pl_ranges_finish(used, v->size);
	return r;
}

int
pl_volume_space(struct pl_volume *v, struct platter_space *ret, struct platter_error *err)
{
	PL_AUTOFREE char *why = NULL;
	struct pl_ranges used = { 0 };
	int r = 0;

	if (!v->driver)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' has several volumes",
				      v->disk->name);
	*ret = (struct platter_space){
		.content = v->driver->info.name,
		.size = v->size,
		.used = UINT64_MAX,
		.free = v->free,
		.block_size = v->block_size,
		.state = v->state,
	};
	if (v->free == UINT64_MAX && v->ops->used) {
		r = pl_volume_used(v, &used, &why, err);
		if (r == 0 && !why)
			ret->free = v->size - pl_ranges_bytes(&used);
		pl_ranges_done(&used);
	}
	if (ret->free != UINT64_MAX)
		ret->used = v->size - PL_MIN(ret->free, v->size);
	return r;
}

/* The next character of a name; bytes that are no UTF-8 stand for themselves, past Unicode. */
static uint32_t
next_character(const char *name, size_t n, size_t *at)
{
	const uint8_t *p = (const uint8_t *)name + *at;
	unsigned more = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : p[0] < 0xf5 ? 3 : 0;
	uint32_t c = more ? p[0] & (0x3f >> more) : p[0];

	if (p[0] >= 0x80 && (!more || more > n - *at - 1)) {
		++*at;
		return 0x110000u + p[0];
	}
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			++*at;
			return 0x110000u + p[0];
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*at += 1 + more;
	return c;
}

static locale_t unicode;

__attribute__((constructor)) static void
load_unicode(void)
{
	unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
}

static uint32_t
fold(uint32_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c - 32 : c;
	return unicode && c < 0x110000 ? (uint32_t)towupper_l((wint_t)c, unicode) : c;
}

bool
pl_names_equal_folded(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t i = 0, k = 0;

	while (i < a_length && k < b_length)
		if (fold(next_character(a, a_length, &i)) != fold(next_character(b, b_length, &k)))
			return false;
	return i == a_length && k == b_length;
}
