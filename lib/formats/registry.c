/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - every image format, and how one is chosen */
#include "format.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "facts.h"

/* One line a format; raw stays last. */
#define EACH_FORMAT(X)  \
	X(qcow2)        \
	X(qcow)         \
	X(qed)          \
	X(vhd)          \
	X(vhdx)         \
	X(vmdk)         \
	X(vdi)          \
	X(parallels)    \
	X(prl_xml)      \
	X(ova)          \
	X(cue)          \
	X(toc)          \
	X(sectors)      \
	X(wav)          \
	X(flac)         \
	X(aiff)         \
	X(dmg)          \
	X(cso)          \
	X(zso)          \
	X(encrcdsa)     \
	X(sparseimage)  \
	X(dax)          \
	X(isz)          \
	X(ecm)          \
	X(daa)          \
	X(uif)          \
	X(dc42)         \
	X(sparsebundle) \
	X(asif)         \
	X(ccd)          \
	X(mds)          \
	X(nrg)          \
	X(cdi)          \
	X(b6t)          \
	X(cif)          \
	X(chd)          \
	X(raw)

#define DECLARE(name) extern const struct pl_format pl_format_##name;
#define LIST(name)    &pl_format_##name,

EACH_FORMAT(DECLARE)

const struct pl_format *const pl_formats[] = { EACH_FORMAT(LIST) NULL };

const struct pl_format *
pl_format_by_name(const char *name)
{
	/* QEMU's name, which is also in backing files' formats. */
	if (strcmp(name, "vpc") == 0)
		name = "vhd";
	for (size_t i = 0; pl_formats[i]; i++)
		if (strcmp(pl_formats[i]->info.name, name) == 0)
			return pl_formats[i];
	return NULL;
}

static const char *
extension_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot;

	if (slash)
		path = slash + 1;
	dot = strrchr(path, '.');
	return dot && dot != path ? dot + 1 : "";
}

const struct pl_format *
pl_format_by_extension(const char *path)
{
	const char *extension = extension_of(path);

	for (size_t i = 0; pl_formats[i]; i++)
		for (const char *const *e = pl_formats[i]->info.extensions; *e; e++)
			if (strcasecmp(*e, extension) == 0)
				return pl_formats[i];
	return NULL;
}

const struct pl_format *
pl_format_of(const struct pl_disk *disk)
{
	for (size_t i = 0; pl_formats[i]; i++)
		if (pl_formats[i]->disk_ops == disk->ops ||
		    (pl_formats[i]->disc_ops && pl_formats[i]->disc_ops == disk->ops))
			return pl_formats[i];
	/* A raw image is its file. */
	return disk->ops->read ? pl_format_by_name("raw") : NULL;
}

/* The format with the most evidence; *ret_rival is another with as much, if there is one. */
static int
most_evidence(const struct pl_probe *probe, const struct pl_format **ret,
	      const struct pl_format **ret_rival)
{
	int best = 0;

	*ret = *ret_rival = NULL;
	for (size_t i = 0; pl_formats[i]; i++) {
		int bits = pl_formats[i]->probe ? pl_formats[i]->probe(probe) : 0;

		if (bits < 0)
			return bits;
		if (bits == 0 || bits < best)
			continue;
		*ret_rival = bits == best ? *ret : NULL;
		*ret = pl_formats[i];
		best = bits;
	}
	return 0;
}

int
pl_format_probe(struct pl_disk *file, const struct pl_format **ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *head = malloc(PL_PROBE_HEAD + PL_PROBE_TAIL);
	struct pl_probe probe = { .file = file,
				  .size = file->size,
				  .head = head,
				  .extension = extension_of(file->name) };
	const struct pl_format *best, *rival;
	int r;

	if (!head)
		return pl_no_memory(err);
	/* A stream can be looked at only once, and that belongs to the copy. */
	if (file->sequential) {
		*ret = pl_format_by_name("raw");
		return 0;
	}
	probe.tail = head + PL_PROBE_HEAD;
	r = pl_read_padded(file, head, PL_PROBE_HEAD, 0, NULL, err);
	if (r == 0)
		r = pl_read_padded(file, head + PL_PROBE_HEAD, PL_PROBE_TAIL,
				   file->size > PL_PROBE_TAIL ? file->size - PL_PROBE_TAIL : 0,
				   NULL, err);
	if (r < 0)
		return r;
	r = most_evidence(&probe, &best, &rival);
	if (r < 0)
		return pl_fail_errno(err, r, "tell the format of '%s'", file->name);
	if (rival) {
		r = pl_invalid(err, "'%s' looks like %s and as much like %s", file->name,
			       rival->info.name, best->info.name);
		pl_hint(err, "name the format: ?format=%s or ?format=%s", rival->info.name,
			best->info.name);
		return r;
	}
	*ret = best ? best : pl_format_by_name("raw");
	return 0;
}

void
pl_found(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	 const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	findings->count[severity]++;
	findings->found(findings, severity, offset, message);
}

int
pl_check_goes_on(struct pl_findings *findings, uint64_t bytes, struct platter_error *err)
{
	if (!findings->go_on || findings->go_on(findings, bytes))
		return 0;
	return pl_fail(err, -ECANCELED, "stopped");
}

const char *
pl_create_option(const struct pl_create_request *request, const char *key)
{
	for (size_t i = 0; i < request->nr_options; i++)
		if (strcmp(request->options[i].key, key) == 0)
			return request->options[i].value;
	return NULL;
}

void
pl_option(struct pl_option_list *list, const char *key, const char *format, ...)
{
	char value[64];
	va_list args;

	va_start(args, format);
	vsnprintf(value, sizeof value, format, args);
	va_end(args);
	if (list->nr < PL_MAX_OPTIONS)
		list->list[list->nr++] =
			(struct platter_key_value){ key, pl_arena_strdup(list->arena, value) };
}
