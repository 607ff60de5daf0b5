/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-certificate.c - what was wiped, as JSON and as a page to print and sign
 *
 * The page has the fields of the sample certificate in NIST SP 800-88 Rev. 1, appendix G.  It
 * needs nothing but itself, and everything in it is escaped: names come from drives.
 */
#include "wipe-certificate.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <platter/platter.h>

#include "output.h"

/* Extents that could not be written that a page lists; JSON has all. */
#define MAX_LISTED 100

/* What -o gives, by the headings of the form. */
static const struct field {
	const char *key, *title;
} person[] = {
	{ "operator", "Name" },       { "title", "Title" }, { "organisation", "Organisation" },
	{ "location", "Location" },   { "phone", "Phone" },
}, media[] = {
	{ "property", "Media property number" }, { "source", "Source (user, computer)" },
	{ "classification", "Classification" },  { "backup", "Data backed up (yes, no, unknown)" },
	{ "backup_location", "Backup location" },
}, after[] = {
	{ "post_classification", "Classification afterwards" }, { "notes", "Notes" },
}, destination[] = {
	{ "destination", "Destination" }, { "destination_details", "Details" },
}, validation[] = {
	{ "validator", "Name" },
	{ "validator_title", "Title" },
	{ "validator_organisation", "Organisation" },
	{ "validator_location", "Location" },
	{ "validator_phone", "Phone" },
};

static const struct group {
	const struct field *fields;
	size_t nr;
} groups[] = {
	{ person, ARRAY_SIZE(person) },         { media, ARRAY_SIZE(media) },
	{ after, ARRAY_SIZE(after) },           { destination, ARRAY_SIZE(destination) },
	{ validation, ARRAY_SIZE(validation) },
};

/* Options of their own for those that everybody needs. */
static const struct {
	enum option_id id;
	const char *key;
} named[] = {
	{ OPT_OPERATOR, "operator" }, { OPT_ORGANISATION, "organisation" },
	{ OPT_LOCATION, "location" }, { OPT_DESTINATION, "destination" },
	{ OPT_PROPERTY, "property" },
};

static bool
is_field(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (size_t k = 0; k < groups[i].nr; k++)
			if (!strcmp(groups[i].fields[k].key, key))
				return true;
	return false;
}

static const char *
field_value(const struct arguments *args, const char *key)
{
	for (size_t i = args->nr_pairs; i > 0; i--)
		if (!strcmp(args->pairs[i - 1].key, key))
			return args->pairs[i - 1].value;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (!strcmp(named[i].key, key) && args->option[named[i].id].given)
			return args->option[named[i].id].text;
	return NULL;
}

static bool
is_page(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (!strcmp(dot, ".html") || !strcmp(dot, ".htm"));
}

static int
check_file(const struct arguments *args, const char *path)
{
	AUTOFREE char *copy = text_of("%s", path);
	const char *dot = strrchr(path, '.');

	if (!is_page(path) && (!dot || strcmp(dot, ".json") != 0))
		return report_usage(args, "'%s' ends neither in .json nor in .html", path);
	if (access(path, F_OK) == 0 && !args->option[OPT_FORCE].given)
		return report_usage(args, "'%s' exists; --force replaces it", path);
	if (access(dirname(copy), W_OK) < 0)
		return report_usage(args, "'%s' cannot be written: %s", path, strerror(errno));
	return STATUS_DONE;
}

int
certificate_check(const struct arguments *args)
{
	AUTOFREE const char **files = NULL;
	int status = STATUS_DONE;
	size_t nr;

	for (size_t i = 0; i < args->nr_pairs; i++)
		if (!is_field(args->pairs[i].key))
			return report_usage(args, "a certificate has no field '%s'",
					    args->pairs[i].key);
	if (option_list(args, OPT_CERTIFICATE, &files, &nr) < 0)
		return report_usage(args, "out of memory");
	for (size_t i = 0; i < nr && status == STATUS_DONE; i++)
		status = check_file(args, files[i]);
	return status;
}

const char *
wipe_verify_name(enum platter_wipe_verify verify)
{
	switch (verify) {
	case PLATTER_WIPE_VERIFY_FULL: return "full";
	case PLATTER_WIPE_VERIFY_SAMPLE: return "sample";
	default: return "none";
	}
}

const char *
wipe_outcome_name(enum platter_wipe_outcome outcome)
{
	switch (outcome) {
	case PLATTER_WIPE_DONE: return "done";
	case PLATTER_WIPE_VERIFIED: return "verified";
	case PLATTER_WIPE_INCOMPLETE: return "incomplete";
	case PLATTER_WIPE_DIFFERS: return "differs";
	default: return "not-done";
	}
}

static const char *
part_name(enum platter_wipe_part part)
{
	switch (part) {
	case PLATTER_WIPE_FREE_SPACE: return "free-space";
	case PLATTER_WIPE_SLACK: return "slack";
	default: return "whole";
	}
}

static const char *
level_name(enum platter_wipe_level level)
{
	switch (level) {
	case PLATTER_WIPE_CLEAR: return "clear";
	case PLATTER_WIPE_PURGE: return "purge";
	default: return "none";
	}
}

static json_t *
json_time(int64_t seconds)
{
	return seconds ? json_text(time_text(seconds).text) : json_null();
}

static json_t *
json_drive(const struct platter_wipe_drive *d)
{
	json_t *o = json_object();

	json_put(o, "device", json_boolean(d->device));
	json_put(o, "path", json_text(d->path));
	json_put(o, "model", json_text(d->model));
	json_put(o, "serial", json_text(d->serial));
	json_put(o, "firmware", json_text(d->firmware));
	json_put(o, "bus", json_text(d->bus));
	json_put(o, "size", json_number(d->size));
	json_put(o, "hidden", json_number(d->hidden));
	json_put(o, "sector_size", json_number(d->sector_size));
	json_put(o, "rotational", d->rotational < 0 ? json_null() : json_boolean(d->rotational));
	return o;
}

static json_t *
json_passes(const struct platter_wipe_report *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->nr_passes; i++) {
		const struct platter_wipe_pass *p = &r->passes[i];
		json_t *o = json_object();

		json_put(o, "pass", json_number(i + 1));
		json_put(o, "writes", json_text(p->text));
		json_put(o, "started", json_time(p->started));
		json_put(o, "finished", json_time(p->finished));
		json_put(o, "written", json_number(p->written));
		json_put(o, "unwritable", json_number(p->unwritable));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_verification(const struct platter_wipe_report *r)
{
	json_t *o = json_object();

	json_put(o, "mode", json_text(wipe_verify_name(r->verify)));
	json_put(o, "share", json_real(r->verify == PLATTER_WIPE_VERIFY_NONE ? 0 : r->share));
	json_put(o, "read", json_number(r->verified));
	json_put(o, "different", json_number(r->different));
	json_put(o, "unreadable", json_number(r->unreadable));
	json_put(o, "started", json_time(r->verify_started));
	json_put(o, "finished", json_time(r->verify_finished));
	json_put(o, "found", json_text(r->verify_text));
	return o;
}

static json_t *
json_bad(const struct platter_wipe_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nr_bad; i++) {
		json_t *o = json_object();

		json_put(o, "offset", json_number(r->bad[i].offset));
		json_put(o, "length", json_number(r->bad[i].length));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_wipe(const struct platter_wipe_report *r)
{
	json_t *o = json_object(), *warnings = json_array();

	for (size_t i = 0; i < r->nr_warnings; i++)
		json_array_append_new(warnings, json_text(r->warnings[i]));
	json_put(o, "target", json_text(r->target));
	json_put(o, "drive", json_drive(&r->drive));
	json_put(o, "part", json_text(part_name(r->part)));
	json_put(o, "offset", json_number(r->offset));
	json_put(o, "size", json_number(r->size));
	json_put(o, "bytes", json_number(r->bytes));
	json_put(o, "extents", json_number(r->nr_extents));
	json_put(o, "method", json_text(r->method->name));
	json_put(o, "technique", json_text(r->technique));
	json_put(o, "standard", json_text(r->method->standard));
	json_put(o, "level", json_text(level_name(r->method->level)));
	json_put(o, "reason", json_text(r->reason));
	json_put(o, "warnings", warnings);
	json_put(o, "seed", json_text(r->seed));
	json_put(o, "passes", json_passes(r));
	json_put(o, "verification", json_verification(r));
	json_put(o, "unwritable", json_number(r->unwritable));
	json_put(o, "bad", json_bad(r));
	json_put(o, "started", json_time(r->started));
	json_put(o, "finished", json_time(r->finished));
	json_put(o, "seconds", json_real(r->seconds));
	json_put(o, "resumed", json_number(r->resumed));
	json_put(o, "kept", json_number(r->kept));
	json_put(o, "outcome", json_text(wipe_outcome_name(r->outcome)));
	json_put(o, "error", r->error.code ? json_error(&r->error, r->target) : json_null());
	return o;
}

json_t *
json_wipes(const struct arguments *args, const struct platter_wipe_report *const *reports,
	   size_t nr)
{
	json_t *answer = json_answer(args), *fields = json_object(), *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (size_t k = 0; k < groups[i].nr; k++) {
			const char *key = groups[i].fields[k].key;

			if (field_value(args, key))
				json_put(fields, key, json_text(field_value(args, key)));
		}
	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, json_wipe(reports[i]));
	json_put(answer, "version", json_text(platter_version()));
	json_put(answer, "certificate", fields);
	json_put(answer, "wipes", list);
	return answer;
}

/* The length of the UTF-8 sequence at `s`, or 0: it is none, or of a control character. */
static size_t
sequence_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] < ' ' || s[0] == 0x7f || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ||
	    (s[0] == 0xc2 && s[1] < 0xa0))
		return 0;
	return n;
}

/* Text inside of an element, whatever it holds. */
static void
put_escaped(FILE *to, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t n = sequence_length(s);

		switch (*s) {
		case '&': fputs("&amp;", to); break;
		case '<': fputs("&lt;", to); break;
		case '>': fputs("&gt;", to); break;
		case '"': fputs("&quot;", to); break;
		case '\'': fputs("&#39;", to); break;
		case '\n': fputs("<br>", to); break;
		default:
			if (n)
				fwrite(s, 1, n, to);
			else
				fputs("&#xfffd;", to);
			break;
		}
		s += n ? n : 1;
	}
}

static void row(FILE *to, const char *title, const char *format, ...) PRINTF(3, 4);

static void
row(FILE *to, const char *title, const char *format, ...)
{
	AUTOFREE char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	fputs("<tr><th>", to);
	put_escaped(to, title);
	fputs("</th><td>", to);
	put_escaped(to, text);
	fputs("</td></tr>\n", to);
}

static void
heading(FILE *to, const char *text)
{
	fprintf(to, "<tr><th class=\"head\" colspan=\"2\">%s</th></tr>\n", text);
}

static void
rows_of_fields(FILE *to, const struct arguments *args, const struct field *fields, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const char *value = field_value(args, fields[i].key);

		row(to, fields[i].title, "%s", value ? value : "");
	}
}

static const char *
medium_type(const struct platter_wipe_drive *d)
{
	if (!d->device)
		return "file";
	return d->rotational == 1 ? "hard disk" : d->rotational == 0 ? "flash (SSD)" : "drive";
}

static void
put_media(FILE *to, const struct arguments *args, const struct platter_wipe_report *r)
{
	heading(to, "Media");
	row(to, "Make and model", "%s", r->drive.model);
	row(to, "Serial number", "%s", r->drive.serial);
	row(to, "Firmware", "%s", r->drive.firmware);
	row(to, "Media type", "%s%s%s", medium_type(&r->drive), *r->drive.bus ? ", " : "",
	    r->drive.bus);
	row(to, "Size", "%s", exact_size_text(r->drive.size).text);
	if (r->drive.hidden)
		row(to, "Hidden by an HPA or DCO, not wiped", "%s",
		    exact_size_text(r->drive.hidden).text);
	row(to, "Known to the system as", "%s", r->drive.path);
	if (r->size != r->drive.size)
		row(to, "Only the part", "%s: %s from byte %" PRIu64, r->target,
		    exact_size_text(r->size).text, r->offset);
	rows_of_fields(to, args, media, ARRAY_SIZE(media));
}

static const char *
method_type(const struct platter_wipe_report *r)
{
	if (r->part != PLATTER_WIPE_WHOLE || r->size != r->drive.size)
		return "none: only a part was wiped";
	switch (r->method->level) {
	case PLATTER_WIPE_CLEAR: return "Clear";
	case PLATTER_WIPE_PURGE: return "Purge";
	default: return "none";
	}
}

static const char *
outcome_text(const struct platter_wipe_report *r)
{
	switch (r->outcome) {
	case PLATTER_WIPE_DONE: return "done; not verified";
	case PLATTER_WIPE_VERIFIED: return "done and verified";
	case PLATTER_WIPE_INCOMPLETE: return "INCOMPLETE: some sectors could not be written";
	case PLATTER_WIPE_DIFFERS: return "FAILED: what was read back is not what was written";
	default: return "NOT DONE";
	}
}

static void
put_passes(FILE *to, const struct platter_wipe_report *r)
{
	for (unsigned i = 0; i < r->nr_passes; i++) {
		const struct platter_wipe_pass *p = &r->passes[i];
		AUTOFREE char *title = text_of("Pass %u of %u", i + 1, r->nr_passes);

		if (p->unwritable)
			row(to, title, "%s; %s to %s; %" PRIu64 " bytes could not be written",
			    p->text, time_text(p->started).text, time_text(p->finished).text,
			    p->unwritable);
		else
			row(to, title, "%s; %s to %s", p->text, time_text(p->started).text,
			    time_text(p->finished).text);
	}
}

static void
put_bad(FILE *to, const struct platter_wipe_report *r)
{
	row(to, "Could not be written", "%s", exact_size_text(r->unwritable).text);
	if (!r->nr_bad)
		return;
	fputs("<tr><th>Sectors concerned</th><td>", to);
	for (size_t i = 0; i < r->nr_bad && i < MAX_LISTED; i++)
		fprintf(to, "%" PRIu64 " bytes at byte %" PRIu64 "<br>", r->bad[i].length,
			r->bad[i].offset);
	if (r->nr_bad > MAX_LISTED)
		fprintf(to, "and %zu more", r->nr_bad - MAX_LISTED);
	fputs("</td></tr>\n", to);
}

static void
put_details(FILE *to, const struct arguments *args, const struct platter_wipe_report *r)
{
	heading(to, "Sanitization");
	row(to, "Method type", "%s", method_type(r));
	row(to, "Method used", "%s (%s)", r->technique, r->method->name);
	row(to, "Standard", "%s", r->method->standard);
	row(to, "Method details", "%s", r->method->details);
	if (r->part != PLATTER_WIPE_WHOLE)
		row(to, "Part", "%s: %s", part_name(r->part), exact_size_text(r->bytes).text);
	put_passes(to, r);
	row(to, "Tool used", "platter %s", platter_version());
	row(to, "Began", "%s", r->started ? time_text(r->started).text : "");
	row(to, "Ended", "%s", r->finished ? time_text(r->finished).text : "");
	row(to, "Worked for", "%s%s", duration_text(r->seconds).text,
	    r->resumed ? ", in several runs" : "");
	if (r->verify == PLATTER_WIPE_VERIFY_SAMPLE)
		row(to, "Verification method", "sample: %.1f %% of the bytes", r->share * 100);
	else
		row(to, "Verification method", "%s", wipe_verify_name(r->verify));
	row(to, "Verification found", "%s", r->verify_text);
	put_bad(to, r);
	row(to, "Outcome", "%s", outcome_text(r));
	if (r->error.code)
		row(to, "Error", "%s", r->error.message);
	for (size_t i = 0; i < r->nr_warnings; i++)
		row(to, "Mind", "%s", r->warnings[i]);
	if (r->nr_passes)
		row(to, "Seed of random passes", "%s", r->seed);
	rows_of_fields(to, args, after, ARRAY_SIZE(after));
}

static void
put_page(FILE *to, const struct arguments *args, const struct platter_wipe_report *r)
{
	fputs("<section>\n<h1>Certificate of Sanitization</h1>\n<table>\n", to);
	heading(to, "Person performing sanitization");
	rows_of_fields(to, args, person, ARRAY_SIZE(person));
	put_media(to, args, r);
	put_details(to, args, r);
	heading(to, "Media destination");
	rows_of_fields(to, args, destination, ARRAY_SIZE(destination));
	heading(to, "Signature of the person performing sanitization");
	row(to, "Signature", "%s", "");
	row(to, "Date", "%s", "");
	heading(to, "Validation");
	rows_of_fields(to, args, validation, ARRAY_SIZE(validation));
	row(to, "Signature", "%s", "");
	row(to, "Date", "%s", "");
	fputs("</table>\n</section>\n", to);
}

static void
put_html(FILE *to, const struct arguments *args, const struct platter_wipe_report *const *reports,
	 size_t nr)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<title>Certificate of Sanitization</title>\n<style>\n"
	      "body { font: 10pt sans-serif; margin: 2em auto; max-width: 48em; }\n"
	      "table { border-collapse: collapse; width: 100%; }\n"
	      "th, td { border: 1px solid #888; padding: .25em .5em; text-align: left; "
	      "vertical-align: top; overflow-wrap: anywhere; }\n"
	      "th { width: 32%; font-weight: normal; }\n"
	      "th.head { background: #ddd; font-weight: bold; width: auto; }\n"
	      "@page { margin: 15mm; }\n"
	      "@media print { section + section { break-before: page; } body { margin: 0; } }\n"
	      "</style>\n</head>\n<body>\n",
	      to);
	for (size_t i = 0; i < nr; i++)
		put_page(to, args, reports[i]);
	fputs("</body>\n</html>\n", to);
}

/* The file appears under its name when it is whole. */
static int
write_one(const struct arguments *args, const char *path,
	  const struct platter_wipe_report *const *reports, size_t nr)
{
	AUTOFREE char *part = text_of("%s.part", path);
	struct platter_error err = PLATTER_ERROR_INIT;
	FILE *to = fopen(part, "we");
	bool ok = to;

	if (ok) {
		if (is_page(path))
			put_html(to, args, reports, nr);
		else
			json_print(json_wipes(args, reports, nr), to);
		ok = fflush(to) == 0 && !ferror(to) && fsync(fileno(to)) == 0;
		ok = fclose(to) == 0 && ok;
	}
	if (ok && rename(part, path) == 0)
		return STATUS_DONE;
	snprintf(err.message, sizeof err.message, "%s", strerror(errno));
	unlink(part);
	return report(args, &err, "the certificate '%s' could not be written", path);
}

int
certificates_write(const struct arguments *args, const struct platter_wipe_report *const *reports,
		   size_t nr)
{
	AUTOFREE const char **files = NULL;
	int status = STATUS_DONE;
	size_t nr_files;

	if (option_list(args, OPT_CERTIFICATE, &files, &nr_files) < 0)
		return STATUS_FAILED;
	for (size_t i = 0; i < nr_files; i++)
		if (write_one(args, files[i], reports, nr) != STATUS_DONE)
			status = STATUS_FAILED;
	return status;
}
