/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ova.c - the disks of a virtual appliance: a tar with an OVF descriptor and images, read only
 *
 * Spec: DMTF DSP0243, "Open Virtualization Format Specification" 1.1 and 2.1.  The archive holds
 * NAME.ovf, maybe NAME.mf with digests of all files, and the files that the descriptor lists:
 *
 *	Envelope
 *		References/File		id, href: a file of the archive; compression; chunkSize:
 *					it is in pieces, HREF.000000000 and so on; size: of it whole
 *		DiskSection/Disk	diskId, fileRef: the id of its File, none if it is empty;
 *					capacity, capacityAllocationUnits ("byte * 2^30"); format
 *		VirtualSystem		Name; ProductSection: Vendor, Product, Version
 *
 * The disks are opened with the driver of their own format, which may open nothing but the bytes
 * of other files of the archive: the extents of a VMDK.
 */
#include <strings.h>

#include "format.h"
#include "manifest.h"
#include "tar.h"
#include "text.h"
#include "xml.h"

/* Those of VirtualBox with all its settings and licences are of 100 KiB. */
#define MAX_OVF   MIB(4)
#define MAX_FILES 1024
#define MAX_DISKS 1024
/* Of one disk; 2 TiB in pieces of 2 GiB. */
#define MAX_CHUNKS 1024
/* Disks that a message lists before it only counts them. */
#define MAX_LISTED 16
/* Larger numbers of bits in capacityAllocationUnits overflow. */
#define MAX_UNIT_BITS 62

/* A File of the descriptor. */
struct reference {
	char *id, *href;
	bool compressed;
	uint64_t chunk_size; /* 0: whole */
	uint64_t size;       /* 0: not told */
};

struct appliance_disk {
	char *id, *file_ref, *format; /* of the descriptor; NULL: it does not say */
	uint64_t capacity, unit;      /* 0: not told */
	const struct reference *reference;
	const struct pl_tar_member *member; /* its first chunk, or all of it; NULL: not there */
};

struct ova {
	struct pl_disk disk;
	struct pl_disk *file, *image; /* references: the archive, the disk that was chosen */
	struct pl_tar tar;
	struct platter_error broken; /* the descriptor could not be read; code 0: it was */

	struct reference *references;
	size_t nr_references;
	struct appliance_disk *disks;
	size_t nr_disks, nr_empty;
	size_t chosen;
	char *name, *vendor, *product, *version;
};

static struct ova *
ova_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct ova, disk);
}

static bool
ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcasecmp(name + n - k, end) == 0;
}

/* A tar may hold anything: the first names in this one must be those of an appliance. */
static int
ova_probe(const struct pl_probe *probe)
{
	uint64_t room = PL_MIN(probe->size, PL_PROBE_HEAD), at = 0;
	struct pl_tar_header h;
	int first = 0;

	while (pl_in_range(at, PL_TAR_BLOCK, room) && pl_tar_decode(probe->head + at, &h)) {
		if (ends_with(h.name, ".ovf"))
			return 80;
		if (!at)
			first = memcmp(probe->head + 257, "ustar", 5) == 0 ? 40 : 16;
		if (h.size > PL_PROBE_HEAD)
			break;
		at += PL_TAR_BLOCK + pl_round_up(h.size, PL_TAR_BLOCK);
	}
	return strcasecmp(probe->extension, "ova") == 0 ? first : 0;
}

/* The descriptor. */

/* Of a path of elements what follows the outermost, without the prefixes of name spaces. */
static const char *
local_path(const char *path, char buf[static PL_XML_PATH])
{
	char *to = buf;

	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/"), prefix = strcspn(p, ":/");

		if (prefix < n) {
			p += prefix + 1;
			n -= prefix + 1;
		}
		memcpy(to, p, n);
		to += n;
		p += n;
		if (*p)
			*to++ = *p++;
	}
	*to = '\0';
	to = strchr(buf, '/');
	return to ? to + 1 : "";
}

static int
open_element(void *with, const char *path, uint64_t at, struct platter_error *err)
{
	char buf[PL_XML_PATH];
	const char *local = local_path(path, buf);
	struct ova *o = with;

	if (!strcmp(local, "References/File")) {
		if (o->nr_references == MAX_FILES)
			return pl_over_limit(err, at, "more than %d files in the descriptor",
					     MAX_FILES);
		o->nr_references++;
	} else if (!strcmp(local, "DiskSection/Disk")) {
		if (o->nr_disks == MAX_DISKS)
			return pl_over_limit(err, at, "more than %d disks in the descriptor",
					     MAX_DISKS);
		o->disks[o->nr_disks++].unit = 1;
	}
	return 0;
}

static int
set_text(char **to, const char *value, struct platter_error *err)
{
	free(*to);
	*to = strdup(value);
	return *to ? 0 : pl_no_memory(err);
}

static int
reference_attribute(struct reference *f, const char *name, const char *value,
		    struct platter_error *err)
{
	if (!strcmp(name, "id"))
		return set_text(&f->id, value, err);
	if (!strcmp(name, "href"))
		return set_text(&f->href, value, err);
	if (!strcmp(name, "compression"))
		f->compressed = *value && strcasecmp(value, "identity") != 0;
	else if (!strcmp(name, "chunkSize"))
		f->chunk_size = strtoull(value, NULL, 10);
	else if (!strcmp(name, "size"))
		f->size = strtoull(value, NULL, 10);
	return 0;
}

/* "byte * 2^30", or nothing for bytes; 0: another one. */
static uint64_t
parse_unit(const char *text)
{
	const char *power = strstr(text, "2^");
	unsigned long bits = power ? strtoul(power + 2, NULL, 10) : 0;

	if (power)
		return bits <= MAX_UNIT_BITS ? UINT64_C(1) << bits : 0;
	return !*text || !strcasecmp(text, "byte");
}

static int
disk_attribute(struct appliance_disk *d, const char *name, const char *value,
	       struct platter_error *err)
{
	char *end;

	if (!strcmp(name, "diskId"))
		return set_text(&d->id, value, err);
	if (!strcmp(name, "fileRef"))
		return set_text(&d->file_ref, value, err);
	if (!strcmp(name, "format"))
		return set_text(&d->format, value, err);
	if (!strcmp(name, "capacityAllocationUnits")) {
		d->unit = parse_unit(value);
	} else if (!strcmp(name, "capacity")) {
		/* It may also be the name of a property. */
		errno = 0;
		d->capacity = strtoull(value, &end, 10);
		if (errno || *end || value[0] < '0' || value[0] > '9')
			d->capacity = 0;
	}
	return 0;
}

static int
take_attribute(void *with, const char *path, const char *name, const char *value, uint64_t at,
	       struct platter_error *err)
{
	char buf[PL_XML_PATH];
	const char *local = local_path(path, buf), *colon = strchr(name, ':');
	struct ova *o = with;

	(void)at; /* of the descriptor; nothing here can be wrong */
	name = colon ? colon + 1 : name;
	if (!strcmp(local, "References/File"))
		return reference_attribute(&o->references[o->nr_references - 1], name, value, err);
	if (!strcmp(local, "DiskSection/Disk"))
		return disk_attribute(&o->disks[o->nr_disks - 1], name, value, err);
	if (ends_with(local, "VirtualSystem") || !strcmp(local, "VirtualSystem"))
		if (!strcmp(name, "id") && !o->name)
			return set_text(&o->name, value, err);
	return 0;
}

/* The machine's name and product; of several machines the first's. */
static int
close_element(void *with, const char *path, const char *text, uint64_t at,
	      struct platter_error *err)
{
	char buf[PL_XML_PATH];
	const char *local = local_path(path, buf);
	struct ova *o = with;
	const struct {
		const char *path;
		char **to;
	} texts[] = {
		{ "VirtualSystem/ProductSection/Vendor", &o->vendor },
		{ "VirtualSystem/ProductSection/Product", &o->product },
		{ "VirtualSystem/ProductSection/Version", &o->version },
	};

	(void)at;
	if (!*text)
		return 0;
	if (!strcmp(local, "VirtualSystem/Name"))
		return set_text(&o->name, text, err);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!*texts[i].to && !strcmp(local, texts[i].path))
			return set_text(texts[i].to, text, err);
	return 0;
}

static const struct pl_tar_member *
find_descriptor(const struct ova *o)
{
	for (size_t i = 0; i < o->tar.nr; i++)
		if (ends_with(o->tar.members[i].name, ".ovf"))
			return &o->tar.members[i];
	return NULL;
}

static int
parse_descriptor(struct ova *o, struct platter_error *err)
{
	static const struct pl_xml_handler handler = { .open = open_element,
						       .attribute = take_attribute,
						       .close = close_element,
						       .cut = true };
	const struct pl_tar_member *m = find_descriptor(o);
	PL_AUTOFREE uint8_t *text = NULL;
	int r;

	if (!m)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no OVF descriptor is in the archive");
	if (m->sparse)
		return pl_unsupported(err, m->offset, "'%s' is stored as a sparse file", m->name);
	if (m->size > MAX_OVF)
		return pl_over_limit(err, m->offset,
				     "an OVF descriptor of %" PRIu64 " bytes, limit is %" PRIu64,
				     m->size, (uint64_t)MAX_OVF);
	o->references = calloc(MAX_FILES, sizeof *o->references);
	o->disks = calloc(MAX_DISKS, sizeof *o->disks);
	if (!o->references || !o->disks)
		return pl_no_memory(err);
	r = pl_read_alloc(o->file, (size_t)m->size, m->offset, &text, err);
	if (r == 0)
		r = pl_xml_parse((const char *)text, (size_t)m->size, &handler, o, err);
	if (r < 0 && err && err->offset != PLATTER_NO_OFFSET)
		err->offset += m->offset;
	return r;
}

static void
disk_done(struct appliance_disk *d)
{
	free(d->id);
	free(d->file_ref);
	free(d->format);
	*d = (struct appliance_disk){ 0 };
}

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c | 0x20) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* "my%20disk.vmdk" -> "my disk.vmdk", in place. */
static void
decode_percent(char *s)
{
	char *to = s;

	while (*s) {
		int high = *s == '%' ? hex_digit(s[1]) : -1;
		int low = high >= 0 ? hex_digit(s[2]) : -1;

		if (low < 0 || !(high | low)) {
			*to++ = *s++;
			continue;
		}
		*to++ = (char)(high << 4 | low);
		s += 3;
	}
	*to = '\0';
}

static const struct pl_tar_member *
find_member(const struct ova *o, const char *name)
{
	for (size_t i = 0; i < o->tar.nr; i++)
		if (strcmp(o->tar.members[i].name, name) == 0)
			return &o->tar.members[i];
	return NULL;
}

/* The file, or its index-th chunk. */
static const struct pl_tar_member *
find_stored(const struct ova *o, const struct reference *f, const char *name, size_t index)
{
	PL_AUTOFREE char *chunk = f->chunk_size ? pl_format("%s.%09zu", name, index) : NULL;

	return f->chunk_size ? (chunk ? find_member(o, chunk) : NULL) : find_member(o, name);
}

/* Find what each disk is stored in; those that are empty until they are used have no file. */
static int
resolve_disks(struct ova *o, struct platter_error *err)
{
	size_t nr = 0;

	for (size_t i = 0; i < o->nr_disks; i++) {
		struct appliance_disk d = o->disks[i];
		PL_AUTOFREE char *decoded = NULL;

		o->disks[i] = (struct appliance_disk){ 0 };
		for (size_t k = 0; d.file_ref && k < o->nr_references && !d.reference; k++)
			if (o->references[k].id && !strcmp(o->references[k].id, d.file_ref))
				d.reference = &o->references[k];
		if (!d.file_ref) {
			o->nr_empty++;
			disk_done(&d);
			continue;
		}
		o->disks[nr++] = d;
		if (!d.reference || !d.reference->href)
			continue;
		decoded = strdup(d.reference->href);
		if (!decoded)
			return pl_no_memory(err);
		decode_percent(decoded);
		o->disks[nr - 1].member = find_stored(o, d.reference, d.reference->href, 0);
		if (!o->disks[nr - 1].member)
			o->disks[nr - 1].member = find_stored(o, d.reference, decoded, 0);
	}
	o->nr_disks = nr;
	return 0;
}

/* Without a descriptor: each VMDK is a disk. */
static int
take_all_images(struct ova *o, struct platter_error *err)
{
	for (size_t i = 0; i < o->nr_disks; i++)
		disk_done(&o->disks[i]);
	o->nr_disks = o->nr_empty = 0;
	if (!o->disks)
		o->disks = calloc(MAX_DISKS, sizeof *o->disks);
	if (!o->disks)
		return pl_no_memory(err);
	for (size_t i = 0; i < o->tar.nr && o->nr_disks < MAX_DISKS; i++)
		if (ends_with(o->tar.members[i].name, ".vmdk"))
			o->disks[o->nr_disks++].member = &o->tar.members[i];
	return 0;
}

static int
read_archive(struct ova *o, struct platter_error *err)
{
	int r = pl_tar_read(o->file, &o->tar, err);

	if (r < 0)
		return r;
	r = parse_descriptor(o, &o->broken);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r == 0)
		return resolve_disks(o, err);
	r = take_all_images(o, err);
	if (r < 0 || o->nr_disks)
		return r;
	if (err)
		*err = o->broken;
	return o->broken.code;
}

/* The disks. */

/* What the archive calls it. */
static const char *
disk_name(const struct appliance_disk *d)
{
	if (d->member && !(d->reference && d->reference->chunk_size))
		return d->member->name;
	if (d->reference && d->reference->href)
		return d->reference->href;
	return d->id ? d->id : "";
}

/* "1 'disk1.vmdk', 2 'disk2.vmdk'" */
static char *
list_disks(const struct ova *o)
{
	struct pl_str s = { 0 };

	for (size_t i = 0; i < PL_MIN(o->nr_disks, (size_t)MAX_LISTED); i++) {
		const char *name = disk_name(&o->disks[i]);
		PL_AUTOFREE char *clean = pl_text_from_bytes(name, strlen(name));

		pl_str_addf(&s, "%s%zu '%s'", i ? ", " : "", i + 1, clean ? clean : "");
	}
	if (o->nr_disks > MAX_LISTED)
		pl_str_addf(&s, " and %zu more", o->nr_disks - MAX_LISTED);
	if (s.failed)
		pl_str_done(&s);
	return s.text;
}

static bool
is_called(const struct appliance_disk *d, const char *name)
{
	const char *own = disk_name(d), *slash = strrchr(own, '/');

	return !strcmp(own, name) || (slash && !strcmp(slash + 1, name)) ||
	       (d->id && !strcmp(d->id, name));
}

static int
choose_disk(struct ova *o, const char *wanted, struct platter_error *err)
{
	PL_AUTOFREE char *list = list_disks(o);
	const char *archive = o->file->name;
	size_t length = wanted ? strlen(wanted) : 0;
	int r;

	if (!o->nr_disks)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no disk is in the appliance '%s'",
				  archive);
	if (!wanted && o->nr_disks > 1) {
		r = pl_invalid(err, "the appliance '%s' has %zu disks: %s", archive, o->nr_disks,
			       list ? list : "");
		pl_hint(err, "choose one by its number or name: %s?disk=1", archive);
		return r;
	}
	if (!wanted)
		return 0;
	for (o->chosen = 0; o->chosen < o->nr_disks; o->chosen++)
		if (is_called(&o->disks[o->chosen], wanted))
			return 0;
	if (length && length < 6 && strspn(wanted, "0123456789") == length) {
		o->chosen = strtoul(wanted, NULL, 10) - 1;
		if (o->chosen < o->nr_disks)
			return 0;
	}
	r = pl_fail(err, -ENOENT, "no disk '%s' is in the appliance '%s'", wanted, archive);
	pl_hint(err, "the disks are %s", list ? list : "");
	return r;
}

static int
check_stored_plainly(const struct appliance_disk *d, struct platter_error *err)
{
	const char *name = disk_name(d);

	if (!d->member)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "the disk '%s' is not in the archive",
				  name);
	if (d->member->sparse)
		return pl_unsupported(err, d->member->offset,
				      "the disk '%s' is stored as a sparse file, which is not"
				      " supported",
				      name);
	if (d->reference && d->reference->compressed)
		return pl_unsupported(
			err, d->member->offset,
			"the disk '%s' is compressed once more, which is not supported", name);
	return 0;
}

/* What the descriptor says that it is; NULL: look. */
static const char *
disk_format(const struct appliance_disk *d)
{
	if (ends_with(disk_name(d), ".vmdk") || (d->format && strcasestr(d->format, "vmdk")))
		return "vmdk";
	return NULL;
}

/* A file of the archive that is there in chunks, all but the last equally long. */
struct chunks {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint64_t chunk_size;
	uint64_t at[MAX_CHUNKS]; /* bytes of `file` */
	size_t nr;
};

static int
chunks_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	const struct chunks *c = pl_container_of(disk, struct chunks, disk);
	uint64_t in = offset % c->chunk_size;

	(void)length, (void)err; /* nothing can fail */
	*ret = (struct pl_extent){ .length = PL_MIN(c->chunk_size - in, disk->size - offset),
				   .kind = PLATTER_DATA,
				   .below = c->file,
				   .stored_offset = c->at[offset / c->chunk_size] + in };
	return 0;
}

static struct pl_disk *
chunks_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct chunks, disk)->file;
}

static void
chunks_free(struct pl_disk *disk)
{
	struct chunks *c = pl_container_of(disk, struct chunks, disk);

	pl_disk_unref(c->file);
	pl_disk_done(disk);
	free(c);
}

static const struct pl_disk_ops chunks_ops = {
	.name = "chunks",
	.map = chunks_map,
	.below = chunks_below,
	.free = chunks_free,
};

/* All chunks that there are, which must be all that there should be. */
static int
find_chunks(const struct ova *o, const struct appliance_disk *d, struct chunks *c,
	    struct platter_error *err)
{
	const struct reference *f = d->reference;
	const struct pl_tar_member *m = d->member;
	/* As it was found for the first. */
	PL_AUTOFREE char *name = strndup(m->name, strlen(m->name) - strlen(".000000000"));

	if (!name)
		return pl_no_memory(err);
	for (; m; m = find_stored(o, f, name, c->nr)) {
		if (c->nr == MAX_CHUNKS)
			return pl_over_limit(err, m->offset, "'%s' in more than %d chunks",
					     disk_name(d), MAX_CHUNKS);
		if (m->sparse || m->size > f->chunk_size ||
		    (c->nr && (c->disk.size % c->nr || c->disk.size / c->nr != f->chunk_size)))
			return pl_corrupt(err, m->offset,
					  "'%s' has %" PRIu64 " bytes, a chunk has %" PRIu64,
					  m->name, m->size, f->chunk_size);
		c->at[c->nr++] = m->offset;
		c->disk.size += m->size;
	}
	if (f->size && f->size != c->disk.size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "the chunks of '%s' have %" PRIu64 " bytes of its %" PRIu64,
				  disk_name(d), c->disk.size, f->size);
	return 0;
}

static int
join_chunks(const struct ova *o, const struct appliance_disk *d, const char *name,
	    struct pl_disk **ret, struct platter_error *err)
{
	struct chunks *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	r = pl_disk_init(&c->disk, &chunks_ops, name, err);
	if (r < 0) {
		free(c);
		return r;
	}
	c->file = pl_disk_ref(o->file);
	c->chunk_size = d->reference->chunk_size;
	r = find_chunks(o, d, c, err);
	if (r == 0)
		r = pl_disk_stack(&c->disk, c->file, err);
	if (r < 0) {
		chunks_free(&c->disk);
		return r;
	}
	*ret = &c->disk;
	return 0;
}

/* What a disk may name: files of the archive, from its own folder there, as bytes only. */
struct inside {
	struct pl_related related;
	const struct ova *ova;
};

static int
open_inside(struct pl_related *related, const char *name, const char *format, bool writable,
	    struct pl_disk **ret, struct platter_error *err)
{
	const struct ova *o = pl_container_of(related, struct inside, related)->ova;
	const char *own = o->disks[o->chosen].member->name, *slash = strrchr(own, '/');
	PL_AUTOFREE char *path = pl_format("%.*s%s", slash ? (int)(slash + 1 - own) : 0, own, name);
	PL_AUTOFREE char *full = path ? pl_format("%s:%s", o->file->name, path) : NULL;
	const struct pl_tar_member *m;

	related->missing = false;
	if (!full)
		return pl_no_memory(err);
	if (writable || !format || strcmp(format, "raw") != 0)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' is named by a disk of an appliance, where only extents"
				      " of it are followed",
				      name);
	m = find_member(o, path);
	related->missing = !m;
	if (!m)
		return pl_fail(err, -ENOENT, "'%s' is not in the archive", path);
	if (m->sparse)
		return pl_unsupported(err, m->offset, "'%s' is stored as a sparse file", path);
	return pl_slice_new(o->file, m->offset, m->size, full, ret, err);
}

static int
find_nothing(struct pl_related *related, const char *folder, const char *extension,
	     int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
	     char **ret_name, struct platter_error *err)
{
	(void)err; /* nothing is looked at, and nothing can fail */
	*ret_name = NULL;
	return 0;
}

static int
open_image(struct ova *o, struct pl_disk *file, unsigned flags, struct platter_error *err)
{
	struct inside inside = { .related = { .open = open_inside, .find = find_nothing },
				 .ova = o };
	struct pl_open_request request = { .file = file,
					   .flags = flags & ~(unsigned)PLATTER_OPEN_WRITE,
					   .related = &inside.related };
	const char *name = disk_format(&o->disks[o->chosen]);
	const struct pl_format *format = name ? pl_format_by_name(name) : NULL;
	int r = format ? 0 : pl_format_probe(file, &format, err);

	return r == 0 ? format->open(&request, &o->image, err) : r;
}

static int
open_disk(struct ova *o, unsigned flags, struct platter_error *err)
{
	const struct appliance_disk *d = &o->disks[o->chosen];
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *name = NULL;
	int r = check_stored_plainly(d, err);

	if (r < 0) {
		if (d->member)
			pl_hint(err, "unpack the appliance with tar first");
		return r;
	}
	name = pl_format("%s:%s", o->file->name, disk_name(d));
	if (!name)
		return pl_no_memory(err);
	if (d->reference && d->reference->chunk_size)
		r = join_chunks(o, d, name, &file, err);
	else
		r = pl_slice_new(o->file, d->member->offset, d->member->size, name, &file, err);
	return r == 0 ? open_image(o, file, flags, err) : r;
}

static int
ova_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	(void)length, (void)err; /* it goes on to the end, and nothing can fail */
	*ret = (struct pl_extent){ .length = disk->size - offset,
				   .kind = PLATTER_DATA,
				   .below = ova_of(disk)->image,
				   .stored_offset = offset };
	return 0;
}

static struct pl_disk *
ova_below(struct pl_disk *disk, size_t index)
{
	struct ova *o = ova_of(disk);

	return index == 0 ? o->file : index == 1 ? o->image : NULL;
}

static uint64_t
told_capacity(const struct appliance_disk *d)
{
	uint64_t bytes;

	return __builtin_mul_overflow(d->capacity, d->unit, &bytes) ? 0 : bytes;
}

static void
describe_text(struct pl_facts *facts, const char *key, const char *label, const char *bytes)
{
	PL_AUTOFREE char *text = bytes ? pl_text_from_bytes(bytes, strlen(bytes)) : NULL;

	if (text && *text)
		pl_fact_text(facts, key, label, "%s", text);
}

static void
warn_of(const struct ova *o, struct pl_facts *facts)
{
	const struct appliance_disk *d = &o->disks[o->chosen];
	uint64_t capacity = told_capacity(d);

	if (o->broken.code)
		pl_warn(facts, "%s; every VMDK in the archive is taken for a disk",
			o->broken.message);
	if (o->tar.damaged_at)
		pl_warn(facts,
			"the archive is damaged at byte %" PRIu64 ": what follows is not seen",
			o->tar.damaged_at);
	if (d->member->cut)
		pl_warn(facts, "the archive is cut short: the end of the disk is missing");
	if (capacity && pl_round_up(capacity, 512) != pl_round_up(o->disk.size, 512))
		pl_warn(facts,
			"the OVF descriptor says that the disk has %" PRIu64
			" bytes, it has %" PRIu64,
			capacity, o->disk.size);
}

static void
ova_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct ova *o = ova_of(disk);
	PL_AUTOFREE char *disks = list_disks(o);
	const struct pl_format *format = pl_format_of(o->image);

	describe_text(facts, "name", "Name", o->name);
	describe_text(facts, "vendor", "Vendor", o->vendor);
	describe_text(facts, "product", "Product", o->product);
	describe_text(facts, "product_version", "Product version", o->version);
	describe_text(facts, "disks", "Disks", disks);
	if (o->nr_empty)
		pl_fact_number(facts, "empty_disks", "Empty disks", o->nr_empty);
	describe_text(facts, "disk", "This disk", disk_name(&o->disks[o->chosen]));
	pl_fact_text(facts, "disk_format", "Its format", "%s", format ? format->info.name : "raw");
	warn_of(o, facts);
	/* A raw image is a slice of the archive. */
	if (format && format->probe && o->image->ops->describe)
		o->image->ops->describe(o->image, facts);
}

/* Findings in the image, as places in the archive. */
struct shifted {
	struct pl_findings findings;
	struct pl_findings *to;
	const struct appliance_disk *of;
};

static void
found_in_image(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	       const char *message)
{
	struct shifted *s = pl_container_of(findings, struct shifted, findings);

	/* In chunks it may be anywhere. */
	if (s->of->reference && s->of->reference->chunk_size)
		offset = PLATTER_NO_OFFSET;
	else if (offset != PLATTER_NO_OFFSET)
		offset += s->of->member->offset;
	pl_found(s->to, severity, offset, "'%s': %s", disk_name(s->of), message);
}

static int
ova_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct ova *o = ova_of(disk);
	const struct pl_format *format = pl_format_of(o->image);
	struct shifted s = { .findings.found = found_in_image,
			     .to = findings,
			     .of = &o->disks[o->chosen] };
	int r;

	if (o->broken.code)
		pl_found(findings, PLATTER_DAMAGE, o->broken.offset, "%s", o->broken.message);
	if (o->tar.damaged_at)
		pl_found(findings, PLATTER_DAMAGE, o->tar.damaged_at,
			 "no header of a file in the archive");
	for (size_t i = 0; i < o->tar.nr; i++)
		if (o->tar.members[i].cut)
			pl_found(findings, PLATTER_DAMAGE, o->file->size,
				 "the archive ends before its file '%s' does",
				 o->tar.members[i].name);
	for (size_t i = 0; i < o->nr_disks; i++)
		if (!o->disks[i].member)
			pl_found(findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET,
				 "the disk '%s' is not in the archive", disk_name(&o->disks[i]));
	r = pl_manifest_check(o->file, &o->tar, findings, err);
	if (r == 0 && format && format->check)
		r = format->check(o->image, &s.findings, err);
	return r;
}

static void
ova_free(struct pl_disk *disk)
{
	struct ova *o = ova_of(disk);

	for (size_t i = 0; i < o->nr_references; i++) {
		free(o->references[i].id);
		free(o->references[i].href);
	}
	free(o->references);
	for (size_t i = 0; i < o->nr_disks; i++)
		disk_done(&o->disks[i]);
	free(o->disks);
	free(o->name);
	free(o->vendor);
	free(o->product);
	free(o->version);
	pl_tar_done(&o->tar);
	pl_disk_unref(o->image);
	pl_disk_unref(o->file);
	pl_disk_done(disk);
	free(o);
}

static const struct pl_disk_ops ova_ops = {
	.name = "ova",
	.map = ova_map,
	.below = ova_below,
	.describe = ova_describe,
	.free = ova_free,
};

static int
open_parts(struct ova *o, const struct pl_open_request *request, struct platter_error *err)
{
	int r = read_archive(o, err);

	if (r == 0)
		r = choose_disk(o, request->disk, err);
	if (r == 0)
		r = open_disk(o, request->flags, err);
	if (r == 0)
		r = pl_disk_stack(&o->disk, o->image, err);
	if (r < 0)
		return r;
	o->disk.size = o->image->size;
	o->disk.sector_size = o->image->sector_size;
	o->disk.physical_sector_size = o->image->physical_sector_size;
	return 0;
}

static int
ova_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct ova *o;
	int r;

	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is an appliance, which has no snapshots",
			       request->file->name);
	o = calloc(1, sizeof *o);
	if (!o)
		return pl_no_memory(err);
	r = pl_disk_init(&o->disk, &ova_ops, request->file->name, err);
	if (r < 0) {
		free(o);
		return r;
	}
	o->file = pl_disk_ref(request->file);
	o->broken = (struct platter_error)PLATTER_ERROR_INIT;
	r = open_parts(o, request, err);
	if (r < 0) {
		pl_error_place(err, request->file->name);
		ova_free(&o->disk);
		return r;
	}
	*ret = &o->disk;
	return 0;
}

static const char *const extensions[] = { "ova", NULL };

const struct pl_format pl_format_ova = {
	.info = {
		.name = "ova",
		.longname = "virtual appliance, OVF in a tar",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
	},
	.probe = ova_probe,
	.open = ova_open,
	.check = ova_check,
	.many_disks = true,
	.disk_ops = &ova_ops,
};
