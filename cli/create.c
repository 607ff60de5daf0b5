/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * create.c - platter create and convert: an image of anything that is a disk
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <platter/format.h>

#include "commands.h"
#include "output.h"
#include "progress.h"
#include "sums.h"

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

char *
resume_command(const struct arguments *args)
{
	char *text = text_of("platter %s%s", args->verb->name,
			     args->option[OPT_RESUME].given ? "" : " --resume");

	for (int i = 1; i < args->argc; i++) {
		AUTOFREE char *earlier = text;
		AUTOFREE char *word = shell_quoted(args->argv[i]);

		text = text_of("%s %s", earlier, word);
	}
	return text;
}

/* The unfinished image that an interrupted run left, or NULL; to be freed. */
static char *
kept_part(const char *target)
{
	static const char *const endings[] = { ".part", ".001.part" };

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		char *path = text_of("%s%s", target, endings[i]);

		if (exists(path))
			return path;
		free(path);
	}
	return NULL;
}

/* Whether the work itself failed; else an unfinished image is that of some earlier run. */
static bool
failed_midway(int code)
{
	return code == -ECANCELED || code == -ENOSPC || code == -EIO || code == -EUCLEAN ||
	       code == -ENOMEM;
}

int
report_create_stopped(const struct arguments *args, const char *target, struct platter_error *err)
{
	AUTOFREE char *context = text_of("cannot create '%s'", target);
	AUTOFREE char *kept =
		strcmp(target, "-") && failed_midway(err->code) ? kept_part(target) : NULL;
	AUTOFREE char *command = kept ? resume_command(args) : NULL;

	return report_kept(args, err, context, kept, command);
}

void
json_put_result(json_t *answer, const struct platter_copy_result *r)
{
	json_put(answer, "size", json_number(r->size));
	json_put(answer, "data", json_number(r->data));
	json_put(answer, "zero", json_number(r->zero));
	json_put(answer, "bad", json_number(r->bad));
	json_put(answer, "kept", json_number(r->kept));
	json_put(answer, "shared", json_number(r->shared));
	json_put(answer, "stored", json_number(r->stored));
	json_put(answer, "seconds", json_real(r->seconds));
	json_put(answer, "verified", json_boolean(r->verified));
	json_put(answer, "hashes", json_hashes(r->hashes, r->nr_hashes));
}

void
say_result_details(FILE *to, const struct platter_copy_result *r)
{
	if (r->kept)
		say(to, "  %s were there already", exact_size_text(r->kept).text);
	if (r->verified)
		say(to, "  read back and compared: equal");
	for (size_t i = 0; i < r->nr_hashes; i++)
		say(to, "  %s  %s", r->hashes[i].name, r->hashes[i].hex);
	if (r->bad)
		say(to, "  could not read %s of the source; zeros stand there",
		    exact_size_text(r->bad).text);
}

static void
say_created(FILE *to, const char *target, const struct platter_copy_result *r)
{
	AUTOFREE char *stored = r->stored == UINT64_MAX
					? text_of("%s", "")
					: text_of(", stored in %s", size_text(r->stored).text);
	AUTOFREE char *rate =
		r->data == 0 || r->seconds < 0.001
			? text_of("%s", "")
			: text_of(" (%s/s)",
				  size_text((uint64_t)((double)r->data / r->seconds)).text);

	say(to, "wrote %s: a disk of %s, %s of it data%s, in %s%s",
	    strcmp(target, "-") ? target : "to standard output", exact_size_text(r->size).text,
	    size_text(r->data).text, stored, duration_text(r->seconds).text, rate);
	say_result_details(to, r);
}

/* What --used-only was told of each volume. */
struct volumes {
	struct platter_used_volume *list; /* strings are copies */
	size_t nr;
};

static const char *
copied(const char *text)
{
	return text ? text_of("%s", text) : NULL;
}

static void
take_volume(const struct platter_used_volume *volume, void *closure)
{
	struct volumes *v = closure;
	struct platter_used_volume *one;

	v->list = grown(v->list, v->nr + 1, sizeof *v->list);
	one = &v->list[v->nr++];
	*one = *volume;
	one->content = copied(volume->content);
	one->label = copied(volume->label);
	one->whole = copied(volume->whole);
	one->warning = copied(volume->warning);
	one->logical = copied(volume->logical);
}

static void
volumes_done(struct volumes *v)
{
	for (size_t i = 0; i < v->nr; i++) {
		free((char *)(uintptr_t)v->list[i].content);
		free((char *)(uintptr_t)v->list[i].label);
		free((char *)(uintptr_t)v->list[i].whole);
		free((char *)(uintptr_t)v->list[i].warning);
		free((char *)(uintptr_t)v->list[i].logical);
	}
	free(v->list);
}

/* "2", "2/vg/root", "vg/root", "whole disk". */
static char *
part_text(const struct platter_used_volume *u)
{
	const char *logical = u->logical ? u->logical : "";

	if (u->partition)
		return text_of("%" PRIu32 "%s%s", u->partition, *logical ? "/" : "", logical);
	return text_of("%s", *logical ? logical : "whole disk");
}

static void
say_left_out(FILE *to, const struct volumes *v, uint64_t unused)
{
	static const char *const headings[] = { "Partition", "Holds",     "Label",
						">Size",     ">Left out", "" };
	struct table t;

	say(to, "  left out %s that nothing uses", exact_size_text(unused).text);
	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < v->nr; i++) {
		const struct platter_used_volume *u = &v->list[i];
		AUTOFREE char *part = part_text(u);

		table_cell(&t, "%s", part);
		table_cell(&t, "%s", *u->content ? u->content : "unknown");
		table_cell(&t, "%s", u->label);
		table_cell(&t, "%s", size_text(u->size).text);
		table_cell(&t, "%s", size_text(u->size - u->used).text);
		table_cell(&t, "%s%s", u->whole ? "kept whole: " : "", u->whole ? u->whole : "");
	}
	table_print(&t, to, "    ");
	for (size_t i = 0; i < v->nr; i++) {
		AUTOFREE char *part = part_text(&v->list[i]);

		if (v->list[i].warning)
			say(stderr, "platter: warning: %s%s: %s",
			    v->list[i].logical     ? "logical volume "
			    : v->list[i].partition ? "partition "
						   : "",
			    part, v->list[i].warning);
	}
}

static json_t *
json_volumes(const struct volumes *v)
{
	json_t *array = json_array();

	for (size_t i = 0; i < v->nr; i++) {
		const struct platter_used_volume *u = &v->list[i];
		json_t *one = json_object();

		json_put(one, "partition", u->partition ? json_number(u->partition) : json_null());
		json_put(one, "content", json_text(u->content));
		json_put(one, "label", json_text(u->label));
		json_put(one, "offset", json_number(u->offset));
		json_put(one, "size", json_number(u->size));
		json_put(one, "used", json_number(u->used));
		json_put(one, "whole", json_text(u->whole));
		json_put(one, "warning", json_text(u->warning));
		json_put(one, "logical", json_text(u->logical));
		json_array_append_new(array, one);
	}
	return array;
}

static const char *
source_of(const struct arguments *args)
{
	return args->nr_operands > 1 || args->option[OPT_STDOUT].given ? args->operands[0] : NULL;
}

/* Standard output is the image's when that is its target; else it is the answer's. */
static void
tell(const struct arguments *args, const char *target, const struct platter_copy_result *result,
     const struct sums *sums, const struct volumes *volumes)
{
	FILE *to = strcmp(target, "-") ? stdout : stderr;
	json_t *answer, *files;

	if (args->json) {
		answer = json_answer(args);
		files = json_array();
		json_put(answer, "source", json_text(source_of(args)));
		json_put(answer, "target", json_text(target));
		json_put_result(answer, result);
		for (size_t i = 0; i < sums->nr_files; i++)
			json_array_append_new(files, json_text(sums->files[i]));
		json_put(answer, "sums", files);
		if (volumes) {
			json_put(answer, "unused", json_number(result->unused));
			json_put(answer, "volumes", json_volumes(volumes));
		}
		json_print(answer, to);
	} else if (!args->option[OPT_QUIET].given) {
		say_created(to, target, result);
		if (volumes)
			say_left_out(to, volumes, result->unused);
	}
}

/* The format that a name ends in, or NULL. */
static const struct platter_format_info *
format_of_name(const char *target)
{
	const struct platter_format_info *info;
	const char *dot = strrchr(target, '.');

	for (size_t i = 0; dot && (info = platter_format_info(i)); i++)
		for (const char *const *e = info->extensions; e && *e; e++)
			if (!strcasecmp(*e, dot + 1))
				return info;
	return NULL;
}

static const struct platter_format_info *
format_by_name(const char *name)
{
	const struct platter_format_info *info;

	for (size_t i = 0; (info = platter_format_info(i)); i++)
		if (!strcmp(info->name, name))
			return info;
	return NULL;
}

/*
 * Compressed clusters of 2 MiB take 12 % less than those of 64 KiB, and what is read of a
 * backup is mostly whole files.  Returns the options with that in front, to be freed, or NULL.
 */
static struct platter_key_value *
choose_large_clusters(struct platter_create_options *o)
{
	struct platter_key_value *pairs;

	for (size_t i = 0; i < o->nr_options; i++)
		if (!strcmp(o->options[i].key, "cluster_size"))
			return NULL;
	pairs = malloc((o->nr_options + 1) * sizeof *pairs);
	if (!pairs)
		return NULL;
	pairs[0] = (struct platter_key_value){ "cluster_size", "2M" };
	for (size_t i = 0; i < o->nr_options; i++)
		pairs[1 + i] = o->options[i];
	o->options = pairs;
	o->nr_options++;
	return pairs;
}

/* What --backup chooses where the command line does not; *ret is to be freed. */
static void
choose_for_backup(const char *target, struct platter_create_options *o,
		  struct platter_key_value **ret)
{
	const struct platter_format_info *info =
		o->format ? format_by_name(o->format) : format_of_name(target);

	if (!info)
		info = format_by_name(o->format = "qcow2");
	if (!o->compress && info && info->abilities & PLATTER_CAN_COMPRESS)
		o->compress = "";
	o->verify = o->verify || strcmp(target, "-") != 0;
	o->used_only = true;
	if (info && !strcmp(info->name, "qcow2"))
		*ret = choose_large_clusters(o);
}

void
fill_create_options(const struct arguments *args, struct platter_create_options *ret)
{
	const struct option_value *o = args->option;

	*ret = (struct platter_create_options){
		.size = sizeof *ret,
		.format = o[OPT_FORMAT].text,
		.options = args->pairs,
		.nr_options = args->nr_pairs,
		.compress = o[OPT_COMPRESS].text,
		.sparse = (enum platter_sparse)o[OPT_SPARSE].number,
		.split = o[OPT_SPLIT].number,
		.hashes = o[OPT_HASH].text,
		.verify = o[OPT_VERIFY].given,
		.resume = o[OPT_RESUME].given,
		.overwrite = o[OPT_FORCE].given,
		.no_sync = o[OPT_NO_SYNC].given,
		.threads = (unsigned)o[OPT_THREADS].number,
		.used_only = o[OPT_USED_ONLY].given,
	};
}

static int
create(const struct arguments *args, struct platter_disk *source, const char *target)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_create_options options;
	struct platter_copy_result result = { 0 };
	struct progress progress;
	struct volumes volumes = { 0 };
	struct sums sums = { 0 };
	AUTOFREE struct platter_key_value *chosen = NULL;
	int r;

	fill_create_options(args, &options);
	if (args->option[OPT_BACKUP].given)
		choose_for_backup(target, &options, &chosen);
	options.each_volume = take_volume;
	options.closure = &volumes;
	if (sums_check(&options, target, &err) < 0)
		return report_create_stopped(args, target, &err);
	progress_start(&progress, args);
	r = platter_create(source, target, &options, &progress.job, &result, &err);
	if (r < 0) {
		progress_end(&progress);
		volumes_done(&volumes);
		return report_create_stopped(args, target, &err);
	}
	r = sums_write(&options, target, &result, &progress.job, &sums, &err);
	progress_end(&progress);
	if (r < 0) {
		report(args, &err, "wrote '%s', but cannot write its checksums", target);
	} else {
		tell(args, target, &result, &sums, options.used_only ? &volumes : NULL);
		r = result.bad ? STATUS_BAD_SECTORS : STATUS_DONE;
	}
	sums_done(&sums);
	volumes_done(&volumes);
	return r < 0 ? STATUS_FAILED : r;
}

/* What an empty image came to. */
static int
look_at(const char *target, const struct platter_create_options *options,
	struct platter_copy_result *ret, struct platter_error *err)
{
	struct platter_open_options how = {
		.size = sizeof how,
		.flags = PLATTER_OPEN_NO_BACKING,
		.format = options->format,
	};
	struct platter_description *d;
	struct platter_disk *disk;
	int r = platter_open(target, &how, &disk, err);

	if (r < 0)
		return r;
	ret->size = ret->zero = platter_size(disk);
	r = platter_describe(disk, &d, err);
	if (r == 0)
		ret->stored = d->stored;
	platter_description_free(r == 0 ? d : NULL);
	platter_close(disk);
	return r;
}

/* An empty image, or an overlay. */
static int
create_empty(const struct arguments *args, const char *target)
{
	static const enum option_id of_copies[] = { OPT_COMPRESS, OPT_HASH,   OPT_VERIFY,
						    OPT_RESUME,   OPT_SPARSE, OPT_USED_ONLY,
						    OPT_BACKUP };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_copy_result result = { 0 };
	struct platter_create_options options;
	struct sums none = { 0 };

	if (args->nr_parents > 1)
		return report_usage(args, "a new overlay has one --parent");
	if (!args->nr_parents && args->option[OPT_PARENT_FORMAT].given)
		return report_usage(args, "--parent-format is that of a --parent");
	for (size_t i = 0; i < ARRAY_SIZE(of_copies); i++)
		if (args->option[of_copies[i]].given)
			return report_usage(args, "--%s does nothing for an empty image",
					    option_table[of_copies[i]].name);
	fill_create_options(args, &options);
	options.parent = args->nr_parents ? args->parents[0] : NULL;
	options.parent_format = args->option[OPT_PARENT_FORMAT].text;
	if (platter_create_empty(target, args->option[OPT_SIZE].number, &options, &err) < 0)
		return report(args, &err, "cannot create '%s'", target);
	if (look_at(target, &options, &result, &err) < 0)
		return report(args, &err, "created '%s', but cannot open it", target);
	tell(args, target, &result, &none, NULL);
	return STATUS_DONE;
}

int
command_create(const struct arguments *args)
{
	const char *target = args->nr_operands > 1 ? args->operands[1] : "-";
	struct platter_disk *source;
	int status;

	if (!source_of(args) && (args->nr_parents || args->option[OPT_SIZE].given))
		return create_empty(args, args->operands[0]);
	if (!source_of(args))
		return report_usage(args, "too few arguments: %s", args->verb->operands);
	if (args->option[OPT_SIZE].given || args->option[OPT_PARENT_FORMAT].given)
		return report_usage(args, "--%s is for an image without a SOURCE",
				    args->option[OPT_SIZE].given ? "size" : "parent-format");
	if (args->nr_operands > 1 && args->option[OPT_STDOUT].given)
		return report_usage(args, "--stdout stands for an IMAGE, but '%s' is given",
				    target);
	if (!strcmp(target, "-") && isatty(STDOUT_FILENO))
		return report_usage(args,
				    "standard output is a terminal; an image would garble it");
	if (open_operand(args, args->operands[0], &source) < 0)
		return STATUS_FAILED;
	status = create(args, source, target);
	platter_close(source);
	return status;
}
