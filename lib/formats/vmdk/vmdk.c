/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vmdk.c - VMware's virtual disks
 *
 * A descriptor lists the extents of which the disk is made: files as they are, sparse files
 * of three kinds, and runs of zeros.  It is a file of its own, or stands inside of the one
 * sparse extent that is the disk.  Spec: VMware, "Virtual Disk Format 5.0".
 */
#include "vmdk.h"
#include "parent.h"
#include "storage.h"
#include "text.h"

static int
vmdk_probe(const struct pl_probe *probe)
{
	const uint8_t *h = probe->head;
	uint32_t version = get_le32(h + 4);

	if (probe->size < VMDK_SECTOR)
		return pl_vmdk_descriptor_probe(h, (size_t)probe->size);
	/* Other versions are claimed too: the opener names them better than "raw" would. */
	if (get_le32(h) == HOSTED_MAGIC)
		return version >= 1 && version <= 3 ? 64 : 32;
	if (get_le32(h) == COWD_MAGIC)
		return version == 1 ? 64 : 32;
	if (get_le64(h) == SE_MAGIC)
		return 64;
	return pl_vmdk_descriptor_probe(h, (size_t)PL_MIN(probe->size, PL_PROBE_HEAD));
}

static void
vmdk_free(struct pl_disk *disk)
{
	struct vmdk *v = vmdk_of(disk);

	for (size_t i = 0; i < v->nr_extents; i++) {
		pl_vmdk_close(&v->extents[i]);
		pl_vmdk_sparse_free(v->extents[i].sparse);
	}
	free(v->extents);
	for (size_t i = 0; i < v->nr_files; i++)
		pl_disk_unref(v->files[i]);
	free(v->files);
	pl_vmdk_descriptor_done(&v->descriptor);
	pl_disk_done(disk);
	free(v);
}

static struct pl_disk *
vmdk_below(struct pl_disk *disk, size_t index)
{
	struct vmdk *v = vmdk_of(disk);

	return index < v->nr_files ? v->files[index] : NULL;
}

struct vmdk_extent *
pl_vmdk_extent_at(struct vmdk *v, uint64_t offset)
{
	size_t low = 0, high = v->nr_extents;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (v->extents[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &v->extents[low];
}

static int
vmdk_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct vmdk_extent *e = pl_vmdk_extent_at(vmdk_of(disk), offset);
	uint64_t in_extent = offset - e->start;
	int r;

	if (e->sparse) {
		r = pl_vmdk_sparse_map(e->sparse, e->start, in_extent, length, ret, err);
		if (r < 0) {
			pl_error_place(err, e->file->name);
			return r;
		}
		/* Its file may have a larger capacity than the disk has taken from it. */
		ret->length = PL_MIN(ret->length, e->length - in_extent);
		return 0;
	}
	*ret = (struct pl_extent){ .length = e->length - in_extent, .kind = PLATTER_ZERO };
	if (e->type == VMDK_FLAT) {
		ret->kind = PLATTER_DATA;
		ret->below = e->file;
		ret->stored_offset = e->file_offset + in_extent;
	}
	return 0;
}

static const struct pl_disk_ops vmdk_ops = {
	.name = "vmdk",
	.map = vmdk_map,
	.write = pl_vmdk_write,
	.zero = pl_vmdk_zero,
	.discard = pl_vmdk_discard,
	.flush = pl_vmdk_flush,
	.resize = pl_vmdk_resize,
	.below = vmdk_below,
	.describe = pl_vmdk_describe,
	.free = vmdk_free,
};

static int
new_image(struct pl_disk *file, struct vmdk **ret, struct platter_error *err)
{
	struct vmdk *v = calloc(1, sizeof *v);
	int r;

	if (!v)
		return pl_no_memory(err);
	r = pl_disk_init(&v->disk, &vmdk_ops, file->name, err);
	if (r < 0) {
		free(v);
		return r;
	}
	v->descriptor.parent_cid = VMDK_NO_PARENT;
	*ret = v;
	return 0;
}

/* Room for `nr` extents, each with a file, and for the file that was opened. */
static int
make_room(struct vmdk *v, size_t nr, struct pl_disk *file, struct platter_error *err)
{
	v->files = calloc(nr + 1, sizeof(struct pl_disk *));
	v->extents = calloc(nr, sizeof *v->extents);
	if (!v->files || !v->extents)
		return pl_no_memory(err);
	v->files[v->nr_files++] = pl_disk_ref(file);
	return pl_disk_stack(&v->disk, file, err);
}

static void
add_extent(struct vmdk *v, struct vmdk_extent e)
{
	e.start = v->disk.size;
	v->extents[v->nr_extents++] = e;
	v->disk.size += e.length;
}

static int
read_descriptor(struct vmdk *v, struct pl_disk *file, uint64_t at, uint64_t n,
		struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	if (n > VMDK_MAX_DESCRIPTOR)
		return pl_over_limit(err, at,
				     "a descriptor of %" PRIu64 " bytes, limit is %" PRIu64, n,
				     (uint64_t)VMDK_MAX_DESCRIPTOR);
	r = pl_read_alloc(file, (size_t)n, at, &bytes, err);
	if (r == 0)
		r = pl_vmdk_descriptor_parse(bytes, (size_t)n, at, &v->descriptor, err);
	v->text_at = at;
	v->text_room = n;
	return r;
}

/*
 * An image may only name files beside it or below: anything else would let it show what
 * its reader may read and its maker may not.
 */
static int
check_name(const struct vmdk_line *line, struct platter_error *err)
{
	const char *name = line->name, *p = name, *why = NULL;
	int r;

	if (*name == '/' || *name == '\\')
		why = "an absolute path";
	else if (name[strcspn(name, ":/\\")] == ':')
		why = "a protocol or a drive";
	while (!why && *p) {
		size_t n = strcspn(p, "/\\");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			why = "a path out of the folder of its descriptor";
		p += n + (p[n] != '\0');
	}
	if (!why)
		return 0;
	r = pl_unsupported(err, line->at, "the extent '%s' is named by %s, which is not followed",
			   name, why);
	pl_hint(err, "put the file beside the descriptor and name it without a folder there");
	return r;
}

static int
open_extent_file(const struct pl_open_request *request, const struct vmdk_line *line,
		 struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r = check_name(line, err);

	if (r < 0)
		return r;
	if (!request->related)
		return pl_fail_at(err, -ENOTSUP, line->at,
				  "the extent '%s' cannot be reached from here", line->name);
	r = request->related->open(request->related, line->name, "raw",
				   request->flags & PLATTER_OPEN_WRITE, &file, err);
	if (r < 0) {
		pl_context(err, "extent of '%s'", request->file->name);
		return r;
	}
	if (pl_storage_is_device(file))
		return pl_unsupported(err, line->at,
				      "the extent '%s' is a device, which is not followed",
				      line->name);
	*ret = PL_STEAL(file);
	return 0;
}

static int
check_flat(const struct vmdk_extent *e, const struct vmdk_line *line, struct platter_error *err)
{
	int r;

	if (pl_in_range(e->file_offset, e->length, e->file->size))
		return 0;
	r = pl_corrupt(err, line->at,
		       "the extent '%s' of %" PRIu64 " bytes from byte %" PRIu64
		       " is in a file of %" PRIu64,
		       line->name, e->length, e->file_offset, e->file->size);
	pl_hint(err, "the file is cut short: compare its size with the original");
	return r;
}

static int
open_sparse(const struct pl_open_request *request, const struct vmdk_line *line,
	    struct vmdk_extent *e, struct platter_error *err)
{
	int r = pl_vmdk_sparse_open(e->file, request->flags, &e->sparse, err);

	if (r < 0)
		return r;
	if (e->sparse->capacity < e->length) {
		r = pl_corrupt(err, line->at,
			       "the extent '%s' of %" PRIu64 " bytes has a capacity of %" PRIu64,
			       line->name, e->length, e->sparse->capacity);
		pl_vmdk_sparse_free(e->sparse);
	}
	return r;
}

static int
open_line(struct vmdk *v, const struct pl_open_request *request, const struct vmdk_line *line,
	  struct platter_error *err)
{
	struct vmdk_extent e = { .type = line->type,
				 .length = line->sectors * VMDK_SECTOR,
				 .file_offset = line->file_sector * VMDK_SECTOR };
	int r;

	if (line->no_access)
		return pl_unsupported(err, line->at,
				      "an extent of %" PRIu64 " sectors that is marked NOACCESS",
				      line->sectors);
	if (!pl_in_range(v->disk.size, e.length, INT64_MAX))
		return pl_over_limit(err, line->at, "a disk of more than %" PRId64 " bytes",
				     INT64_MAX);
	if (line->type == VMDK_ZERO) {
		add_extent(v, e);
		return 0;
	}
	r = open_extent_file(request, line, &e.file, err);
	if (r < 0)
		return r;
	v->files[v->nr_files++] = e.file;
	r = pl_disk_stack(&v->disk, e.file, err);
	if (r == 0)
		r = e.type == VMDK_FLAT ? check_flat(&e, line, err)
					: open_sparse(request, line, &e, err);
	if (r == 0)
		add_extent(v, e);
	return r;
}

/* The extents that the descriptor lists. */
static int
open_lines(struct vmdk *v, const struct pl_open_request *request, struct platter_error *err)
{
	const struct vmdk_descriptor *d = &v->descriptor;
	int r = 0;

	if (!d->nr_lines)
		return pl_corrupt(err, 0, "a descriptor without extents");
	r = make_room(v, d->nr_lines, request->file, err);
	for (size_t i = 0; r == 0 && i < d->nr_lines; i++)
		r = open_line(v, request, &d->lines[i], err);
	return r;
}

/* The file is itself a sparse extent; what a descriptor in it calls it does not matter. */
static int
open_single(struct vmdk *v, const struct pl_open_request *request, struct platter_error *err)
{
	struct vmdk_sparse *s;
	int r = pl_vmdk_sparse_open(request->file, request->flags, &s, err);

	if (r < 0)
		return r;
	if (s->descriptor_bytes)
		r = read_descriptor(v, request->file, s->descriptor_at, s->descriptor_bytes, err);
	/* Without a capacity it only contains the descriptor, unless the disk is empty. */
	if (r == 0 && !s->capacity && v->descriptor.nr_lines && v->descriptor.lines[0].sectors) {
		pl_vmdk_sparse_free(s);
		return open_lines(v, request, err);
	}
	if (r == 0)
		r = make_room(v, 1, request->file, err);
	if (r < 0) {
		pl_vmdk_sparse_free(s);
		return r;
	}
	add_extent(v, (struct vmdk_extent){ .type = s->type,
					    .length = s->capacity,
					    .file = request->file,
					    .sparse = s });
	return 0;
}

/* What a name ends with, whether it comes from Windows or not. */
static const char *
base_name(const char *name)
{
	const char *base = name;

	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == '\\')
			base = p + 1;
	return base;
}

/*
 * The name of a parent is a hint, true where the disk was made.  What is not there is
 * looked for beside the image, as VMware's programs do.
 */
static int
open_hinted(const struct pl_open_request *request, const char *hint, struct pl_disk **ret,
	    struct platter_error *err)
{
	const char *base = base_name(hint);
	struct platter_error second = PLATTER_ERROR_INIT;
	int r = request->related->open(request->related, hint, "vmdk", false, ret, err);

	if ((r != -ENOENT && r != -ENOTSUP) || base == hint || !*base)
		return r;
	return request->related->open(request->related, base, "vmdk", false, ret, &second) < 0 ? r
											       : 0;
}

static int
check_cid(const struct vmdk *v, struct pl_disk *parent, unsigned flags, struct platter_error *err)
{
	const struct vmdk_descriptor *d = &vmdk_of(parent)->descriptor;
	int r;

	if (d->has_cid && d->cid == v->descriptor.parent_cid)
		return 0;
	if (d->has_cid && pl_vmdk_was_begun(v, d->cid))
		return pl_parent_was_begun(flags, v->disk.name, parent->name, err);
	if (d->has_cid)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "'%s' has the content ID %08" PRIx32
			       ", its overlay was made for %08" PRIx32,
			       parent->name, d->cid, v->descriptor.parent_cid);
	else
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "'%s' has no content ID, its overlay was made for %08" PRIx32,
			       parent->name, v->descriptor.parent_cid);
	pl_hint(err,
		"the parent was written to since, or is another: say where it is with --parent"
		" FILE; --ignore-checksums takes it as it is, ?backing=no opens the image alone");
	return r;
}

/* Where the hint leads, or else the file that was given; not checked if the request says so. */
static int
find_parent(struct vmdk *v, const struct pl_open_request *request, struct pl_disk **ret,
	    struct platter_error *err)
{
	bool check = !(request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS);
	PL_AUTOUNREF struct pl_disk *hinted = NULL, *given = NULL;
	struct platter_error second = PLATTER_ERROR_INIT;
	int r = open_hinted(request, v->descriptor.parent_hint, &hinted, err), r2;
	bool missing = r < 0 && request->related->missing;

	if (r == 0 && check)
		r = check_cid(v, hinted, request->flags, err);
	if (r == 0) {
		*ret = PL_STEAL(hinted);
		return 0;
	}
	if (!hinted && !missing)
		return r;
	r2 = pl_open_given(request->related, "vmdk", &given, &second);
	if (r2 == 1) {
		if (missing)
			pl_hint(err, "say where it is with --parent FILE, or open the overlay alone"
				     " with ?backing=no");
		return r;
	}
	if (r2 == 0 && check)
		r2 = check_cid(v, given, request->flags, &second);
	if (r2 == 0)
		*ret = PL_STEAL(given);
	else if (err)
		*err = second;
	return r2;
}

static int
open_parent(struct vmdk *v, const struct pl_open_request *request, struct platter_error *err)
{
	const struct vmdk_descriptor *d = &v->descriptor;
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	int r;

	if (d->parent_cid == VMDK_NO_PARENT || request->flags & PLATTER_OPEN_NO_BACKING)
		return 0;
	if (!d->parent_hint || !*d->parent_hint)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "it has a parent of content ID %08" PRIx32 ", whose name is missing",
			       d->parent_cid);
	else if (!request->related)
		r = pl_fail(err, -ENOTSUP, "the parent '%s' cannot be reached from here",
			    d->parent_hint);
	else
		r = find_parent(v, request, &parent, err);
	if (r < 0) {
		pl_context(err, "parent of '%s'", request->file->name);
		if (err && !err->hint[0])
			pl_hint(err, "open the overlay alone with ?backing=no");
		return r;
	}
	v->disk.parent = PL_STEAL(parent);
	return pl_disk_stack(&v->disk, v->disk.parent, err);
}

static int
open_parts(struct vmdk *v, const struct pl_open_request *request, struct platter_error *err)
{
	struct pl_disk *file = request->file;
	uint8_t magic[8];
	int r = pl_read_padded(file, magic, sizeof magic, 0, NULL, err);

	if (r < 0)
		return r;
	if (get_le32(magic) == HOSTED_MAGIC || get_le32(magic) == COWD_MAGIC ||
	    get_le64(magic) == SE_MAGIC) {
		r = open_single(v, request, err);
	} else {
		r = read_descriptor(v, file, 0, file->size, err);
		if (r == 0)
			r = open_lines(v, request, err);
	}
	if (r == 0)
		r = open_parent(v, request, err);
	return r;
}

static int
vmdk_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct vmdk *v;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT,
			       "'%s' is a VMDK image, whose snapshots are files of their own",
			       request->file->name);
	r = new_image(request->file, &v, err);
	if (r < 0)
		return r;
	r = open_parts(v, request, err);
	if (r == 0 && request->flags & PLATTER_OPEN_WRITE && request->file->writable)
		r = pl_vmdk_prepare(v, request->flags, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		vmdk_free(&v->disk);
		return r;
	}
	*ret = &v->disk;
	return 0;
}

static void
describe_text(struct pl_facts *facts, const char *key, const char *label, const char *bytes)
{
	PL_AUTOFREE char *text = bytes ? pl_text_from_bytes(bytes, strlen(bytes)) : NULL;

	if (text && *text)
		pl_fact_text(facts, key, label, "%s", text);
}

/* What the image is if its descriptor does not say. */
static const char *
variant(const struct vmdk *v)
{
	const struct vmdk_sparse *s = v->extents[0].sparse;

	if (v->descriptor.create_type)
		return v->descriptor.create_type;
	if (!s)
		return NULL;
	if (s->type == VMDK_COWD)
		return "vmfsSparse";
	if (s->type == VMDK_SESPARSE)
		return "seSparse";
	return s->flags & HOSTED_FLAG_COMPRESSED ? "streamOptimized" : "monolithicSparse";
}

static void
warn_sparse(const struct vmdk_extent *e, struct pl_facts *facts)
{
	const struct vmdk_sparse *s = e->sparse;
	PL_AUTOFREE char *name = pl_text_from_bytes(e->file->name, strlen(e->file->name));
	const char *who = name ? name : "";

	if (s->unclean)
		pl_warn(facts, "'%s' was not closed", who);
	if (s->lost_directory)
		pl_warn(facts, "the grain directory of '%s' is damaged; its copy is used", who);
	if (s->nr_replaced)
		pl_warn(facts,
			"entries of the grain directory of '%s' are damaged (%zu); those of its "
			"copy"
			" are used",
			who, s->nr_replaced);
	if (s->salvaged && s->whole)
		pl_warn(facts, "'%s' has no grain directory; its %zu grains were found by markers",
			who, s->nr_found);
	else if (s->salvaged)
		pl_warn(facts,
			"'%s' is cut short; %zu grains were found by markers, what follows them is"
			" lost",
			who, s->nr_found);
}

void
pl_vmdk_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct vmdk *v = vmdk_of(disk);
	const struct vmdk_descriptor *d = &v->descriptor;
	const struct vmdk_sparse *s = NULL;

	describe_text(facts, "subformat", "Subformat", variant(v));
	if (d->has_cid)
		pl_fact_text(facts, "cid", "Content ID", "%08" PRIx32, d->cid);
	if (d->parent_cid != VMDK_NO_PARENT)
		pl_fact_text(facts, "parent_cid", "Parent content ID", "%08" PRIx32, d->parent_cid);
	if (!disk->parent)
		describe_text(facts, "parent", "Parent", d->parent_hint);
	if (v->nr_extents > 1)
		pl_fact_number(facts, "extents", "Extents", v->nr_extents);
	for (size_t i = 0; i < v->nr_extents && !s; i++)
		s = v->extents[i].sparse;
	if (s) {
		pl_fact_number(facts, "version", "Version", s->version);
		pl_fact_size(facts, "grain_size", "Grain size", s->grain);
		if (s->flags & HOSTED_FLAG_COMPRESSED)
			pl_fact_text(facts, "compression", "Compression", "zlib");
	}
	describe_text(facts, "adapter_type", "Adapter", d->adapter_type);
	describe_text(facts, "hw_version", "Hardware version", d->hw_version);
	if (!d->text)
		pl_warn(facts, "it has no descriptor: it may be one of several extents of a disk");
	for (size_t i = 0; i < v->nr_extents; i++)
		if (v->extents[i].sparse)
			warn_sparse(&v->extents[i], facts);
}

static const struct pl_change_ops change_ops = {
	.set_parent = pl_vmdk_set_parent,
	.begin_commit = pl_vmdk_begin_commit,
	.repair = pl_vmdk_repair,
	.compact = pl_vmdk_compact,
};

static const char *const extensions[] = { "vmdk", NULL };

const struct pl_format pl_format_vmdk = {
	.info = {
		.name = "vmdk",
		.longname = "VMware virtual disk",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE | PLATTER_CAN_COMPRESS | PLATTER_CAN_BACK |
			     PLATTER_CAN_CHECK,
		.options = pl_vmdk_options,
	},
	.probe = vmdk_probe,
	.open = vmdk_open,
	.create = pl_vmdk_create,
	.check = pl_vmdk_check,
	.options_of = pl_vmdk_options_of,
	.change = &change_ops,
	.disk_ops = &vmdk_ops,
};
