/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * list.c - platter list: the block devices and optical drives of this computer
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/major.h>

#include "commands.h"
#include "output.h"

/* In the order of enum platter_disc_state. */
static const char *const states[] = { "none",       "unknown", "blank",
				      "appendable", "closed",  "overwritable" };

char *
disc_text(const struct platter_drive_disc *d)
{
	const char *kind = *d->profile_name ? d->profile_name : "disc";

	switch (d->state) {
	case PLATTER_DISC_NONE: return text_of("no disc");
	case PLATTER_DISC_UNKNOWN: return text_of("%s that cannot be read", kind);
	case PLATTER_DISC_BLANK:
		return text_of("%s, blank, room for %s", kind, size_text(d->free).text);
	case PLATTER_DISC_APPENDABLE:
		return text_of("%s, %s written, room for %s more", kind, size_text(d->size).text,
			       size_text(d->free).text);
	case PLATTER_DISC_OVERWRITABLE:
		return text_of("%s, %s written, room for %s", kind, size_text(d->size).text,
			       size_text(d->free).text);
	case PLATTER_DISC_CLOSED: break;
	}
	return text_of("%s, closed, %s%s", kind, size_text(d->size).text,
		       d->rewritable ? ", can be blanked" : "");
}

static void
say_speeds(const struct platter_drive_disc *d)
{
	char *text = text_of("    speeds");

	for (size_t i = 0; i < d->nr_speeds; i++) {
		AUTOFREE char *before = text;

		text = d->single_speed
			       ? text_of("%s %.1fx", before, (double)d->speeds[i] / d->single_speed)
			       : text_of("%s %" PRIu32 " kB/s", before, d->speeds[i]);
	}
	if (d->nr_speeds)
		say(stdout, "%s", text);
	free(text);
}

static void
say_tracks(const struct platter_drive_disc *d)
{
	static const char *const headings[] = { ">Session", ">Track", "Holds", ">Start",
						">Sectors" };
	struct table t;

	if (!d->nr_tracks)
		return;
	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < d->nr_tracks; i++) {
		const struct platter_drive_track *track = &d->tracks[i];

		table_cell(&t, "%" PRIu32, track->session);
		table_cell(&t, "%" PRIu32, track->number);
		table_cell(&t, "%s", track->audio ? "audio" : "data");
		table_cell(&t, "%" PRId64, track->start);
		table_cell(&t, "%" PRIu64, track->length);
	}
	table_print(&t, stdout, "    ");
}

static void
say_drive(const struct platter_drive_info *drive)
{
	const struct platter_drive_disc *d = &drive->disc;
	AUTOFREE char *disc = disc_text(d);

	say(stdout, "  %s  %s %s %s", drive->address, drive->vendor, drive->model, drive->revision);
	if (*drive->problem) {
		say(stdout, "    %s", drive->problem);
		return;
	}
	say(stdout, "    %s%s%s", disc, *d->manufacturer ? ", made by " : "", d->manufacturer);
	if (d->next_writable >= 0)
		say(stdout,
		    "    another session begins at sector %" PRId64 " (-C %" PRId64 ",%" PRId64 ")",
		    d->next_writable, d->last_session, d->next_writable);
	say_speeds(d);
	say_tracks(d);
}

static json_t *
json_sector(int64_t lba)
{
	return lba < 0 ? json_null() : json_integer(lba);
}

static json_t *
json_tracks(const struct platter_drive_disc *d)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->nr_tracks; i++) {
		const struct platter_drive_track *track = &d->tracks[i];
		json_t *one = json_object();

		json_put(one, "session", json_number(track->session));
		json_put(one, "number", json_number(track->number));
		json_put(one, "audio", json_boolean(track->audio));
		json_put(one, "start", json_integer(track->start));
		json_put(one, "sectors", json_number(track->length));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_disc(const struct platter_drive_disc *d)
{
	json_t *disc = json_object(), *speeds = json_array();

	for (size_t i = 0; i < d->nr_speeds; i++)
		json_array_append_new(speeds, json_number(d->speeds[i]));
	json_put(disc, "state", json_text(states[d->state]));
	json_put(disc, "profile", json_text(d->profile_name));
	json_put(disc, "medium", json_text(d->medium));
	json_put(disc, "manufacturer", json_text(d->manufacturer));
	json_put(disc, "rewritable", json_boolean(d->rewritable));
	json_put(disc, "size", json_number(d->size));
	json_put(disc, "free", json_number(d->free));
	json_put(disc, "next_writable", json_sector(d->next_writable));
	json_put(disc, "last_session", json_sector(d->last_session));
	json_put(disc, "sessions", json_number(d->nr_sessions));
	json_put(disc, "tracks", json_tracks(d));
	json_put(disc, "speeds", speeds);
	json_put(disc, "single_speed",
		 d->single_speed ? json_number(d->single_speed) : json_null());
	return disc;
}

static json_t *
json_drive(const struct platter_drive_info *drive)
{
	json_t *one = json_object(), *writes = json_array();
	bool known = !*drive->problem && drive->disc.state != PLATTER_DISC_NONE;

	for (const char *const *name = drive->writes; name && *name; name++)
		json_array_append_new(writes, json_text(*name));
	json_put(one, "address", json_text(drive->address));
	json_put(one, "vendor", json_text(drive->vendor));
	json_put(one, "model", json_text(drive->model));
	json_put(one, "revision", json_text(drive->revision));
	json_put(one, "file", json_boolean(drive->is_file));
	json_put(one, "writes", writes);
	json_put(one, "problem", *drive->problem ? json_text(drive->problem) : json_null());
	json_put(one, "disc", known ? json_disc(&drive->disc) : json_null());
	return one;
}

/* What the command line names, sorted by what is asked about it. */
struct named {
	const char **drives, **devices;
	size_t nr_drives, nr_devices;
};

/* Optical drives, also files that behave like one, and what is neither: that has its error there. */
static bool
is_drive(const char *operand)
{
	struct stat st;

	if (!strncmp(operand, "stdio:", 6))
		return true;
	return stat(operand, &st) == 0 &&
	       !(S_ISBLK(st.st_mode) && major(st.st_rdev) != SCSI_CDROM_MAJOR);
}

static void
sort_operands(const struct arguments *args, struct named *ret)
{
	ret->drives = grown(NULL, args->nr_operands + 1, sizeof *ret->drives);
	ret->devices = grown(NULL, args->nr_operands + 1, sizeof *ret->devices);
	ret->nr_drives = ret->nr_devices = 0;
	for (size_t i = 0; i < args->nr_operands; i++) {
		const char *operand = args->operands[i];

		if (is_drive(operand))
			ret->drives[ret->nr_drives++] = operand;
		else
			ret->devices[ret->nr_devices++] = operand;
	}
}

/* What was found; NULL: it was not asked for. */
struct found {
	struct platter_drive_list *drives;
	struct platter_device_list *devices;
};

static void
tell_json(const struct arguments *args, const struct named *named, const struct found *found)
{
	json_t *answer = json_answer(args), *optical = json_array();

	for (size_t i = 0; found->drives && i < found->drives->nr_drives; i++)
		json_array_append_new(optical, json_drive(&found->drives->drives[i]));
	json_put(answer, "devices",
		 found->devices ? json_devices(found->devices, named->devices, named->nr_devices)
				: json_array());
	json_put(answer, "optical", optical);
	json_print(answer, stdout);
}

static void
tell(const struct named *named, const struct found *found)
{
	if (found->devices)
		say_devices(found->devices, named->devices, named->nr_devices);
	if (!found->drives)
		return;
	if (found->devices)
		putchar('\n');
	if (found->drives->nr_drives)
		say(stdout, "Optical drives:");
	else
		say(stdout, "There is no optical drive.");
	for (size_t i = 0; i < found->drives->nr_drives; i++) {
		say_drive(&found->drives->drives[i]);
		if (found->devices)
			say_disc_contents(found->devices, found->drives->drives[i].address);
	}
}

static void
print_paths(const struct named *named, const struct found *found)
{
	if (found->devices)
		print_device_paths(found->devices, named->devices, named->nr_devices);
	/* Without operands, the drives are among the devices. */
	for (size_t i = 0; named->nr_drives && i < found->drives->nr_drives; i++)
		say(stdout, "%s", found->drives->drives[i].address);
}

/* Devices first: asking an optical drive takes it for oneself. */
static int
find(const struct arguments *args, const struct named *named, struct found *ret)
{
	struct platter_device_list_options options = {
		.size = sizeof options,
		.no_contents = args->option[OPT_QUIET].given && !args->json,
		.no_health = args->option[OPT_QUIET].given && !args->json,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	bool all = !args->nr_operands;

	if ((all || named->nr_devices) && platter_device_list(named->devices, named->nr_devices,
							      &options, &ret->devices, &err) < 0)
		return report(args, &err, "cannot list the devices");
	if (all && options.no_contents)
		return STATUS_DONE;
	if ((all || named->nr_drives) &&
	    platter_drive_list(named->drives, named->nr_drives, &ret->drives, &err) < 0)
		return report(args, &err, "cannot list the drives");
	return STATUS_DONE;
}

static int
list(const struct arguments *args)
{
	struct found found = { NULL, NULL };
	struct named named;
	int status;

	sort_operands(args, &named);
	status = find(args, &named, &found);
	if (status != STATUS_DONE)
		;
	else if (args->json)
		tell_json(args, &named, &found);
	else if (args->option[OPT_QUIET].given)
		print_paths(&named, &found);
	else
		tell(&named, &found);
	platter_device_list_free(found.devices);
	platter_drive_list_free(found.drives);
	free(named.drives);
	free(named.devices);
	return status;
}

/* How the child ended, if it does so within a tenth of a second; else `status`. */
static int
status_of(pid_t child, int status)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	int how;

	for (int i = 0; i < 20; i++) {
		if (waitpid(child, &how, WNOHANG) == child)
			return WIFEXITED(how) ? WEXITSTATUS(how) : STATUS_FAILED;
		nanosleep(&pause, NULL);
	}
	return status;
}

/* All is written: whoever reads it need not wait until this process ends. */
static void
leave_output(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stdout);
	if (nowhere < 0)
		return;
	dup2(nowhere, STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	close(nowhere);
}

/*
 * Whoever waits in the kernel for a device that does not answer cannot end before it does.  So
 * the work is a child's, which says when all is told, and is left behind if it hangs.
 */
int
command_list(const struct arguments *args)
{
	unsigned char status = STATUS_FAILED;
	int fds[2], how;
	pid_t child;

	if (pipe(fds) < 0)
		return list(args);
	child = fork();
	if (child <= 0) {
		int r = list(args);

		leave_output();
		status = (unsigned char)r;
		/* A parent that is gone needs no answer. */
		if (write(fds[1], &status, 1) < 0 || child < 0)
			close(fds[0]);
		close(fds[1]);
		return r;
	}
	close(fds[1]);
	if (read(fds[0], &status, 1) == 1)
		how = status_of(child, status);
	else
		how = waitpid(child, &how, 0) == child && WIFEXITED(how) ? WEXITSTATUS(how)
									 : STATUS_FAILED;
	close(fds[0]);
	return how;
}
