/* SPDX-License-Identifier: GPL-3.0-or-later */
/* repair.c - what redundant copies or counting again can put right in an image */
#include "change.h"
#include "format.h"
#include "guard.h"
#include "storage.h"

/* Damage must not keep an image from being opened, nor a parent that is not there. */
#define FLAGS (PLATTER_OPEN_IGNORE_CHECKSUMS | PLATTER_OPEN_NO_BACKING)

struct repair {
	struct pl_findings findings;
	void (*found)(const struct platter_finding *finding, void *closure);
	void *closure;
};

static void
forward(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	const char *message)
{
	struct repair *repair = pl_container_of(findings, struct repair, findings);
	struct platter_finding finding = { severity, offset, message };

	if (repair->found)
		repair->found(&finding, repair->closure);
}

static int
cannot_repair(const struct pl_place *place, const struct pl_format *format,
	      struct platter_error *err)
{
	int r = pl_unsupported(err, PLATTER_NO_OFFSET,
			       "'%s' (%s) has nothing that could be repaired", place->name,
			       format ? format->info.longname : "a part of a disk");

	if (format && format->check)
		pl_hint(err, "`platter verify` says what is wrong; `platter convert "
			     "--ignore-checksums` rescues what can be read");
	return r;
}

/* The same place, for writing; *place is closed, and NULL after a failure. */
static int
open_again(const char *image, struct pl_place **place, struct platter_error *err)
{
	const char *path = pl_storage_path((*place)->storage, 0);
	int r = path ? pl_guard_device(path, err) : 0;

	pl_place_close(*place);
	*place = NULL;
	if (r < 0)
		return r;
	return pl_place_open(image, NULL, FLAGS | PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE,
			     place, err);
}

int
pl_repair(const char *image, const struct platter_repair_options *options,
	  void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	  struct platter_repair_result *ret, struct platter_error *err)
{
	struct repair repair = { .findings.found = forward, .found = found, .closure = closure };
	const struct pl_format *format;
	struct pl_place *place;
	int r = pl_place_open(image, NULL, FLAGS, &place, err);

	if (r < 0)
		return r;
	format = pl_format_of(place->disk);
	if (!format || !format->change || !format->change->repair)
		r = cannot_repair(place, format, err);
	if (r == 0 && !options->dry_run)
		r = open_again(image, &place, err);
	if (r == 0) {
		pthread_mutex_lock(&place->disk->write_lock);
		r = format->change->repair(place->disk, options->dry_run, &repair.findings, err);
		atomic_fetch_add(&place->disk->generation, 1);
		pthread_mutex_unlock(&place->disk->write_lock);
	}
	pl_place_close(place);
	*ret = (struct platter_repair_result){
		.repaired = repair.findings.count[PLATTER_REPAIRED],
		.left = repair.findings.count[PLATTER_DAMAGE],
	};
	return r;
}
