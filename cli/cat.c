/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cat.c - platter cat and hash: the bytes of files inside, and of disks */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <platter/job.h>

#include "files.h"
#include "progress.h"

#define PIECE (1u << 20)

/* Standard output, past stdio: the bytes may be many. */
static int
write_all(const char *bytes, size_t n, struct platter_error *err)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			err->code = -errno;
			snprintf(err->message, sizeof err->message,
				 "cannot write to standard output: %s", strerror(errno));
			return err->code;
		}
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
copy_out(struct platter_disk *disk, struct platter_error *err)
{
	uint64_t size = platter_size(disk);
	AUTOFREE char *piece = grown(NULL, PIECE, 1);
	int r = 0;

	for (uint64_t at = 0; at < size && r == 0; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;

		r = platter_read(disk, piece, n, at, err);
		if (r == 0)
			r = write_all(piece, n, err);
	}
	return r;
}

/* A file's stream; without one a place is a disk like any other. */
static int
open_stream(const struct arguments *args, const char *place, struct platter_disk **ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_volume *volume;
	int r;

	if (!args->option[OPT_STREAM].given)
		return open_operand(args, place, ret);
	if (open_volume(args, place, &volume) < 0)
		return -1;
	r = platter_volume_open_file(volume, platter_volume_start(volume),
				     args->option[OPT_STREAM].text, place, ret, &err);
	if (r < 0)
		report(args, &err, "cannot open stream '%s' of '%s'", args->option[OPT_STREAM].text,
		       place);
	platter_volume_close(volume);
	return r;
}

int
command_cat(const struct arguments *args)
{
	int worst = STATUS_DONE;

	for (size_t i = 0; i < args->nr_operands; i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct platter_disk *disk;

		if (open_stream(args, args->operands[i], &disk) < 0) {
			worst = STATUS_FAILED;
			continue;
		}
		if (copy_out(disk, &err) < 0)
			worst = report(args, &err, "cannot read '%s'", args->operands[i]);
		platter_close(disk);
	}
	return worst;
}

struct hashing {
	const struct arguments *args;
	const char *place;
	struct progress progress;
	json_t *errors, *failure; /* with --json */
	struct json_stream stream;
	uint64_t nr_errors;
};

/* As sha256sum and its sisters write it, so that they can check it; several as with --tag. */
static void
say_hashes(const char *path, const struct platter_hash *hashes, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		AUTOFREE char *name = text_of("%s", hashes[i].name);

		for (char *c = name; *c; c++)
			if (*c >= 'a' && *c <= 'z')
				*c = (char)(*c - 'a' + 'A');
		if (nr == 1)
			say(stdout, "%s  %s", hashes[i].hex, path);
		else
			say(stdout, "%s (%s) = %s", name, path, hashes[i].hex);
	}
}

static void
take_file(const struct platter_hashed_file *f, void *closure)
{
	struct hashing *h = closure;
	const char *path = *f->path ? f->path : h->place;
	json_t *one;

	if (f->error) {
		h->nr_errors++;
		if (!h->args->json) {
			say(stderr, "platter: cannot read '%s' of '%s': %s", f->path, h->place,
			    f->error->message);
			return;
		}
		one = json_error(f->error, "cannot read");
		json_put_path(one, f->path);
		json_array_append_new(h->errors, one);
		return;
	}
	if (!h->args->json) {
		say_hashes(path, f->hashes, f->nr_hashes);
		return;
	}
	one = json_object();
	json_put_path(one, path);
	json_put(one, "size", json_number(f->size));
	json_put(one, "hashes", json_hashes(f->hashes, f->nr_hashes));
	json_stream_add(&h->stream, one);
}

static int
hash_tree(struct hashing *h, const char *names, struct platter_error *err)
{
	struct platter_volume *volume;
	int r = try_volume(h->args, h->place, &volume, err);

	if (r < 0)
		return r;
	r = platter_hash_files(volume, platter_volume_start(volume), names, take_file, h,
			       &h->progress.job, err);
	platter_volume_close(volume);
	return r;
}

static void
ignore_finding(const struct platter_finding *finding, void *closure)
{
	(void)finding, (void)closure;
}

static int
hash_disk(struct hashing *h, const char *names, struct platter_error *err)
{
	struct platter_verify_result result = { 0 };
	struct platter_hashed_file f = { .path = h->place };
	struct platter_disk *disk;
	int r = try_open(h->args, h->place, &disk, err);

	if (r < 0)
		return r;
	r = platter_verify(disk, names, ignore_finding, NULL, &h->progress.job, &result, err);
	if (r == 0) {
		f.size = result.size;
		f.nr_hashes = result.nr_hashes;
		memcpy(f.hashes, result.hashes, sizeof f.hashes);
		take_file(&f, h);
	}
	platter_close(disk);
	return r;
}

static int
hash_place(struct hashing *h)
{
	const struct option_value *o = h->args->option;
	const char *names = o[OPT_HASH].given ? o[OPT_HASH].text : "sha256";
	struct platter_error err = PLATTER_ERROR_INIT;
	int r;

	progress_start(&h->progress, h->args);
	r = o[OPT_RECURSIVE].given ? hash_tree(h, names, &err) : hash_disk(h, names, &err);
	progress_end(&h->progress);
	if (r < 0 && h->args->json)
		h->failure = json_error(&err, "cannot hash");
	else if (r < 0)
		report(h->args, &err, "cannot hash '%s'", h->place);
	if (r < 0)
		return STATUS_FAILED;
	return h->nr_errors ? STATUS_BAD_SECTORS : STATUS_DONE;
}

int
command_hash(const struct arguments *args)
{
	struct hashing h = { .args = args };
	int worst = STATUS_DONE;

	if (args->json) {
		h.errors = json_array();
		json_stream_begin(&h.stream, json_answer(args), "files");
	}
	for (size_t i = 0; i < args->nr_operands && !h.failure; i++) {
		int status;

		h.place = args->operands[i];
		status = hash_place(&h);
		if (worst != STATUS_FAILED && status)
			worst = status;
	}
	if (args->json) {
		json_t *more = json_object();

		json_put(more, "errors", h.errors);
		if (h.failure)
			json_put(more, "error", h.failure);
		json_stream_end(&h.stream, more);
	}
	return worst;
}
