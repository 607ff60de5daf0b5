/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/rockridge.c - what stands behind the name in a record: SUSP (IEEE P1281), Rock Ridge
 * (IEEE P1282), zisofs and AAIP (both of libisofs)
 *
 * The system use area is a row of entries: signature of 2 letters, length, version, and
 *
 *	CE  block, offset, length of more of them		SP  be ef, bytes to skip elsewhere
 *	ST  no more						ER  name of an extension
 *	PX  mode, links, uid, gid, and in 1.12 an inode number	PN  device number
 *	NM  flags (1: goes on in the next), name		SL  flags, components of a target
 *	CL  block of a folder that had to move up		RE  that is one that moved
 *	TF  which times, the times				SF  size of a sparse file
 *	ZF  "pz", header / 4, log2 of blocks, size: zisofs	Z2  the same for version 2
 *	AL  flags (1: goes on), components: names and values of attributes in turn
 */
#include "iso9660.h"

/* Rows of entries for one record: 64 KiB of attributes, which is what libisofs takes, are 32. */
#define MAX_CONTINUATIONS 128

/* And all together; libisofs before 1.5.4 put them into one piece. */
#define MAX_CONTINUED MIB(1)

#define SIGNATURE(a, b) ((unsigned)(a) << 8 | (b))

enum time_bits {
	TIME_CREATED = 1 << 0,
	TIME_MODIFIED = 1 << 1,
	TIME_ACCESSED = 1 << 2,
	TIME_CHANGED = 1 << 3, /* of the attributes */
	TIME_LONG = 1 << 7,
};

enum component_flags {
	COMPONENT_CONTINUED = 1 << 0,
	COMPONENT_CURRENT = 1 << 1,
	COMPONENT_PARENT = 1 << 2,
	COMPONENT_ROOT = 1 << 3,
};

struct parser {
	struct iso *iso;
	struct iso_rock_ridge *rr;
	unsigned wanted;
	bool name_continued; /* the last NM said that it goes on */
	bool slash;          /* before the next component of the target */
	bool component_continued, last_continued;
	size_t component; /* where the length of the one that is being put together is */
	size_t pending;   /* bytes of it that the next AL begins with */
	bool stopped;
	uint32_t block, offset, length; /* CE */
};

static uint32_t
both(const uint8_t *p)
{
	return pl_iso_both32(p, UINT32_MAX);
}

static void
add_name(struct parser *p, const uint8_t *e, size_t n)
{
	struct iso_rock_ridge *rr = p->rr;
	size_t part = n - 5;

	/* A second name that the first did not announce: the first one counts. */
	if (rr->has_name && !p->name_continued)
		return;
	rr->has_name = true;
	p->name_continued = e[4] & 1;
	if (part > ISO_MAX_NAME - rr->name_length) {
		part = ISO_MAX_NAME - rr->name_length;
		rr->damaged = true;
	}
	memcpy(rr->name + rr->name_length, e + 5, part);
	rr->name_length += part;
}

static void
add_target_component(struct parser *p, unsigned flags, const uint8_t *text, size_t n)
{
	struct pl_str *target = &p->rr->target;

	if (p->slash)
		pl_str_add(target, "/");
	p->slash = !(flags & COMPONENT_CONTINUED);
	if (flags & COMPONENT_ROOT) {
		pl_str_add(target, "/");
		p->slash = false;
	} else if (flags & COMPONENT_CURRENT) {
		pl_str_add(target, ".");
	} else if (flags & COMPONENT_PARENT) {
		pl_str_add(target, "..");
	} else {
		pl_str_add_bytes(target, text, strnlen((const char *)text, n));
	}
	if (target->length > PL_MAX_TARGET)
		p->stopped = p->rr->damaged = true;
}

static void
add_attribute_component(struct parser *p, unsigned flags, const uint8_t *bytes, size_t n)
{
	struct pl_str *all = &p->rr->components;
	uint32_t length = 0;

	if (!p->component_continued) {
		p->component = all->length;
		pl_str_add_bytes(all, &length, sizeof length);
	}
	pl_str_add_bytes(all, bytes, n);
	p->component_continued = flags & COMPONENT_CONTINUED || p->pending;
	p->last_continued = flags & COMPONENT_CONTINUED;
	if (all->failed)
		return;
	memcpy(&length, all->text + p->component, sizeof length);
	length += (uint32_t)n;
	memcpy(all->text + p->component, &length, sizeof length);
}

static void
take_target(struct parser *p, const uint8_t *e, size_t n)
{
	for (size_t at = 5; at + 2 <= n && !p->stopped; at += 2 + (size_t)e[at + 1]) {
		if (e[at + 1] > n - at - 2) {
			p->rr->damaged = true;
			return;
		}
		add_target_component(p, e[at], e + at + 2, e[at + 1]);
	}
}

/* Other than a target's, a component may go on in the next entry without a header. */
static void
take_components(struct parser *p, const uint8_t *e, size_t n)
{
	size_t at = 5;

	if (p->pending) {
		size_t part = PL_MIN(p->pending, n - at);

		p->pending -= part;
		add_attribute_component(p, p->last_continued, e + at, part);
		at += part;
	}
	while (at + 2 <= n) {
		size_t part = PL_MIN((size_t)e[at + 1], n - at - 2);

		p->pending = e[at + 1] - part;
		add_attribute_component(p, e[at], e + at + 2, part);
		at += 2 + part;
	}
}

static void
take_times(struct iso_rock_ridge *rr, const uint8_t *e, size_t n)
{
	const size_t width = e[4] & TIME_LONG ? 17 : 7;
	size_t at = 5;

	for (unsigned bit = TIME_CREATED; bit < TIME_LONG && at + width <= n; bit <<= 1) {
		struct platter_time t;

		if (!(e[4] & bit))
			continue;
		t = width == 17 ? pl_iso_long_time(e + at) : pl_iso_time(e + at);
		at += width;
		switch (bit) {
		case TIME_CREATED: rr->created = t; break;
		case TIME_MODIFIED: rr->modified = t; break;
		case TIME_ACCESSED: rr->accessed = t; break;
		case TIME_CHANGED: rr->changed = t; break;
		default: break; /* of backup, expiration, effect */
		}
	}
}

static void
take_attributes(struct iso_rock_ridge *rr, const uint8_t *e, size_t n)
{
	if (n < 36)
		return;
	rr->has_attributes = true;
	rr->mode = both(e + 4);
	rr->links = both(e + 12);
	rr->uid = both(e + 20);
	rr->gid = both(e + 28);
	rr->serial = n >= 44 ? both(e + 36) : 0;
}

static void
take_zisofs(struct iso_rock_ridge *rr, const uint8_t *e, size_t n)
{
	if (n < 16)
		return;
	rr->zisofs = e[3] == 1 ? 1 : 2;
	memcpy(rr->zisofs_algorithm, e + 4, 2);
	rr->zisofs_size = rr->zisofs == 1 ? both(e + 8) : get_le64(e + 8);
}

static void
take_sparse(struct iso_rock_ridge *rr, const uint8_t *e, size_t n)
{
	/* Rock Ridge 1.10 has one number, 1.12 two and the depth of a table. */
	rr->sparse = n >= 12;
	if (n >= 21)
		rr->sparse_size = (uint64_t)both(e + 4) << 32 | both(e + 12);
	else if (n >= 12)
		rr->sparse_size = both(e + 4);
}

static bool
names_rock_ridge(const uint8_t *e, size_t n)
{
	static const char *const ids[] = { "RRIP_1991A", "IEEE_P1282", "IEEE_1282" };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (n >= 8 + strlen(ids[i]) && !memcmp(e + 8, ids[i], strlen(ids[i])))
			return true;
	return false;
}

static void
take_entry(struct parser *p, const uint8_t *e, size_t n)
{
	struct iso_rock_ridge *rr = p->rr;

	switch (SIGNATURE(e[0], e[1])) {
	case SIGNATURE('S', 'P'):
		if (n >= 7 && e[4] == 0xbe && e[5] == 0xef) {
			rr->has_sp = true;
			rr->skip = e[6];
		}
		break;
	case SIGNATURE('C', 'E'):
		if (n >= 28) {
			p->block = both(e + 4);
			p->offset = both(e + 12);
			p->length = both(e + 20);
		}
		break;
	case SIGNATURE('S', 'T'): p->stopped = true; break;
	case SIGNATURE('E', 'R'): rr->has_any |= names_rock_ridge(e, n); break;
	case SIGNATURE('R', 'R'): rr->has_any = true; break;
	case SIGNATURE('P', 'X'): take_attributes(rr, e, n); break;
	case SIGNATURE('P', 'N'):
		if (n >= 20) {
			rr->has_device = true;
			rr->device_high = both(e + 4);
			rr->device_low = both(e + 12);
		}
		break;
	case SIGNATURE('N', 'M'):
		/* With other flags it is the name of "." or "..". */
		if (n >= 5 && !(e[4] & 6))
			add_name(p, e, n);
		break;
	case SIGNATURE('S', 'L'):
		if (n >= 5 && p->wanted & WANT_TARGET)
			take_target(p, e, n);
		break;
	case SIGNATURE('C', 'L'):
		if (n >= 12) {
			rr->has_child = true;
			rr->child = both(e + 4);
		}
		break;
	case SIGNATURE('R', 'E'): rr->relocated = true; break;
	case SIGNATURE('T', 'F'):
		if (n >= 5)
			take_times(rr, e, n);
		break;
	case SIGNATURE('S', 'F'): take_sparse(rr, e, n); break;
	case SIGNATURE('Z', 'F'):
	case SIGNATURE('Z', '2'): take_zisofs(rr, e, n); break;
	case SIGNATURE('A', 'L'):
		if (n >= 5 && p->wanted & WANT_ATTRIBUTES)
			take_components(p, e, n);
		break;
	default: break;
	}
}

static void
take_row(struct parser *p, const uint8_t *e, size_t n)
{
	p->length = 0;
	while (n >= 4 && !p->stopped) {
		size_t length = e[2];

		/* Padding up to an even length, or a sector's rest. */
		if (!e[0])
			return;
		if (length < 4 || length > n) {
			p->rr->damaged = true;
			return;
		}
		take_entry(p, e, length);
		e += length;
		n -= length;
	}
}

static int
take_continuation(struct parser *p)
{
	uint8_t few[ISO_SECTOR];
	PL_AUTOFREE uint8_t *many = NULL;
	uint8_t *row = few;
	uint64_t at;

	if (pl_iso_block_at(p->iso, p->block, &at, NULL) < 0 ||
	    !pl_in_range(at + p->offset, p->length, pl_disk_size(p->iso->volume.disk)))
		return -EUCLEAN;
	if (p->length > sizeof few) {
		many = malloc(p->length);
		row = many;
		if (!many)
			return -ENOMEM;
	}
	if (pl_meta_read(p->iso->volume.meta, row, p->length, at + p->offset, NULL) < 0)
		return -EIO;
	take_row(p, row, p->length);
	return 0;
}

void
pl_iso_rock_ridge(struct iso *iso, const struct iso_record *r, unsigned wanted,
		  struct iso_rock_ridge *ret)
{
	struct parser p = { .iso = iso, .rr = ret, .wanted = wanted };
	const uint8_t *area = r->system_use;
	size_t n = r->system_use_length, skip = iso->susp_skip;
	uint64_t continued = 0;

	/* Not the whole: the name is large, and only its first bytes count. */
	memset(ret, 0, offsetof(struct iso_rock_ridge, name));
	ret->name_length = 0;
	memset(&ret->target, 0, sizeof *ret - offsetof(struct iso_rock_ridge, target));
	ret->modified.seconds = ret->accessed.seconds = ret->changed.seconds =
		ret->created.seconds = PLATTER_NO_TIME;
	if (n >= 7 && !memcmp(area, "SP\7\1\xbe\xef", 6))
		skip = 0;
	if (n > skip)
		take_row(&p, area + skip, n - skip);
	for (unsigned i = 0; p.length && !p.stopped; i++) {
		continued += p.length;
		if (i == MAX_CONTINUATIONS || continued > MAX_CONTINUED ||
		    take_continuation(&p) < 0) {
			ret->damaged = true;
			break;
		}
	}
	ret->name[ret->name_length] = '\0';
	ret->has_any |= ret->has_attributes || ret->has_name;
}

void
pl_iso_rock_ridge_done(struct iso_rock_ridge *rr)
{
	pl_str_done(&rr->target);
	pl_str_done(&rr->components);
}

/*
 * Access control lists in AAIP: a byte for each entry, its kind in the upper half, permissions
 * in the lower, bit 3: a name or number follows.  Linux has them as attributes: version 2,
 * then entries of kind, permissions and number.  What AAIP leaves out is in the mode.
 */
enum acl_kind {
	ACL_OWNER = 1,
	ACL_OWNING_GROUP = 3,
	ACL_MASK = 5,
	ACL_OTHER = 6,
	ACL_SWITCH = 8, /* those that follow are for what is made in the folder */
	ACL_USER = 10,
	ACL_GROUP = 12,
};

/* Linux's list is in this order. */
static const struct {
	uint8_t kind;
	uint8_t tag;
} acl_tags[] = {
	{ ACL_OWNER, 1 }, { ACL_USER, 2 },  { ACL_OWNING_GROUP, 4 },
	{ ACL_GROUP, 8 }, { ACL_MASK, 16 }, { ACL_OTHER, 32 },
};

struct acl_entry {
	uint8_t kind, permissions;
	uint32_t id;
};

static int
decode_acl_entry(struct pl_cursor *c, struct acl_entry *ret)
{
	const uint8_t *p = pl_take(c, 1);

	if (!p)
		return -ENOENT;
	*ret = (struct acl_entry){ .kind = *p >> 4, .permissions = *p & 7, .id = UINT32_MAX };
	if (!(*p & 8))
		return 0;
	ret->id = 0;
	/* Pieces of up to 127 bytes; numbers are big-endian, in as few bytes as it takes. */
	do {
		const uint8_t *bytes;

		p = pl_take(c, 1);
		bytes = p ? pl_take(c, *p & 0x7f) : NULL;
		if (!bytes)
			return -ENOENT;
		for (unsigned i = 0; i < (*p & 0x7fu); i++)
			ret->id = ret->id << 8 | bytes[i];
	} while (*p & 0x80);
	return 0;
}

static void
add_acl(struct pl_str *out, uint8_t tag, uint8_t permissions, uint32_t id)
{
	uint8_t entry[8];

	put_le16(entry, tag);
	put_le16(entry + 2, permissions);
	put_le32(entry + 4, id);
	pl_str_add_bytes(out, entry, sizeof entry);
}

static bool
has_entries(const uint8_t *bytes, size_t n, bool of_default)
{
	struct pl_cursor c = { bytes, bytes + n };
	bool in_default = false;
	struct acl_entry e;

	while (decode_acl_entry(&c, &e) == 0) {
		if (e.kind != ACL_SWITCH && in_default == of_default)
			return true;
		in_default |= e.kind == ACL_SWITCH;
	}
	return false;
}

/* One of the two lists; nothing is added where it is empty. */
static void
convert_acl(const uint8_t *bytes, size_t n, bool of_default, uint32_t mode, struct pl_str *out)
{
	static const uint8_t version[] = { 2, 0, 0, 0 };

	if (!has_entries(bytes, n, of_default))
		return;
	pl_str_add_bytes(out, version, sizeof version);
	for (size_t i = 0; i < ARRAY_SIZE(acl_tags); i++) {
		struct pl_cursor c = { bytes, bytes + n };
		bool in_default = false, found = false;
		unsigned kind = acl_tags[i].kind;
		struct acl_entry e;

		while (decode_acl_entry(&c, &e) == 0) {
			in_default |= e.kind == ACL_SWITCH;
			if (e.kind != kind || in_default != of_default)
				continue;
			add_acl(out, acl_tags[i].tag, e.permissions, e.id);
			found = true;
		}
		if (found || of_default || kind == ACL_MASK || kind == ACL_USER ||
		    kind == ACL_GROUP)
			continue;
		add_acl(out, acl_tags[i].tag,
			mode >> (kind == ACL_OWNER          ? 6
				 : kind == ACL_OWNING_GROUP ? 3
							    : 0) &
				7,
			UINT32_MAX);
	}
}

static int
each_acl(const struct iso_rock_ridge *rr, const uint8_t *bytes, size_t n, pl_attribute_fn *fn,
	 void *closure, struct platter_error *err)
{
	static const char *const names[] = { "system.posix_acl_access",
					     "system.posix_acl_default" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		struct pl_str acl = { 0 };

		convert_acl(bytes, n, i == 1, rr->mode, &acl);
		if (acl.failed)
			r = pl_no_memory(err);
		else if (acl.length)
			r = fn(closure,
			       &(struct pl_attribute){
				       .name = names[i], .value = acl.text, .size = acl.length },
			       err);
		pl_str_done(&acl);
	}
	return r;
}

/* The next component, NULL past the last. */
static const uint8_t *
next_component(struct pl_cursor *c, uint32_t *ret_length)
{
	const uint8_t *p = pl_take(c, sizeof *ret_length);

	if (!p)
		return NULL;
	memcpy(ret_length, p, sizeof *ret_length);
	return pl_take(c, *ret_length);
}

int
pl_iso_each_attribute(const struct iso_rock_ridge *rr, pl_attribute_fn *fn, void *closure,
		      struct platter_error *err)
{
	/* A first byte below 7 stands for the name's beginning. */
	static const char *const prefixes[] = { NULL,     "",         "system.",  "user.",
						"isofs.", "trusted.", "security." };
	struct pl_cursor c = { (const uint8_t *)rr->components.text,
			       (const uint8_t *)rr->components.text + rr->components.length };
	const uint8_t *name, *value;
	uint32_t name_length, value_length;
	int r = 0;

	if (!rr->components.text)
		return rr->components.failed ? pl_no_memory(err) : 0;
	while (r == 0 && (name = next_component(&c, &name_length)) &&
	       (value = next_component(&c, &value_length))) {
		struct pl_str full = { 0 };
		size_t from = 0;

		if (!name_length) {
			r = each_acl(rr, value, value_length, fn, closure, err);
			continue;
		}
		if (name[0] && name[0] < ARRAY_SIZE(prefixes)) {
			pl_str_add(&full, prefixes[name[0]]);
			from = 1;
		}
		pl_str_add_bytes(&full, name + from, name_length - from);
		if (full.failed)
			r = pl_no_memory(err);
		/* What begins with "isofs." are notes of libisofs for itself. */
		else if (full.length && strlen(full.text) == full.length &&
			 strncmp(full.text, "isofs.", 6))
			r = fn(closure,
			       &(struct pl_attribute){
				       .name = full.text, .value = value, .size = value_length },
			       err);
		pl_str_done(&full);
	}
	return r;
}
