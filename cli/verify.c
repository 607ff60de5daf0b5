/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.c - platter verify: structure, data and stored checksums of images */
#include <errno.h>
#include <inttypes.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

/* In the order of enum platter_severity. */
static const char *const severities[] = { "note", "leak", "damage" };

struct verification {
	const struct arguments *args;
	const char *place;
	struct progress progress;
	json_t *findings; /* with --json */
	bool opened;
	struct platter_verify_result result;
};

static void
say_finding(const struct verification *v, const struct platter_finding *f)
{
	/* A finding interrupts the bar, which is drawn again below it. */
	if (v->progress.drawn)
		fputs("\r\033[K", stderr);
	if (f->offset == PLATTER_NO_OFFSET)
		say(stdout, "%s: %s: %s", v->place, severities[f->severity], f->message);
	else
		say(stdout, "%s: %s: byte %" PRIu64 ": %s", v->place, severities[f->severity],
		    f->offset, f->message);
}

static void
take_finding(const struct platter_finding *f, void *closure)
{
	struct verification *v = closure;

	if (v->findings) {
		json_t *one = json_object();

		json_put(one, "severity", json_text(severities[f->severity]));
		json_put(one, "offset", json_number(f->offset));
		json_put(one, "message", json_text(f->message));
		json_array_append_new(v->findings, one);
	} else if (!v->args->option[OPT_QUIET].given) {
		say_finding(v, f);
	}
}

static void
say_verdict(const struct verification *v)
{
	const struct platter_verify_result *r = &v->result;

	if (r->damages)
		say(stdout, "%s: damaged: %s", v->place,
		    count_text(r->damages, "damage", "damages").text);
	else
		say(stdout, "%s: no damage found", v->place);
	if (r->leaks)
		say(stdout, "  %s: space that holds nothing; no data is affected",
		    count_text(r->leaks, "leak", "leaks").text);
	if (!v->opened)
		return;
	say(stdout, "  a disk of %s; read %s in %s", exact_size_text(r->size).text,
	    size_text(r->read).text, duration_text(r->seconds).text);
	if (r->checksummed)
		say(stdout, "  %s of it match the checksums that the image stores",
		    size_text(r->checksummed).text);
	for (size_t i = 0; i < r->nr_hashes; i++)
		say(stdout, "  %s  %s", r->hashes[i].name, r->hashes[i].hex);
}

static json_t *
json_verdict(struct verification *v)
{
	const struct platter_verify_result *r = &v->result;
	json_t *one = json_object();

	json_put(one, "place", json_text(v->place));
	json_put(one, "damaged", json_boolean(r->damages > 0));
	json_put(one, "damages", json_number(r->damages));
	json_put(one, "leaks", json_number(r->leaks));
	json_put(one, "notes", json_number(r->notes));
	json_put(one, "size", json_number(r->size));
	json_put(one, "read", json_number(r->read));
	json_put(one, "checksummed", json_number(r->checksummed));
	json_put(one, "seconds", json_real(r->seconds));
	json_put(one, "hashes", json_hashes(r->hashes, r->nr_hashes));
	json_put(one, "findings", json_incref(v->findings));
	return one;
}

/* An image that contradicts its format so much that it does not open is damaged, too. */
static void
judge_unopenable(struct verification *v, const struct platter_error *err)
{
	v->result.damages = 1;
	take_finding(&(struct platter_finding){ PLATTER_DAMAGE, err->offset, err->message }, v);
}

static int
verify_disk(struct verification *v, struct platter_disk *disk, struct platter_error *err)
{
	int r;

	progress_start(&v->progress, v->args);
	r = platter_verify(disk, v->args->option[OPT_HASH].text, take_finding, v, &v->progress.job,
			   &v->result, err);
	progress_end(&v->progress);
	return r;
}

static int
judge(struct verification *v, struct platter_error *err)
{
	struct platter_disk *disk;
	int r = try_open(v->args, v->place, &disk, err);

	if (r == -EUCLEAN) {
		judge_unopenable(v, err);
		return 0;
	}
	if (r < 0)
		return r;
	v->opened = true;
	r = verify_disk(v, disk, err);
	platter_close(disk);
	return r;
}

/* With --json the image's object goes to `images`; else it is told at once. */
static int
verify_image(const struct arguments *args, const char *place, json_t *images)
{
	struct verification v = { .args = args,
				  .place = place,
				  .findings = images ? json_array() : NULL };
	struct platter_error err = PLATTER_ERROR_INIT;
	int r = judge(&v, &err);

	if (r < 0 && !images)
		return report(args, &err, "cannot verify '%s'", place);
	if (images) {
		json_t *one = json_verdict(&v);

		if (r < 0)
			json_put(one, "error", json_error(&err, "cannot verify"));
		json_array_append_new(images, one);
		json_decref(v.findings);
	} else if (!args->option[OPT_QUIET].given) {
		say_verdict(&v);
	}
	if (r < 0)
		return STATUS_FAILED;
	return v.result.damages ? STATUS_NO : STATUS_DONE;
}

int
command_verify(const struct arguments *args)
{
	json_t *images = args->json ? json_array() : NULL;
	int worst = STATUS_DONE;

	for (size_t i = 0; i < args->nr_operands; i++) {
		int status = verify_image(args, args->operands[i], images);

		worst = status > worst ? status : worst;
	}
	if (images) {
		json_t *answer = json_answer(args);

		json_put(answer, "images", images);
		json_print(answer, stdout);
	}
	return worst;
}
