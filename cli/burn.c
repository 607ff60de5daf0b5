/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * burn.c - platter burn: an image onto an optical disc
 *
 * As with restore, nothing is lost before it was shown and the user agreed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

/* No disc turns faster than this many times its single speed. */
#define MAX_SPEED 1000

static const char *
address_of(const struct arguments *args)
{
	return args->operands[args->nr_operands - 1];
}

/* "8x", "4.4x", or kB/s.  0, or -1: it is neither. */
static int
parse_speed(const char *text, const struct platter_drive_disc *disc, uint32_t *ret)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || !(n > 0))
		return -1;
	if (!strcmp(end, "x")) {
		if (n > MAX_SPEED || !disc->single_speed)
			return -1;
		/* A little more than asked for chooses the speed, a little less the one below. */
		*ret = (uint32_t)(n * disc->single_speed + 0.999);
		return 0;
	}
	if (*end || n > UINT32_MAX)
		return -1;
	*ret = (uint32_t)n;
	return 0;
}

/* Returns a status. */
static int
fill_options(const struct arguments *args, const struct platter_drive_info *info,
	     struct platter_burn_options *ret)
{
	const struct option_value *o = args->option;

	*ret = (struct platter_burn_options){
		.size = sizeof *ret,
		.simulate = o[OPT_SIMULATE].given,
		.verify = o[OPT_VERIFY].given,
		.multi = o[OPT_MULTI].given,
		.append = o[OPT_ADD_SESSION].given,
		.close = o[OPT_CLOSE].given,
		.format = o[OPT_FORMAT_DISC].given,
	};
	if (o[OPT_BLANK].given)
		ret->blank = o[OPT_BLANK].number ? PLATTER_BLANK_FULL : PLATTER_BLANK_FAST;
	if (o[OPT_SPEED].given && parse_speed(o[OPT_SPEED].text, &info->disc, &ret->speed) < 0)
		return report_usage(args, "--speed is a number of kB/s, or like 8x%s, not '%s'",
				    info->disc.single_speed ? "" : " where a disc has speeds",
				    o[OPT_SPEED].text);
	return STATUS_DONE;
}

/* What stands from sector `first` on, and is lost. */
static void
show_lost(struct platter_drive *drive, int64_t first)
{
	const struct platter_drive_read_options from = { .size = sizeof from, .start = first };
	const struct platter_drive_info *info = platter_drive_info(drive);
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d = NULL;
	struct platter_disk *disk = NULL;
	AUTOFREE char *disc = disc_text(&info->disc);

	if (first > 0)
		say(stderr,
		    "What stands behind the last session on the disc in %s (%s), from sector "
		    "%" PRId64 " on, will be lost:",
		    info->address, disc, first);
	else
		say(stderr, "What stands on the disc in %s (%s) will be lost:", info->address,
		    disc);
	if (platter_drive_disk(drive, &from, &disk, &err) == 0 &&
	    platter_describe(disk, &d, &err) == 0)
		say_what_is_on_it(stderr, d);
	else
		say(stderr, "It cannot be told: %s", err.message);
	platter_description_free(d);
	platter_close(disk);
}

static void
say_burned(const struct arguments *args, const struct platter_drive_info *info,
	   const struct platter_burn_result *r)
{
	AUTOFREE char *disc = disc_text(&info->disc);

	if (r->blanked)
		say(stdout, "blanked the disc in %s", info->address);
	if (r->formatted)
		say(stdout, "formatted the disc in %s", info->address);
	if (r->tracks) {
		AUTOFREE char *buffer = r->lowest_buffer < 0 ? text_of("%s", "")
							     : text_of(", buffer never below %d %%",
								       r->lowest_buffer);

		say(stdout, "%s %s to %s: %s in %s, from sector %" PRId64 " on%s",
		    args->option[OPT_SIMULATE].given ? "simulated burning" : "burned",
		    args->operands[0], info->address, exact_size_text(r->written).text,
		    duration_text(r->seconds).text, r->start, buffer);
	} else if (args->option[OPT_CLOSE].given) {
		say(stdout, "closed the disc in %s", info->address);
	}
	if (r->verified)
		say(stdout, "  read back and compared: equal");
	if (r->bad)
		say(stdout,
		    "  %s of the image could not be read when it was made; zeros stand there",
		    exact_size_text(r->bad).text);
	say(stdout, "  now: %s", disc);
}

static void
tell(const struct arguments *args, const struct platter_drive_info *info,
     const struct platter_burn_result *r)
{
	json_t *answer;

	if (!args->json) {
		if (!args->option[OPT_QUIET].given)
			say_burned(args, info, r);
		return;
	}
	answer = json_answer(args);
	json_put(answer, "source", json_text(args->nr_operands > 1 ? args->operands[0] : NULL));
	json_put(answer, "drive", json_text(info->address));
	json_put(answer, "profile", json_text(info->disc.profile_name));
	json_put(answer, "size", json_number(r->size));
	json_put(answer, "written", json_number(r->written));
	json_put(answer, "bad", json_number(r->bad));
	json_put(answer, "start", json_integer(r->start));
	json_put(answer, "tracks", json_number(r->tracks));
	json_put(answer, "sessions", json_number(r->sessions));
	json_put(answer, "simulated", json_boolean(args->option[OPT_SIMULATE].given));
	json_put(answer, "blanked", json_boolean(r->blanked));
	json_put(answer, "formatted", json_boolean(r->formatted));
	json_put(answer, "verified", json_boolean(r->verified));
	json_put(answer, "lowest_buffer",
		 r->lowest_buffer < 0 ? json_null() : json_integer(r->lowest_buffer));
	json_put(answer, "seconds", json_real(r->seconds));
	json_print(answer, stdout);
}

/* `identity`: of a file or device that stands for a drive, else NULL. */
static int
burn(const struct arguments *args, struct platter_disk *image, struct platter_drive *drive,
     const struct platter_identity *identity)
{
	const struct platter_drive_info *info = platter_drive_info(drive);
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_burn_options options;
	struct platter_burn_result result;
	struct progress progress;
	int64_t lost = -1;
	int r, status = fill_options(args, info, &options);

	if (status != STATUS_DONE)
		return status;
	options.identity = identity;
	if (platter_burn_check(image, drive, &options, &lost, &err) < 0)
		return report(args, &err, "cannot burn to '%s'", info->address);
	if (lost >= 0 && (!args->option[OPT_QUIET].given || !args->option[OPT_YES].given))
		show_lost(drive, lost);
	if (lost >= 0)
		status = ask_to_overwrite(args, args->operands[0], info->address, identity);
	if (status != STATUS_DONE)
		return status;
	progress_start(&progress, args);
	r = platter_burn(image, drive, &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot burn to '%s'", info->address);
	tell(args, info, &result);
	return result.bad ? STATUS_BAD_SECTORS : STATUS_DONE;
}

static int
burn_with(const struct arguments *args, struct platter_disk *image, struct platter_drive *drive)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_identity *identity = NULL;
	int status;

	/*
	 * A drive is kept while the question stands; what a file's name means can change.  One that
	 * is still to be made holds nothing to be asked about.
	 */
	if (platter_drive_info(drive)->is_file &&
	    platter_identity_take(address_of(args), &identity, &err) < 0 && err.code != -ENOENT)
		return report(args, &err, "cannot burn to '%s'", address_of(args));
	status = burn(args, image, drive, identity);
	platter_identity_free(identity);
	return status;
}

int
command_burn(const struct arguments *args)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *image = NULL;
	struct platter_drive *drive;
	int status;

	if (args->nr_operands > 1 && open_operand(args, args->operands[0], &image) < 0)
		return STATUS_FAILED;
	if (platter_drive_open(address_of(args), &drive, &err) < 0) {
		status = report(args, &err, "cannot burn to '%s'", address_of(args));
	} else {
		status = burn_with(args, image, drive);
		platter_drive_close(drive, args->option[OPT_EJECT].given);
	}
	platter_close(image);
	return status;
}
