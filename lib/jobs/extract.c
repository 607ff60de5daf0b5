/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * extract.c - files inside copied out
 *
 * One thread walks the tree, makes folders and links, and gathers the contents of files in
 * pieces; a batch of pieces is then copied on all processors.  Everything is made relative to
 * the descriptor of its folder, by one name without '/', following no link: so nothing that
 * the file system holds can lead outside.
 */
#include "extract.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "links.h"
#include "pool.h"
#include "progress.h"
#include "text.h"
#include "tree.h"

#define MAX_BATCH   512     /* pieces, */
#define BATCH_BYTES MIB(64) /* or so many bytes of them, */
#define MAX_TARGETS 256     /* or so many files, each of which keeps its folder open */
#define PIECE       MIB(16) /* of a file; larger ones are copied by several threads */
#define COPY_SIZE   MIB(1)
#define LONGEST     255 /* bytes of a name, on all that Linux mounts */

/* A folder outside.  Its mode and times are set when nothing is to be made in it any more. */
struct folder {
	int fd;
	_Atomic unsigned refs;
	char *path; /* outside; for hard links and messages */
	bool has_file;
	struct platter_file file;
};

/* A file that is being copied, by one thread or several. */
struct target {
	struct folder *folder;
	struct pl_node_id id;
	struct platter_file file;
	char *path;    /* inside */
	char *name;    /* outside, in its folder */
	char *stream;  /* NULL: the contents */
	size_t link;   /* 1 + its index among the hard links, 0: it has one name */
	char part[48]; /* what it is called until it is whole */
	int fd;
	struct pl_disk *disk;
	_Atomic unsigned pieces; /* to be copied yet */
	_Atomic uint64_t bad;    /* bytes that are known as unreadable */
	atomic_bool is_full;     /* its last byte was written: it is as long as it should be */
	pthread_mutex_t lock;    /* guards what follows */
	int failed;
	struct platter_error err;
	enum platter_recovery recovery;
};

struct piece {
	struct target *target;
	uint64_t offset, length;
};

struct extraction {
	struct pl_volume *v;
	const struct platter_extract_options *options;
	struct platter_extract_result *result;
	struct pl_meter meter;
	bool root;
	struct folder *trail[PL_MAX_FOLDERS + 2]; /* by depth; [0] is the one that was given */
	size_t nr_trail;
	const char *first_name; /* of the start; NULL: what is in it goes into trail[0] */
	struct piece *piece;
	size_t nr_pieces, nr_targets;
	uint64_t bytes; /* of the pieces */
	unsigned nr_parts;
	struct pl_links links; /* to paths outside, from the folder that was given */
	uint64_t *made;        /* hashes of the paths that were made, 0 empty */
	size_t nr_made, made_capacity;
	pthread_mutex_t lock; /* guards the result, notes, and what follows */
	int stopped;          /* nothing more can be written, and why: */
	struct platter_error why;
	bool lost_attributes; /* it has been said that attributes cannot be kept */
};

/* ---- telling ---- */

static void note(struct extraction *x, enum platter_extract_outcome outcome, const char *path,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void
note(struct extraction *x, enum platter_extract_outcome outcome, const char *path,
     const char *format, ...)
{
	uint64_t *const counts[] = {
		[PLATTER_EXTRACT_RENAMED] = &x->result->renamed,
		[PLATTER_EXTRACT_INCOMPLETE] = &x->result->incomplete,
		[PLATTER_EXTRACT_SKIPPED] = &x->result->skipped,
		[PLATTER_EXTRACT_FAILED] = &x->result->failed,
	};
	struct platter_extract_note n = { .outcome = outcome, .path = path };
	struct pl_str message = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&message, format, args);
	va_end(args);
	n.message = message.text ? message.text : "";
	pthread_mutex_lock(&x->lock);
	++*counts[outcome];
	if (x->options->note)
		x->options->note(&n, x->options->closure);
	pthread_mutex_unlock(&x->lock);
	pl_str_done(&message);
}

/* Errors of the place that is written to, after which every other file would fail too. */
static bool
ends_all(int code)
{
	return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -ENOMEM;
}

static void
stop(struct extraction *x, int code, const struct platter_error *why)
{
	pthread_mutex_lock(&x->lock);
	if (!x->stopped) {
		x->stopped = code;
		x->why = *why;
	}
	pthread_mutex_unlock(&x->lock);
}

static bool
is_stopped(struct extraction *x)
{
	bool stopped;

	pthread_mutex_lock(&x->lock);
	stopped = x->stopped;
	pthread_mutex_unlock(&x->lock);
	return stopped || pl_meter_cancelled(&x->meter);
}

/* ---- names ---- */

static uint64_t
hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211u;
	return h;
}

static uint64_t
hash_path(const struct folder *f, const char *name)
{
	uint64_t h = hash_text(hash_text(hash_text(14695981039346656037u, f->path), "/"), name);

	return h ? h : 1;
}

static uint64_t *
made_slot(uint64_t *made, size_t capacity, uint64_t hash)
{
	size_t i = (size_t)(hash * 0x9e3779b97f4a7c15u >> 20) & (capacity - 1);

	while (made[i] && made[i] != hash)
		i = (i + 1) & (capacity - 1);
	return &made[i];
}

static bool
was_made(const struct extraction *x, uint64_t hash)
{
	return x->made_capacity && *made_slot(x->made, x->made_capacity, hash);
}

static int
remember_made(struct extraction *x, uint64_t hash, struct platter_error *err)
{
	if (x->nr_made * 2 >= x->made_capacity) {
		size_t capacity = PL_MAX(1024, x->made_capacity * 2);
		uint64_t *made = calloc(capacity, sizeof *made);

		if (!made)
			return pl_no_memory(err);
		for (size_t i = 0; i < x->made_capacity; i++)
			if (x->made[i])
				*made_slot(made, capacity, x->made[i]) = x->made[i];
		free(x->made);
		x->made = made;
		x->made_capacity = capacity;
	}
	*made_slot(x->made, x->made_capacity, hash) = hash;
	x->nr_made++;
	return 0;
}

/* A name that stays in its folder, and is not too long for it. */
static char *
safe_name(const char *name)
{
	char *safe = strlen(name) <= LONGEST ? strdup(name) : strndup(name, LONGEST - 8);

	for (char *p = safe; p && *p; p++)
		if (*p == '/')
			*p = '_';
	if (safe && (!*safe || !strcmp(safe, ".") || !strcmp(safe, ".."))) {
		free(safe);
		safe = strdup("_");
	}
	return safe;
}

/*
 * What `name` is called outside, in `f`: itself, or if that is unsafe or taken by what this
 * extraction has made, another name, which is noted.
 */
static int
name_outside(struct extraction *x, const struct folder *f, const char *name, const char *path,
	     char **ret, struct platter_error *err)
{
	PL_AUTOFREE char *safe = safe_name(name);
	char *chosen = safe ? strdup(safe) : NULL;

	for (unsigned i = 2; chosen && was_made(x, hash_path(f, chosen)); i++) {
		int room = LONGEST - 12;

		free(chosen);
		chosen = pl_format("%.*s~%u", room, safe, i);
	}
	if (!chosen || remember_made(x, hash_path(f, chosen), err) < 0) {
		free(chosen);
		return pl_no_memory(err);
	}
	if (strcmp(chosen, name) != 0)
		note(x, PLATTER_EXTRACT_RENAMED, path, "is '%s' outside", chosen);
	*ret = chosen;
	return 0;
}

/* ---- metadata ---- */

static struct timespec
timespec_of(struct platter_time t)
{
	if (t.seconds == PLATTER_NO_TIME)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	return (struct timespec){ .tv_sec = t.seconds, .tv_nsec = t.nanoseconds };
}

static void
times_of(const struct platter_file *f, struct timespec ret[static 2])
{
	ret[0] = timespec_of(f->accessed.seconds == PLATTER_NO_TIME ? f->modified : f->accessed);
	ret[1] = timespec_of(f->modified);
}

/* Owner first: changing it takes set-user-ID away, which is for that owner alone. */
static void
set_metadata(struct extraction *x, int fd, const struct platter_file *f)
{
	bool owned =
		x->root && f->has_owner && !x->options->no_owner && fchown(fd, f->uid, f->gid) == 0;
	struct timespec times[2];
	struct stat st;

	if (f->has_mode)
		fchmod(fd, f->mode & (owned ? 07777 : 0777));
	else if (f->attributes & PLATTER_FILE_READ_ONLY && f->type == PLATTER_FILE_REGULAR &&
		 fstat(fd, &st) == 0)
		fchmod(fd, st.st_mode & 0555);
	times_of(f, times);
	futimens(fd, times);
}

struct attributes {
	struct extraction *x;
	int fd;
	const char *path;
};

/* The name that Linux takes; foreign ones go to where users may keep what they like. */
static int
set_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	static const char *const spaces[] = { "user.", "security.", "trusted.", "system." };
	struct attributes *to = closure;
	struct extraction *x = to->x;
	PL_AUTOFREE char *foreign = NULL;
	const char *name = a->name;
	bool known = false, said;

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		known |= !strncmp(name, spaces[i], strlen(spaces[i]));
	if (!known) {
		foreign = pl_format("user.%s", a->name);
		if (!foreign)
			return pl_no_memory(err);
		name = foreign;
	}
	if (fsetxattr(to->fd, name, a->value, (size_t)a->size, 0) == 0)
		return 0;
	/* Rights of another system mean nothing here, and others' only root may set. */
	if (!strncmp(name, "system.ntfs", 11) || (!x->root && strncmp(name, "user.", 5) != 0))
		return 0;
	pthread_mutex_lock(&x->lock);
	said = x->lost_attributes;
	x->lost_attributes = true;
	pthread_mutex_unlock(&x->lock);
	if (!said)
		note(x, PLATTER_EXTRACT_INCOMPLETE, to->path,
		     "its extended attribute '%s', and maybe those of others, cannot be kept: %s",
		     name, strerror(errno));
	return 0;
}

static void
set_attributes(struct extraction *x, int fd, struct pl_node_id id, const char *path)
{
	struct attributes to = { x, fd, path };
	struct platter_error err = PLATTER_ERROR_INIT;

	if (x->v->ops->xattrs && x->v->ops->xattrs(x->v, id, set_attribute, &to, &err) < 0)
		note(x, PLATTER_EXTRACT_INCOMPLETE, path, "its extended attributes: %s",
		     err.message);
}

/* ---- folders ---- */

static void
folder_unref(struct extraction *x, struct folder *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	if (f->has_file)
		set_metadata(x, f->fd, &f->file);
	close(f->fd);
	free(f->path);
	free(f);
}

/* `path` is taken over. */
static int
folder_new(int fd, char *path, struct folder **ret, struct platter_error *err)
{
	struct folder *f = path ? calloc(1, sizeof *f) : NULL;

	if (!f) {
		close(fd);
		free(path);
		return pl_no_memory(err);
	}
	f->fd = fd;
	f->path = path;
	atomic_init(&f->refs, 1);
	*ret = f;
	return 0;
}

/* Folder `name` of `above`, which may exist if it is one. */
static int
make_folder(struct folder *above, const char *name, struct folder **ret, struct platter_error *err)
{
	int fd;

	if (mkdirat(above->fd, name, 0700) < 0 && errno != EEXIST)
		return pl_fail_errno(err, -errno, "make folder '%s/%s'", above->path, name);
	fd = openat(above->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return pl_fail_errno(err, -errno, "open folder '%s/%s'", above->path, name);
	return folder_new(fd, pl_format("%s/%s", above->path, name), ret, err);
}

/* ---- contents ---- */

static void
target_free(struct extraction *x, struct target *t)
{
	pl_disk_unref(t->disk);
	if (t->fd >= 0)
		close(t->fd);
	folder_unref(x, t->folder);
	pthread_mutex_destroy(&t->lock);
	free(t->path);
	free(t->name);
	free(t->stream);
	free(t);
}

static int
write_at(const struct target *t, const uint8_t *bytes, size_t n, uint64_t offset,
	 struct platter_error *err)
{
	while (n) {
		ssize_t done = pwrite(t->fd, bytes, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return pl_fail_errno(err, -errno, "write '%s/%s'", t->folder->path,
					     t->name);
		bytes += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* Open what is copied, and the file that it goes to, under a name of its own. */
static int
start_target(struct extraction *x, struct target *t, struct platter_error *err)
{
	int r = pl_volume_open_file(x->v, t->id, t->stream, t->path, &t->disk, err);

	if (r < 0)
		return r;
	t->fd = openat(t->folder->fd, t->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       0666);
	if (t->fd < 0)
		return pl_fail_errno(err, -errno, "make '%s/%s'", t->folder->path, t->name);
	return 0;
}

static int
copy_range(struct extraction *x, struct target *t, uint64_t offset, uint64_t length,
	   struct platter_error *err)
{
	size_t room = (size_t)PL_MIN(COPY_SIZE, length);
	PL_AUTOFREE uint8_t *buf = malloc(room + 1);
	uint64_t end = offset + length;
	int r = 0;

	if (!buf)
		return pl_no_memory(err);
	while (offset < end && r == 0) {
		enum platter_kind kind;
		uint64_t run;

		if (is_stopped(x))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_span(t->disk, offset, end - offset, &kind, &run, err);
		if (r < 0)
			break;
		run = PL_MIN(run, end - offset);
		if (kind == PLATTER_BAD)
			atomic_fetch_add(&t->bad, run);
		for (uint64_t done = 0; kind == PLATTER_DATA && done < run && r == 0;) {
			size_t n = (size_t)PL_MIN(room, run - done);

			r = pl_read_once(t->disk, buf, n, offset + done, err);
			if (r == 0)
				r = write_at(t, buf, n, offset + done, err);
			done += n;
			if (r == 0 && offset + done == t->disk->size)
				atomic_store(&t->is_full, true);
			pl_meter_add(&x->meter, n, n);
		}
		offset += run;
	}
	return r;
}

/* Give a whole file its name. */
static int
finish_target(struct extraction *x, struct target *t, struct platter_error *err)
{
	unsigned how = x->options->overwrite ? 0 : RENAME_NOREPLACE;

	if (t->disk->size && !atomic_load(&t->is_full) &&
	    ftruncate(t->fd, (off_t)t->disk->size) < 0)
		return pl_fail_errno(err, -errno, "write '%s/%s'", t->folder->path, t->name);
	if (!t->stream)
		set_attributes(x, t->fd, t->id, t->path);
	set_metadata(x, t->fd, &t->file);
	if (renameat2(t->folder->fd, t->part, t->folder->fd, t->name, how) < 0)
		return pl_fail_errno(err, -errno, "name '%s/%s'", t->folder->path, t->name);
	return 0;
}

static void
tell_target(struct extraction *x, struct target *t)
{
	uint64_t bad = atomic_load(&t->bad);

	if (t->failed == -EEXIST) {
		note(x, PLATTER_EXTRACT_SKIPPED, t->path, "a file of that name exists");
	} else if (t->failed < 0 && t->failed != -ECANCELED) {
		note(x, PLATTER_EXTRACT_FAILED, t->path, "%s", t->err.message);
	} else if (t->failed == 0) {
		pthread_mutex_lock(&x->lock);
		x->result->files++;
		x->result->bytes += t->disk->size;
		pthread_mutex_unlock(&x->lock);
		if (bad)
			note(x, PLATTER_EXTRACT_INCOMPLETE, t->path,
			     "%" PRIu64 " bytes of it could not be read from the original", bad);
		if (t->recovery == PLATTER_RECOVERY_PARTLY)
			note(x, PLATTER_EXTRACT_INCOMPLETE, t->path,
			     "some of its space was given to another file since");
	}
}

/* The last piece of a file is done. */
static void
end_target(struct extraction *x, struct target *t)
{
	if (t->failed == 0 && t->fd >= 0)
		t->failed = finish_target(x, t, &t->err);
	if (t->failed < 0 && t->fd >= 0)
		unlinkat(t->folder->fd, t->part, 0);
	if (ends_all(t->failed))
		stop(x, t->failed, &t->err);
	if (t->link)
		x->links.link[t->link - 1].made = t->failed == 0;
	tell_target(x, t);
	target_free(x, t);
}

static int
failure_of(struct target *t)
{
	int failed;

	pthread_mutex_lock(&t->lock);
	failed = t->failed;
	pthread_mutex_unlock(&t->lock);
	return failed;
}

/* Only a file of one piece is opened by the thread that copies it. */
static int
copy_piece_of(struct extraction *x, const struct piece *p, struct platter_error *err)
{
	struct target *t = p->target;
	int r = t->disk ? 0 : start_target(x, t, err);

	if (r < 0 || p->offset >= t->disk->size)
		return r;
	return copy_range(x, t, p->offset, PL_MIN(p->length, t->disk->size - p->offset), err);
}

static void
copy_piece(void *closure, size_t index)
{
	struct extraction *x = closure;
	struct target *t = x->piece[index].target;
	struct platter_error err = PLATTER_ERROR_INIT;
	int r = failure_of(t);

	if (r == 0)
		r = copy_piece_of(x, &x->piece[index], &err);
	if (r < 0) {
		pthread_mutex_lock(&t->lock);
		if (!t->failed) {
			t->failed = r;
			t->err = err;
		}
		pthread_mutex_unlock(&t->lock);
	}
	if (atomic_fetch_sub(&t->pieces, 1) == 1)
		end_target(x, t);
}

/* Copy what was gathered. */
static int
flush(struct extraction *x, struct platter_error *err)
{
	pl_parallel(x->nr_pieces, copy_piece, x);
	x->nr_pieces = x->nr_targets = 0;
	x->bytes = 0;
	if (x->stopped) {
		if (err)
			*err = x->why;
		return x->stopped;
	}
	return pl_meter_cancelled(&x->meter) ? pl_fail(err, -ECANCELED, "cancelled") : 0;
}

/* Gather the pieces of a file, which belongs to the extraction from here on. */
static int
gather(struct extraction *x, struct target *t, struct platter_error *err)
{
	uint64_t offset = 0, size = t->file.size;
	int r = 0;

	/* Several threads will want it open, and its true size. */
	if (size > PIECE) {
		t->failed = start_target(x, t, &t->err);
		size = t->failed == 0 ? t->disk->size : 0;
	}
	/* Until the last piece is gathered the file is not done. */
	atomic_init(&t->pieces, 1);
	do {
		uint64_t n = PL_MIN(size - offset, PIECE);
		bool last = offset + n == size;

		if (x->nr_pieces == MAX_BATCH || x->bytes > BATCH_BYTES)
			r = flush(x, err);
		atomic_fetch_add(&t->pieces, !last);
		/* A small one may turn out to be longer than its folder says: all of it is copied. */
		x->piece[x->nr_pieces++] =
			(struct piece){ t, offset, size > PIECE ? n : UINT64_MAX };
		x->bytes += n;
		offset += n;
	} while (offset < size && r == 0);
	if (offset < size && atomic_fetch_sub(&t->pieces, 1) == 1)
		end_target(x, t);
	if (r == 0 && ++x->nr_targets >= MAX_TARGETS)
		r = flush(x, err);
	return r;
}

static int
add_target(struct extraction *x, struct folder *f, const struct pl_visited *v, const char *name,
	   const char *stream, size_t link, enum platter_recovery recovery,
	   struct platter_error *err)
{
	struct target *t = calloc(1, sizeof *t);

	if (!t)
		return pl_no_memory(err);
	pthread_mutex_init(&t->lock, NULL);
	t->fd = -1;
	t->folder = f;
	atomic_fetch_add(&f->refs, 1);
	t->id = v->id;
	t->file = *v->file;
	t->path = strdup(v->path);
	t->name = strdup(name);
	t->stream = stream ? strdup(stream) : NULL;
	t->link = link;
	t->recovery = recovery;
	snprintf(t->part, sizeof t->part, ".platter-%d-%u.part", (int)getpid(), x->nr_parts++);
	if (!t->path || !t->name || (stream && !t->stream)) {
		target_free(x, t);
		return pl_no_memory(err);
	}
	return gather(x, t, err);
}

/* ---- links ---- */

static void
count_link(struct extraction *x)
{
	pthread_mutex_lock(&x->lock);
	x->result->links++;
	pthread_mutex_unlock(&x->lock);
}

/* Another name for a file that was made; false if that does not work. */
static bool
make_hard_link(struct extraction *x, const struct pl_link *first, struct folder *f,
	       const char *name)
{
	if (linkat(x->trail[0]->fd, first->path, f->fd, name, 0) == 0)
		return true;
	return errno == EEXIST && x->options->overwrite && unlinkat(f->fd, name, 0) == 0 &&
	       linkat(x->trail[0]->fd, first->path, f->fd, name, 0) == 0;
}

static int
extract_symlink(struct extraction *x, struct folder *f, const struct pl_visited *v,
		const char *name, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *target = NULL;
	struct timespec times[2];
	int r = pl_volume_read_link(x->v, v->id, &target, &why);

	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r < 0) {
		note(x, PLATTER_EXTRACT_FAILED, v->path, "%s", why.message);
		return 0;
	}
	if (x->options->overwrite)
		unlinkat(f->fd, name, 0);
	if (symlinkat(target, f->fd, name) < 0) {
		note(x, errno == EEXIST ? PLATTER_EXTRACT_SKIPPED : PLATTER_EXTRACT_FAILED, v->path,
		     "cannot make the link: %s", strerror(errno));
		return 0;
	}
	if (x->root && v->file->has_owner && !x->options->no_owner &&
	    fchownat(f->fd, name, v->file->uid, v->file->gid, AT_SYMLINK_NOFOLLOW) < 0)
		note(x, PLATTER_EXTRACT_INCOMPLETE, v->path, "its owner cannot be kept: %s",
		     strerror(errno));
	times_of(v->file, times);
	utimensat(f->fd, name, times, AT_SYMLINK_NOFOLLOW);
	count_link(x);
	return 0;
}

/* ---- the rest ---- */

static int
extract_special(struct extraction *x, struct folder *f, const struct pl_visited *v,
		const char *name)
{
	static const mode_t types[] = {
		[PLATTER_FILE_FIFO] = S_IFIFO,
		[PLATTER_FILE_SOCKET] = S_IFSOCK,
		[PLATTER_FILE_CHARACTER_DEVICE] = S_IFCHR,
		[PLATTER_FILE_BLOCK_DEVICE] = S_IFBLK,
		[PLATTER_FILE_OTHER] = 0,
	};
	mode_t type = v->file->type < ARRAY_SIZE(types) ? types[v->file->type] : 0;
	struct timespec times[2];

	if (!type) {
		note(x, PLATTER_EXTRACT_SKIPPED, v->path, "%s",
		     v->file->note ? v->file->note : "it is of a kind that is not known");
		return 0;
	}
	if ((type == S_IFCHR || type == S_IFBLK) && !x->root) {
		note(x, PLATTER_EXTRACT_SKIPPED, v->path, "only root can make devices");
		return 0;
	}
	if (x->options->overwrite)
		unlinkat(f->fd, name, 0);
	if (mknodat(f->fd, name, type | 0600, makedev(v->file->major, v->file->minor)) < 0) {
		note(x, PLATTER_EXTRACT_SKIPPED, v->path, "cannot be made: %s", strerror(errno));
		return 0;
	}
	if (x->root && v->file->has_owner && !x->options->no_owner &&
	    fchownat(f->fd, name, v->file->uid, v->file->gid, AT_SYMLINK_NOFOLLOW) < 0)
		note(x, PLATTER_EXTRACT_INCOMPLETE, v->path, "its owner cannot be kept: %s",
		     strerror(errno));
	if (v->file->has_mode)
		fchmodat(f->fd, name, v->file->mode & 0777, 0);
	times_of(v->file, times);
	utimensat(f->fd, name, times, AT_SYMLINK_NOFOLLOW);
	pthread_mutex_lock(&x->lock);
	x->result->others++;
	pthread_mutex_unlock(&x->lock);
	return 0;
}

static int
extract_regular(struct extraction *x, struct folder *f, const struct pl_visited *v,
		const char *name, struct platter_error *err)
{
	size_t i = 0;
	int r = 0;

	if (v->file->links < 2)
		return add_target(x, f, v, name, NULL, 0, PLATTER_RECOVERY_WHOLE, err);
	r = pl_links_find(&x->links, v->id, &i, err);
	if (r < 0)
		return r;
	if (x->links.link[i].path) {
		r = flush(x, err);
		if (r < 0)
			return r;
		if (x->links.link[i].made && make_hard_link(x, &x->links.link[i], f, name)) {
			count_link(x);
			return 0;
		}
		return add_target(x, f, v, name, NULL, 0, PLATTER_RECOVERY_WHOLE, err);
	}
	/* From the folder that was given, whose descriptor stays open. */
	x->links.link[i].path =
		f == x->trail[0]
			? strdup(name)
			: pl_format("%s/%s", f->path + strlen(x->trail[0]->path) + 1, name);
	if (!x->links.link[i].path)
		return pl_no_memory(err);
	return add_target(x, f, v, name, NULL, i + 1, PLATTER_RECOVERY_WHOLE, err);
}

struct streams {
	struct extraction *x;
	struct folder *folder;
	const struct pl_visited *v;
	const char *name;
};

static int
extract_stream(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct streams *s = closure;
	PL_AUTOFREE char *inside = pl_format("%s:%s", s->name, a->name);
	PL_AUTOFREE char *outside = NULL;
	struct platter_file file = *s->v->file;
	struct pl_visited v = *s->v;
	int r = inside ? name_outside(s->x, s->folder, inside, s->v->path, &outside, err)
		       : pl_no_memory(err);

	if (r < 0)
		return r;
	file.size = a->size;
	v.file = &file;
	return add_target(s->x, s->folder, &v, outside, a->name, 0, PLATTER_RECOVERY_WHOLE, err);
}

static int
extract_file(struct extraction *x, struct folder *f, const struct pl_visited *v,
	     struct platter_error *err)
{
	const char *inside = v->depth || !x->first_name ? v->name : x->first_name;
	struct streams streams = { x, f, v, NULL };
	PL_AUTOFREE char *name = NULL;
	int r = name_outside(x, f, inside, v->path, &name, err);

	if (r < 0)
		return r;
	if (v->file->type == PLATTER_FILE_SYMLINK)
		return extract_symlink(x, f, v, name, err);
	if (v->file->type != PLATTER_FILE_REGULAR)
		return extract_special(x, f, v, name);
	r = extract_regular(x, f, v, name, err);
	streams.name = name;
	if (r == 0 && x->options->streams && x->v->ops->streams)
		r = x->v->ops->streams(x->v, v->id, extract_stream, &streams, err);
	return r;
}

static int
enter_folder(struct extraction *x, const struct pl_visited *v, struct platter_error *err)
{
	struct folder *above = x->trail[x->nr_trail - 1], *f;
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *name = NULL;
	int r;

	if (!v->depth && !x->first_name) {
		/* The folder that was given stays what it is. */
		atomic_fetch_add(&above->refs, 1);
		x->trail[x->nr_trail++] = above;
		return 0;
	}
	r = name_outside(x, above, v->depth ? v->name : x->first_name, v->path, &name, err);
	if (r < 0)
		return r;
	r = make_folder(above, name, &f, &why);
	if (r < 0) {
		if (ends_all(r)) {
			if (err)
				*err = why;
			return r;
		}
		note(x, PLATTER_EXTRACT_FAILED, v->path, "%s", why.message);
		return PL_SKIP;
	}
	f->file = *v->file;
	f->has_file = true;
	set_attributes(x, f->fd, v->id, v->path);
	x->trail[x->nr_trail++] = f;
	pthread_mutex_lock(&x->lock);
	x->result->folders++;
	pthread_mutex_unlock(&x->lock);
	return 0;
}

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	struct extraction *x = closure;

	if (pl_meter_cancelled(&x->meter))
		return pl_fail(err, -ECANCELED, "cancelled");
	switch (v->what) {
	case PL_VISIT_ERROR:
		note(x, PLATTER_EXTRACT_FAILED, v->path, "%s", v->error->message);
		return 0;
	case PL_VISIT_FOLDER: return enter_folder(x, v, err);
	case PL_VISIT_LEAVE: folder_unref(x, x->trail[--x->nr_trail]); return 0;
	default: return extract_file(x, x->trail[x->nr_trail - 1], v, err);
	}
}

/* The folder that a deleted file was in, made anew as far as its path is known. */
static int
folder_of_path(struct extraction *x, const char *path, struct folder **ret, const char **ret_name,
	       struct platter_error *err)
{
	struct folder *f = x->trail[0];
	const char *slash;
	int r = 0;

	atomic_fetch_add(&f->refs, 1);
	for (unsigned depth = 0; (slash = strchr(path, '/')) && r == 0; path = slash + 1) {
		PL_AUTOFREE char *part = strndup(path, (size_t)(slash - path));
		PL_AUTOFREE char *name = part ? safe_name(part) : NULL;
		struct folder *below;

		if (slash == path)
			continue;
		r = !name ? pl_no_memory(err)
		    : depth++ > PL_MAX_FOLDERS
			    ? pl_over_limit(err, PLATTER_NO_OFFSET,
					    "more than %d folders in each other", PL_MAX_FOLDERS)
			    : make_folder(f, name, &below, err);
		if (r < 0)
			break;
		folder_unref(x, f);
		f = below;
	}
	if (r < 0) {
		folder_unref(x, f);
		return r;
	}
	*ret = f;
	*ret_name = path;
	return 0;
}

static int
extract_deleted(void *closure, const struct pl_deleted *d, struct platter_error *err)
{
	struct extraction *x = closure;
	const struct pl_visited v = { .path = d->path, .id = d->id, .file = &d->file };
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *name = NULL;
	const char *inside;
	struct folder *f;
	int r;

	if (pl_meter_cancelled(&x->meter))
		return pl_fail(err, -ECANCELED, "cancelled");
	if (d->file.type != PLATTER_FILE_REGULAR)
		return 0;
	if (d->recovery == PLATTER_RECOVERY_NOTHING) {
		note(x, PLATTER_EXTRACT_SKIPPED, d->path, "nothing of it is left");
		return 0;
	}
	r = folder_of_path(x, d->path, &f, &inside, &why);
	if (r < 0 && !ends_all(r)) {
		note(x, PLATTER_EXTRACT_FAILED, d->path, "%s", why.message);
		return 0;
	}
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	r = name_outside(x, f, inside, d->path, &name, err);
	if (r == 0)
		r = add_target(x, f, &v, name, NULL, 0, d->recovery, err);
	folder_unref(x, f);
	return r;
}

static int
open_given(const char *path, struct folder **ret, struct platter_error *err)
{
	int fd;

	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return pl_fail_errno(err, -errno, "make folder '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return pl_fail_errno(err, -errno, "open folder '%s'", path);
	return folder_new(fd, strdup(path), ret, err);
}

static int
extract(struct extraction *x, struct pl_node_id start, struct platter_error *err)
{
	int r, later;

	if (x->options->deleted)
		r = x->v->ops->deleted ? x->v->ops->deleted(x->v, extract_deleted, x, err)
				       : pl_unsupported(err, PLATTER_NO_OFFSET,
							"what was deleted on '%s' cannot be told",
							x->v->disk->name);
	else
		r = pl_walk_tree(x->v, start, 0, visit, x, err);
	later = flush(x, r < 0 ? NULL : err);
	while (x->nr_trail)
		folder_unref(x, x->trail[--x->nr_trail]);
	return r < 0 ? r : later;
}

int
pl_extract(struct pl_volume *v, struct pl_node_id start, const char *name, const char *folder,
	   const struct platter_extract_options *options, struct platter_progress *progress,
	   struct platter_extract_result *ret, struct platter_error *err)
{
	PL_AUTOFREE struct extraction *x = calloc(1, sizeof *x);
	int r;

	if (!x)
		return pl_no_memory(err);
	x->v = v;
	x->options = options;
	x->result = ret;
	x->first_name = name;
	x->root = geteuid() == 0;
	x->piece = calloc(MAX_BATCH + 1, sizeof *x->piece);
	if (!x->piece)
		return pl_no_memory(err);
	pthread_mutex_init(&x->lock, NULL);
	pl_meter_start(&x->meter, progress, "extracting", UINT64_MAX);
	r = open_given(folder, &x->trail[0], err);
	if (r == 0) {
		x->nr_trail = 1;
		r = extract(x, start, err);
	}
	ret->seconds = pl_meter_seconds(&x->meter);
	pl_meter_finish(&x->meter);
	pthread_mutex_destroy(&x->lock);
	pl_links_done(&x->links);
	free(x->made);
	free(x->piece);
	return r;
}
