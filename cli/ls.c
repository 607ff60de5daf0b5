/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ls.c - platter ls, tree and find: what files there are
 *
 * Each file is printed as it is met, so a listing of any length takes no memory.
 */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <platter/text.h>

#include "files.h"

/* Extended attributes are shown up to so many bytes of their values. */
#define SHOWN_VALUE 64

/* What `find` looks for. */
struct wanted {
	const char *name, *iname;
	char size_sign; /* '+', '-', '=' or 0: any */
	uint64_t size;
	bool newer;
	struct platter_time than;
	char type; /* as type_letter(), 'f' for regular files; 0: any */
};

struct listing {
	const struct arguments *args;
	struct platter_volume *volume;
	const char *place;
	const struct wanted *wanted; /* NULL: everything */
	bool recursive, tree;
	json_t *errors; /* with --json */
	struct json_stream stream;
	uint64_t nr_folders, nr_files, nr_errors;
};

static char *
target_of(struct listing *l, const struct platter_visit *v)
{
	char *target = NULL;

	if (v->file->type == PLATTER_FILE_SYMLINK)
		platter_volume_read_link(l->volume, v->node, &target, NULL);
	return target;
}

static void
say_attribute(const struct platter_attribute *a, void *closure)
{
	const unsigned char *value = a->value;
	char text[4 * SHOWN_VALUE + 4];
	size_t n = 0;

	(void)closure;
	if (!value) {
		say(stdout, "    stream %s, %s", a->name, exact_size_text(a->size).text);
		return;
	}
	for (size_t i = 0; i < a->size && i < SHOWN_VALUE; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      value[i] >= 0x20 && value[i] < 0x7f ? "%c" : "\\x%02x",
				      value[i]);
	text[n] = '\0';
	say(stdout, "    %s=\"%s\"%s", a->name, text, a->size > SHOWN_VALUE ? "..." : "");
}

static void
say_long(struct listing *l, const struct platter_visit *v, const char *shown)
{
	const struct platter_file *f = v->file;
	AUTOFREE char *target = target_of(l, v);
	AUTOFREE char *owner = f->has_owner ? text_of("%" PRIu32 " %" PRIu32, f->uid, f->gid)
					    : text_of("%s", "- -");
	bool device =
		f->type == PLATTER_FILE_CHARACTER_DEVICE || f->type == PLATTER_FILE_BLOCK_DEVICE;
	AUTOFREE char *size = device ? text_of("%" PRIu32 ", %" PRIu32, f->major, f->minor)
				     : text_of("%" PRIu64, f->size);

	say(stdout, "%s %3" PRIu32 " %-11s %12s %s  %s%s%s%s%s%s", mode_text(f).text, f->links,
	    owner, size, when_text(f->modified).text, shown, target ? " -> " : "",
	    target ? target : "", f->note ? " (" : "", f->note ? f->note : "", f->note ? ")" : "");
}

static void
json_add_attribute(const struct platter_attribute *a, void *closure)
{
	json_t *one = json_object();
	json_t **arrays = closure;
	const unsigned char *value = a->value;

	json_put(one, "name", json_text(a->name));
	json_put(one, "size", json_number(a->size));
	if (value) {
		char *hex = grown(NULL, 2 * (size_t)a->size + 1, 1);

		hex[0] = '\0';
		for (size_t i = 0; i < a->size; i++)
			snprintf(hex + 2 * i, 3, "%02x", value[i]);
		json_put(one, "value_hex", json_text(hex));
		free(hex);
	}
	json_array_append_new(arrays[value ? 0 : 1], one);
}

static void
add_json(struct listing *l, const struct platter_visit *v)
{
	AUTOFREE char *target = target_of(l, v);
	json_t *one = json_file(v->path, v->file, target);

	if (l->args->option[OPT_ATTRIBUTES].given) {
		json_t *arrays[2] = { json_array(), json_array() };

		platter_volume_attributes(l->volume, v->node, json_add_attribute, arrays, NULL);
		json_put(one, "xattrs", arrays[0]);
		json_put(one, "streams", arrays[1]);
	}
	json_stream_add(&l->stream, one);
}

static void
show(struct listing *l, const struct platter_visit *v)
{
	const char *path = v->depth || *v->path ? v->path : v->name;
	AUTOFREE char *in_tree = NULL;
	const char *shown = *path ? path : l->place;

	if (l->args->json) {
		add_json(l, v);
		return;
	}
	if (l->tree)
		shown = in_tree =
			text_of("%*s%s%s", 2 * (int)v->depth, "", *v->name ? v->name : l->place,
				v->file->type == PLATTER_FILE_FOLDER && *v->name ? "/" : "");
	if (l->args->option[OPT_LONG].given)
		say_long(l, v, shown);
	else
		say_text(stdout, shown);
	if (l->args->option[OPT_ATTRIBUTES].given)
		platter_volume_attributes(l->volume, v->node, say_attribute, NULL, NULL);
}

static void
show_error(struct listing *l, const struct platter_visit *v)
{
	l->nr_errors++;
	if (l->args->json) {
		json_t *one = json_error(v->error, "cannot read");

		json_put_path(one, v->path);
		json_array_append_new(l->errors, one);
		return;
	}
	say(stderr, "platter: cannot read '%s' of '%s': %s", v->path, l->place, v->error->message);
}

static bool
compares(char sign, uint64_t a, uint64_t b)
{
	return sign == '+' ? a > b : sign == '-' ? a < b : a == b;
}

static bool
is_wanted(const struct wanted *w, const struct platter_visit *v)
{
	const struct platter_file *f = v->file;

	if (w->name && fnmatch(w->name, v->name, 0) != 0)
		return false;
	if (w->iname && fnmatch(w->iname, v->name, FNM_CASEFOLD) != 0)
		return false;
	if (w->type && w->type != (f->type == PLATTER_FILE_REGULAR ? 'f' : type_letter(f)))
		return false;
	if (w->size_sign && !compares(w->size_sign, f->size, w->size))
		return false;
	if (w->newer &&
	    (f->modified.seconds == PLATTER_NO_TIME || f->modified.seconds < w->than.seconds ||
	     (f->modified.seconds == w->than.seconds &&
	      f->modified.nanoseconds <= w->than.nanoseconds)))
		return false;
	return true;
}

static enum platter_walk_answer
list_one(const struct platter_visit *v, void *closure)
{
	struct listing *l = closure;
	bool folder = v->kind == PLATTER_VISIT_FOLDER;
	bool begins = !v->depth && folder && !l->tree && !l->wanted;

	if (v->kind == PLATTER_VISIT_ERROR)
		show_error(l, v);
	if (v->kind == PLATTER_VISIT_ERROR || v->kind == PLATTER_VISIT_LEAVE)
		return PLATTER_WALK_ON;
	if (v->depth || !folder)
		*(folder ? &l->nr_folders : &l->nr_files) += 1;
	/* A folder that is listed is not in the list itself. */
	if (!begins && (!l->wanted || is_wanted(l->wanted, v)))
		show(l, v);
	return folder && v->depth && !l->recursive ? PLATTER_WALK_SKIP : PLATTER_WALK_ON;
}

static const char *const recoveries[] = { "whole", "partly", "nothing" };

static enum platter_walk_answer
list_deleted(const struct platter_deleted *d, void *closure)
{
	struct listing *l = closure;
	const struct platter_visit v = {
		.path = d->path, .name = d->path, .depth = 1, .node = d->node, .file = &d->file
	};
	json_t *one;

	l->nr_files++;
	if (!l->args->json) {
		AUTOFREE char *shown =
			text_of("%s (recoverable: %s)", d->path, recoveries[d->recovery]);

		if (l->args->option[OPT_LONG].given)
			say_long(l, &v, shown);
		else
			say(stdout, "%-8s %s", recoveries[d->recovery], d->path);
		return PLATTER_WALK_ON;
	}
	one = json_file(d->path, &d->file, NULL);
	json_put(one, "recoverable", json_text(recoveries[d->recovery]));
	json_stream_add(&l->stream, one);
	return PLATTER_WALK_ON;
}

static int
walk(struct listing *l, struct platter_error *err)
{
	if (l->args->option[OPT_DELETED].given)
		return platter_volume_deleted(l->volume, list_deleted, l, err);
	return platter_volume_walk(l->volume, platter_volume_start(l->volume), PLATTER_WALK_SORTED,
				   list_one, l, err);
}

static int
list_place(struct listing *l)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	int r;

	if (open_volume(l->args, l->place, &l->volume) < 0)
		return STATUS_FAILED;
	if (l->args->json) {
		json_t *answer = json_answer(l->args);

		json_put(answer, "place", json_text(l->place));
		l->errors = json_array();
		json_stream_begin(&l->stream, answer, "files");
	}
	r = walk(l, &err);
	if (l->args->json) {
		json_t *more = json_object();

		json_put(more, "errors", l->errors);
		if (r < 0)
			json_put(more, "error", json_error(&err, "cannot list"));
		json_stream_end(&l->stream, more);
	} else if (r < 0) {
		report(l->args, &err, "cannot list '%s'", l->place);
	} else if (l->tree && !l->args->option[OPT_QUIET].given) {
		say(stdout, "%s, %s", count_text(l->nr_folders, "folder", "folders").text,
		    count_text(l->nr_files, "file", "files").text);
	}
	platter_volume_close(l->volume);
	return r < 0 ? STATUS_FAILED : l->nr_errors ? STATUS_BAD_SECTORS : STATUS_DONE;
}

static int
list_places(struct listing *l)
{
	int worst = STATUS_DONE;

	if (l->args->json && l->args->nr_operands > 1)
		return report_usage(l->args, "--json answers for one PLACE, not for %zu",
				    l->args->nr_operands);
	for (size_t i = 0; i < l->args->nr_operands; i++) {
		int status;

		l->place = l->args->operands[i];
		if (l->args->nr_operands > 1)
			say(stdout, "%s%s:", i ? "\n" : "", l->place);
		status = list_place(l);
		if (worst != STATUS_FAILED && status)
			worst = status;
	}
	return worst;
}

int
command_ls(const struct arguments *args)
{
	struct listing l = { .args = args, .recursive = args->option[OPT_RECURSIVE].given };

	return list_places(&l);
}

int
command_tree(const struct arguments *args)
{
	struct listing l = { .args = args, .recursive = true, .tree = true };

	return list_places(&l);
}

/* [+|-]SIZE */
static bool
parse_size_test(const char *text, struct wanted *w)
{
	w->size_sign = *text == '+' || *text == '-' ? *text++ : '=';
	return platter_parse_size(text, &w->size) == 0;
}

/* A date, "2026-11-22" or "2026-11-22 18:02:36", in UTC; or a path in the volume. */
static int
parse_newer(const struct arguments *args, const char *text, struct wanted *w)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_volume *volume;
	struct platter_file file;
	struct platter_node node;
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	int r;

	if (end && *end)
		end = strptime(end, " %H:%M:%S", &tm);
	w->newer = true;
	if (end && !*end) {
		w->than.seconds = timegm(&tm);
		return 0;
	}
	if (open_volume(args, args->operands[0], &volume) < 0)
		return STATUS_FAILED;
	r = platter_volume_find(volume, text, 0, &node, &file, &err);
	platter_volume_close(volume);
	if (r < 0)
		return report(args, &err, "cannot compare with '%s'", text);
	w->than = file.modified;
	return 0;
}

int
command_find(const struct arguments *args)
{
	const struct option_value *o = args->option;
	struct wanted w = { .name = o[OPT_NAME].text, .iname = o[OPT_INAME].text };
	struct listing l = { .args = args, .recursive = true, .wanted = &w };

	if (o[OPT_SIZE_TEST].given && !parse_size_test(o[OPT_SIZE_TEST].text, &w))
		return report_usage(args, "--size=%s is no size: 4K, +1M, -100",
				    o[OPT_SIZE_TEST].text);
	if (o[OPT_TYPE].given) {
		static const char letters[] = "fdlpscb";

		w.type = letters[o[OPT_TYPE].number];
	}
	if (o[OPT_NEWER].given) {
		int status = parse_newer(args, o[OPT_NEWER].text, &w);

		if (status)
			return status;
	}
	return list_places(&l);
}
