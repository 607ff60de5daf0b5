/* SPDX-License-Identifier: GPL-3.0-or-later */
/* snapshot.c - platter snapshot: what an image holds of its earlier states */
#include <errno.h>

#include <platter/change.h>

#include "commands.h"
#include "output.h"

/* What can be asked for, one at a time; without any of them, the list. */
static const struct {
	enum option_id option;
	const char *name;
	int (*change)(struct platter_disk *disk, const char *name, struct platter_error *err);
	const char *done;
} actions[] = {
	{ OPT_CREATE, "create", platter_snapshot_create, "was created" },
	{ OPT_APPLY, "apply", platter_snapshot_apply, "was applied" },
	{ OPT_DELETE, "delete", platter_snapshot_delete, "was deleted" },
};

/* The index of what is asked for; the number of actions: the list.  -1: several. */
static int
chosen_action(const struct arguments *args)
{
	int chosen = (int)ARRAY_SIZE(actions);

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (args->option[actions[i].option].given) {
			if (chosen != (int)ARRAY_SIZE(actions))
				return -1;
			chosen = (int)i;
		}
	return chosen;
}

static int
tell(const struct arguments *args, struct platter_disk *disk, const char *action, const char *name,
     const char *done)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d;

	if (done && !args->json) {
		if (!args->option[OPT_QUIET].given)
			say(stdout, "%s: snapshot '%s' %s", args->operands[0], name, done);
		return STATUS_DONE;
	}
	if (platter_describe(disk, &d, &err) < 0)
		return report(args, &err, "cannot list the snapshots of '%s'", args->operands[0]);
	if (args->json) {
		json_t *answer = json_answer(args);

		json_put(answer, "place", json_text(args->operands[0]));
		json_put(answer, "action", json_text(action));
		json_put(answer, "snapshot", json_text(name));
		json_put(answer, "snapshots", json_snapshots(d));
		json_print(answer, stdout);
	} else if (d->nr_snapshots) {
		print_snapshots(d, "");
	} else if (!args->option[OPT_QUIET].given) {
		say(stdout, "%s: no snapshots", args->operands[0]);
	}
	platter_description_free(d);
	return STATUS_DONE;
}

static int
change(const struct arguments *args, size_t i)
{
	const char *name = args->option[actions[i].option].text;
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk;
	int status;

	if (open_to_change(args, args->operands[0], &disk) < 0)
		return STATUS_FAILED;
	if (actions[i].change(disk, name, &err) < 0)
		status = report(args, &err, "cannot %s snapshot '%s'", actions[i].name, name);
	else
		status = tell(args, disk, actions[i].name, name, actions[i].done);
	platter_close(disk);
	return status;
}

int
command_snapshot(const struct arguments *args)
{
	int i = chosen_action(args);
	struct platter_disk *disk;
	int status;

	if (i < 0)
		return report_usage(args, "one of --create, --apply and --delete at a time");
	if (i < (int)ARRAY_SIZE(actions))
		return change(args, (size_t)i);
	if (open_operand(args, args->operands[0], &disk) < 0)
		return STATUS_FAILED;
	status = tell(args, disk, "list", NULL, NULL);
	platter_close(disk);
	return status;
}
