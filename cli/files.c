/* SPDX-License-Identifier: GPL-3.0-or-later */
/* files.c - what the verbs that look at files inside share */
#include "files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int
try_volume(const struct arguments *args, const char *place, struct platter_volume **ret,
	   struct platter_error *err)
{
	struct platter_open_options options = {
		.size = sizeof options,
		.format = args->option[OPT_INPUT_FORMAT].text,
		.parents = args->parents,
		.nr_parents = args->nr_parents,
	};

	if (args->option[OPT_IGNORE_CHECKSUMS].given)
		options.flags |= PLATTER_OPEN_IGNORE_CHECKSUMS;
	return platter_volume_open(place, &options, ret, err);
}

int
open_volume(const struct arguments *args, const char *place, struct platter_volume **ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	if (try_volume(args, place, ret, &err) < 0) {
		report(args, &err, "cannot look into '%s'", place);
		return -1;
	}
	return 0;
}

static const struct {
	char letter;
	const char *name;
} types[] = {
	[PLATTER_FILE_UNKNOWN] = { '?', "unknown" },
	[PLATTER_FILE_REGULAR] = { '-', "file" },
	[PLATTER_FILE_FOLDER] = { 'd', "folder" },
	[PLATTER_FILE_SYMLINK] = { 'l', "symlink" },
	[PLATTER_FILE_FIFO] = { 'p', "fifo" },
	[PLATTER_FILE_SOCKET] = { 's', "socket" },
	[PLATTER_FILE_CHARACTER_DEVICE] = { 'c', "character device" },
	[PLATTER_FILE_BLOCK_DEVICE] = { 'b', "block device" },
	[PLATTER_FILE_OTHER] = { '?', "other" },
};

char
type_letter(const struct platter_file *file)
{
	return types[file->type].letter;
}

const char *
type_name(enum platter_file_type type)
{
	return types[type].name;
}

/* One of the three groups of a mode; `special` is set-user-ID, set-group-ID or sticky. */
static void
put_permissions(char *p, uint32_t bits, bool special, char letter)
{
	p[0] = bits & 4 ? 'r' : '-';
	p[1] = bits & 2 ? 'w' : '-';
	p[2] = bits & 1 ? 'x' : '-';
	if (special)
		p[2] = bits & 1 ? letter : (char)(letter - 'a' + 'A');
}

struct mode_text
mode_text(const struct platter_file *file)
{
	static const struct {
		uint32_t attribute;
		char letter;
	} dos[] = {
		{ PLATTER_FILE_READ_ONLY, 'r' },  { PLATTER_FILE_HIDDEN, 'h' },
		{ PLATTER_FILE_SYSTEM, 's' },     { PLATTER_FILE_ARCHIVE, 'a' },
		{ PLATTER_FILE_COMPRESSED, 'c' }, { PLATTER_FILE_ENCRYPTED, 'e' },
	};
	struct mode_text t = { { type_letter(file) } };

	if (file->has_mode) {
		put_permissions(t.text + 1, file->mode >> 6, file->mode & 04000, 's');
		put_permissions(t.text + 4, file->mode >> 3, file->mode & 02000, 's');
		put_permissions(t.text + 7, file->mode, file->mode & 01000, 't');
		return t;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dos); i++)
		t.text[1 + i] = file->attributes & dos[i].attribute ? dos[i].letter : '-';
	return t;
}

struct count_text
when_text(struct platter_time time)
{
	static const char zone[] = " UTC";
	struct count_text t = { "-" };

	if (time.seconds != PLATTER_NO_TIME) {
		t = time_text(time.seconds);
		t.text[strlen(t.text) - strlen(zone)] = '\0';
	}
	return t;
}

void
json_put_path(json_t *object, const char *path)
{
	json_t *text = json_text(path);

	json_put(object, "path", json_incref(text));
	if (strcmp(json_string_value(text), path) != 0) {
		size_t n = strlen(path);
		char *hex = grown(NULL, 2 * n + 1, 1);

		for (size_t i = 0; i < n; i++)
			snprintf(hex + 2 * i, 3, "%02x", (unsigned char)path[i]);
		json_put(object, "path_hex", json_text(hex));
		free(hex);
	}
	json_decref(text);
}

/* Seconds with their fraction, or null. */
static json_t *
json_time(struct platter_time time)
{
	if (time.seconds == PLATTER_NO_TIME)
		return json_null();
	return json_real((double)time.seconds + time.nanoseconds / 1e9);
}

static json_t *
json_attributes(uint32_t attributes)
{
	static const struct {
		uint32_t attribute;
		const char *name;
	} names[] = {
		{ PLATTER_FILE_READ_ONLY, "read_only" },
		{ PLATTER_FILE_HIDDEN, "hidden" },
		{ PLATTER_FILE_SYSTEM, "system" },
		{ PLATTER_FILE_ARCHIVE, "archive" },
		{ PLATTER_FILE_COMPRESSED, "compressed" },
		{ PLATTER_FILE_ENCRYPTED, "encrypted" },
		{ PLATTER_FILE_SPARSE, "sparse" },
		{ PLATTER_FILE_IMMUTABLE, "immutable" },
		{ PLATTER_FILE_APPEND_ONLY, "append_only" },
		{ PLATTER_FILE_METADATA, "metadata" },
		{ PLATTER_FILE_DELETED, "deleted" },
		{ PLATTER_FILE_DAMAGED, "damaged" },
	};
	json_t *array = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (attributes & names[i].attribute)
			json_array_append_new(array, json_string(names[i].name));
	return array;
}

json_t *
json_file(const char *path, const struct platter_file *file, const char *target)
{
	bool device = file->type == PLATTER_FILE_CHARACTER_DEVICE ||
		      file->type == PLATTER_FILE_BLOCK_DEVICE;
	json_t *one = json_object();

	json_put_path(one, path);
	json_put(one, "type", json_text(type_name(file->type)));
	json_put(one, "size", json_number(file->size));
	json_put(one, "allocated", json_number(file->allocated));
	json_put(one, "mode", file->has_mode ? json_number(file->mode) : json_null());
	json_put(one, "uid", file->has_owner ? json_number(file->uid) : json_null());
	json_put(one, "gid", file->has_owner ? json_number(file->gid) : json_null());
	json_put(one, "links", json_number(file->links));
	json_put(one, "inode", json_number(file->inode));
	json_put(one, "modified", json_time(file->modified));
	json_put(one, "accessed", json_time(file->accessed));
	json_put(one, "changed", json_time(file->changed));
	json_put(one, "created", json_time(file->created));
	json_put(one, "attributes", json_attributes(file->attributes));
	json_put(one, "target", json_text(target));
	json_put(one, "major", device ? json_number(file->major) : json_null());
	json_put(one, "minor", device ? json_number(file->minor) : json_null());
	json_put(one, "note", json_text(file->note));
	return one;
}

/* The members of an object without its braces. */
static void
print_members(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	if (text)
		printf("%.*s", (int)strlen(text) - 2, text + 1);
	free(text);
	json_decref(object);
}

void
json_stream_begin(struct json_stream *s, json_t *answer, const char *key)
{
	putchar('{');
	print_members(answer);
	printf(",\"%s\":[", key);
	s->begun = false;
}

void
json_stream_add(struct json_stream *s, json_t *element)
{
	fputs(s->begun ? ",\n" : "\n", stdout);
	json_dumpf(element, stdout, JSON_COMPACT);
	json_decref(element);
	s->begun = true;
}

void
json_stream_end(struct json_stream *s, json_t *more)
{
	(void)s;
	fputs("\n]", stdout);
	if (json_object_size(more)) {
		putchar(',');
		print_members(more);
	} else {
		json_decref(more);
	}
	puts("}");
}
