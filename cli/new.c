/* SPDX-License-Identifier: GPL-3.0-or-later */
/* new.c - platter new: discs and disks made of files */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <platter/author.h>
#include <platter/text.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

/* ---- weights ---- */

struct weights {
	struct platter_weight *list;
	size_t nr;
	char **texts; /* to be freed */
	size_t nr_texts;
};

static void
weights_done(struct weights *w)
{
	for (size_t i = 0; i < w->nr_texts; i++)
		free(w->texts[i]);
	free(w->texts);
	free(w->list);
}

/* "PATTERN<separator>N"; false: it is not. */
static bool
add_weight(struct weights *w, const char *text, char separator)
{
	char *copy = text_of("%s", text), *at = strrchr(copy, separator), *end = NULL;
	long n;

	w->texts = grown(w->texts, w->nr_texts + 1, sizeof *w->texts);
	w->texts[w->nr_texts++] = copy;
	if (!at || at == copy || !at[1])
		return false;
	errno = 0;
	n = strtol(at + 1, &end, 10);
	if (errno || *end || n < INT32_MIN || n > INT32_MAX)
		return false;
	while (at > copy && (at[-1] == ' ' || at[-1] == '\t') && separator == ' ')
		at--;
	*at = '\0';
	w->list = grown(w->list, w->nr + 1, sizeof *w->list);
	w->list[w->nr++] = (struct platter_weight){ copy, (int)n };
	return true;
}

static int
read_weights(const struct arguments *args, const char *path, struct weights *w)
{
	FILE *file = fopen(path, "re");
	AUTOFREE char *line = NULL;
	size_t size = 0, number = 0;
	int status = STATUS_DONE;

	if (!file)
		return report_usage(args, "cannot read '%s': %s", path, strerror(errno));
	while (status == STATUS_DONE && getline(&line, &size, file) >= 0) {
		number++;
		for (char *p = line; *p; p++)
			if (*p == '\t' || *p == '\n')
				*p = ' ';
		while (*line && line[strlen(line) - 1] == ' ')
			line[strlen(line) - 1] = '\0';
		if (*line && *line != '#' && !add_weight(w, line, ' '))
			status = report_usage(args, "line %zu of '%s' is not PATTERN N: '%s'",
					      number, path, line);
	}
	fclose(file);
	return status;
}

static int
take_weights(const struct arguments *args, struct weights *w)
{
	AUTOFREE const char **given = NULL;
	size_t nr;

	if (args->option[OPT_SORT_WEIGHTS].given) {
		int status = read_weights(args, args->option[OPT_SORT_WEIGHTS].text, w);

		if (status)
			return status;
	}
	if (option_list(args, OPT_WEIGHT, &given, &nr) < 0)
		return report_usage(args, "out of memory");
	for (size_t i = 0; i < nr; i++)
		if (!add_weight(w, given[i], '='))
			return report_usage(args, "--weight is PATTERN=N, not '%s'", given[i]);
	return STATUS_DONE;
}

/* ---- the answer ---- */

static void
tell(const struct arguments *args, const char *target, const char *kind,
     const struct platter_author_result *r)
{
	FILE *to = strcmp(target, "-") ? stdout : stderr;
	json_t *answer;

	if (args->json) {
		answer = json_answer(args);
		json_put(answer, "target", json_text(target));
		json_put(answer, "kind", json_text(kind));
		json_put(answer, "from", json_text(args->option[OPT_FROM].text));
		json_put(answer, "files", json_number(r->files));
		json_put(answer, "folders", json_number(r->folders));
		json_put(answer, "links", json_number(r->links));
		json_put(answer, "others", json_number(r->others));
		json_put(answer, "bytes", json_number(r->bytes));
		json_put(answer, "size", json_number(r->size));
		json_put(answer, "stored", json_number(r->stored));
		json_put(answer, "seconds", json_real(r->seconds));
		json_print(answer, to);
	} else if (!args->option[OPT_QUIET].given) {
		say(to, "wrote %s: a %s of %s, with %s and %s of %s, in %s",
		    strcmp(target, "-") ? target : "to standard output", kind,
		    exact_size_text(r->size).text, count_text(r->files, "file", "files").text,
		    count_text(r->folders, "folder", "folders").text, size_text(r->bytes).text,
		    duration_text(r->seconds).text);
	}
}

/* ---- discs ---- */

enum kind {
	KIND_DISC,
	KIND_DMG,
	KIND_DISK
};

static int
make_disc(const struct arguments *args, enum kind kind, const char *target,
	  const struct weights *weights, const char *const *exclude, size_t nr_exclude)
{
	const struct option_value *o = args->option;
	const struct platter_iso_options options = {
		.size = sizeof options,
		.label = o[OPT_LABEL].text,
		.publisher = o[OPT_PUBLISHER].text,
		.preparer = o[OPT_PREPARER].text,
		.application = o[OPT_APPLICATION].text,
		.system = o[OPT_SYSTEM].text,
		.volume_set = o[OPT_VOLUME_SET].text,
		.no_rock_ridge = o[OPT_NO_ROCK_RIDGE].given,
		.no_joliet = o[OPT_NO_JOLIET].given,
		.hfsplus = o[OPT_HFSPLUS].given,
		.implant_md5 = o[OPT_IMPLANT_MD5].given,
		.udf = o[OPT_UDF].given,
		.attributes = o[OPT_XATTRS].given,
		.exclude = exclude,
		.nr_exclude = nr_exclude,
		.weights = weights->list,
		.nr_weights = weights->nr,
		.boot_bios = o[OPT_BOOT_BIOS].text,
		.no_boot_table = o[OPT_NO_BOOT_TABLE].given,
		.boot_grub2 = o[OPT_BOOT_GRUB2].given,
		.boot_uefi = o[OPT_BOOT_UEFI].text,
		.mbr = o[OPT_ISOHYBRID].text,
		.append = o[OPT_APPEND].text,
		.like = o[OPT_LIKE].text,
		.overwrite = o[OPT_FORCE].given,
		.no_sync = o[OPT_NO_SYNC].given,
		.threads = (unsigned)o[OPT_THREADS].number,
	};
	const struct platter_create_options image = {
		.size = sizeof image,
		.format = o[OPT_FORMAT].text,
		.options = args->pairs,
		.nr_options = args->nr_pairs,
		.overwrite = options.overwrite,
		.no_sync = options.no_sync,
		.threads = options.threads,
	};
	struct platter_author_result result = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct progress progress;
	int r;

	progress_start(&progress, args);
	if (kind == KIND_DMG)
		r = platter_author_dmg(target, o[OPT_FROM].text, &options, &image, &progress.job,
				       &result, &err);
	else
		r = platter_author_iso(target, o[OPT_FROM].text, &options, &progress.job, &result,
				       &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot make '%s'", target);
	tell(args, target, kind == KIND_DMG ? "DMG" : "disc", &result);
	return STATUS_DONE;
}

/* ---- disks ---- */

/* The next field of "a,b,c": NULL if it is empty or there is none. */
static const char *
next_field(char **rest)
{
	char *field = *rest, *comma = field ? strchr(field, ',') : NULL;

	*rest = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	return field && *field ? field : NULL;
}

/* SIZE,TYPE,FS,LABEL,FROM; the last may have commas.  `text` is cut up. */
static bool
parse_partition(char *text, struct platter_new_partition *ret)
{
	const char *size = next_field(&text);

	*ret = (struct platter_new_partition){ .type = next_field(&text) };
	ret->fs = next_field(&text);
	ret->label = next_field(&text);
	ret->from = text && *text ? text : NULL;
	if (!size)
		return false;
	return !strcmp(size, "rest") ||
	       (platter_parse_size(size, &ret->size) == 0 && ret->size != 0);
}

static int
make_disk(const struct arguments *args, const char *target,
	  const struct platter_new_partition *partitions, size_t nr)
{
	static const char *const tables[] = { "gpt", "mbr" }; /* as the values of --table */
	const struct option_value *o = args->option;
	const struct platter_new_disk_options options = {
		.size = sizeof options,
		.disk_size = o[OPT_SIZE].number,
		.table = o[OPT_TABLE].given ? tables[o[OPT_TABLE].number] : NULL,
		.partitions = partitions,
		.nr_partitions = nr,
		.fs = o[OPT_FS].text,
		.label = o[OPT_LABEL].text,
		.from = o[OPT_FROM].text,
		.format = o[OPT_FORMAT].text,
		.format_options = args->pairs,
		.nr_format_options = args->nr_pairs,
		.overwrite = o[OPT_FORCE].given,
		.no_sync = o[OPT_NO_SYNC].given,
		.threads = (unsigned)o[OPT_THREADS].number,
	};
	struct platter_author_result result = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct progress progress;
	int r;

	progress_start(&progress, args);
	r = platter_author_disk(target, &options, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot make '%s'", target);
	tell(args, target, "disk", &result);
	return STATUS_DONE;
}

static int
command_new_disk(const struct arguments *args, const char *target)
{
	AUTOFREE struct platter_new_partition *partitions = NULL;
	AUTOFREE const char **given = NULL;
	int status = STATUS_DONE;
	char **texts;
	size_t nr;

	if (option_list(args, OPT_PARTITION, &given, &nr) < 0)
		return report_usage(args, "out of memory");
	if (nr && args->option[OPT_LABEL].given)
		return report_usage(args,
				    "a partition's label stands in --partition, not in --label");
	partitions = grown(NULL, nr + 1, sizeof *partitions);
	texts = grown(NULL, nr + 1, sizeof *texts);
	for (size_t i = 0; i < nr; i++) {
		texts[i] = text_of("%s", given[i]);
		if (!parse_partition(texts[i], &partitions[i]) && status == STATUS_DONE)
			status = report_usage(args,
					      "--partition is SIZE,TYPE,FS,LABEL,FROM, not '%s'",
					      given[i]);
	}
	if (status == STATUS_DONE)
		status = make_disk(args, target, partitions, nr);
	for (size_t i = 0; i < nr; i++)
		free(texts[i]);
	free(texts);
	return status;
}

/* ---- the verb ---- */

/* What the options ask for; else what the name says. */
static enum kind
kind_of(const struct arguments *args, const char *target)
{
	static const enum option_id of_disks[] = { OPT_SIZE, OPT_TABLE, OPT_PARTITION, OPT_FS };
	const char *dot = strrchr(target, '.'), *format = args->option[OPT_FORMAT].text;

	for (size_t i = 0; i < ARRAY_SIZE(of_disks); i++)
		if (args->option[of_disks[i]].given)
			return KIND_DISK;
	if (format ? !strcmp(format, "dmg") : dot && !strcasecmp(dot, ".dmg"))
		return KIND_DMG;
	if (format || args->nr_pairs)
		return KIND_DISK;
	if (!strcmp(target, "-") || (dot && (!strcasecmp(dot, ".iso") || !strcasecmp(dot, ".cdr"))))
		return KIND_DISC;
	return KIND_DISK;
}

/* An option of the other kind would be ignored: say so. */
static int
refuse_others(const struct arguments *args)
{
	static const enum option_id of_discs[] = {
		OPT_PUBLISHER,     OPT_PREPARER,  OPT_APPLICATION,   OPT_SYSTEM,
		OPT_VOLUME_SET,    OPT_HFSPLUS,   OPT_NO_ROCK_RIDGE, OPT_NO_JOLIET,
		OPT_IMPLANT_MD5,   OPT_UDF,       OPT_XATTRS,        OPT_WEIGHT,
		OPT_SORT_WEIGHTS,  OPT_BOOT_BIOS, OPT_BOOT_UEFI,     OPT_BOOT_GRUB2,
		OPT_NO_BOOT_TABLE, OPT_ISOHYBRID, OPT_APPEND,        OPT_LIKE,
		OPT_EXCLUDE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(of_discs); i++)
		if (args->option[of_discs[i]].given)
			return report_usage(args, "--%s is for discs: TARGET.iso",
					    option_table[of_discs[i]].name);
	return STATUS_DONE;
}

static int
command_new_disc(const struct arguments *args, enum kind kind, const char *target)
{
	AUTOFREE const char **exclude = NULL;
	struct weights weights = { 0 };
	size_t nr_exclude;
	int status;

	if (!args->option[OPT_FROM].given)
		return report_usage(args, "no --from: what is to be on the disc?");
	if (option_list(args, OPT_EXCLUDE, &exclude, &nr_exclude) < 0)
		return report_usage(args, "out of memory");
	status = take_weights(args, &weights);
	if (status == STATUS_DONE)
		status = make_disc(args, kind, target, &weights, exclude, nr_exclude);
	weights_done(&weights);
	return status;
}

int
command_new(const struct arguments *args)
{
	const char *target = args->operands[0];
	enum kind kind;
	int status;

	if (!strcmp(target, "-") && isatty(STDOUT_FILENO))
		return report_usage(args,
				    "standard output is a terminal; an image would garble it");
	kind = kind_of(args, target);
	if (kind != KIND_DISK)
		return command_new_disc(args, kind, target);
	status = refuse_others(args);
	return status ? status : command_new_disk(args, target);
}
