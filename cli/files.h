/* SPDX-License-Identifier: GPL-3.0-or-later */
/* files.h - what the verbs that look at files inside share */
#ifndef FILES_H
#define FILES_H

#include <platter/files.h>

#include "commands.h"
#include "output.h"

/*
 * Open the volume that an operand names.  On failure it has been reported: returns -1.
 */
int open_volume(const struct arguments *args, const char *place, struct platter_volume **ret);
/* The same, telling nobody about a failure: returns negative errno. */
int try_volume(const struct arguments *args, const char *place, struct platter_volume **ret,
	       struct platter_error *err);

/* '-', 'd', 'l', ... as ls shows them. */
char type_letter(const struct platter_file *file);

/* "file", "folder", "symlink", ...: what JSON calls a type. */
const char *type_name(enum platter_file_type type);

/* "-rw-r--r--", or where there are no modes DOS attributes: "-rhsa". */
struct mode_text {
	char text[16];
};
struct mode_text mode_text(const struct platter_file *file);

/* "2026-11-22 18:02:36", or "-". */
struct count_text when_text(struct platter_time time);

/*
 * What a listing says of a file, as an object: the stable members of a file in every answer.
 * `path` as found; `target` of a symbolic link or NULL.
 */
json_t *json_file(const char *path, const struct platter_file *file, const char *target);

/* Puts "path", and where that is no UTF-8 "path_hex", its bytes. */
void json_put_path(json_t *object, const char *path);

/* A JSON answer whose array is printed one element at a time: of any length in no memory. */
struct json_stream {
	bool begun;
};
/* Prints the members of `answer`, and begins the array `key`. */
void json_stream_begin(struct json_stream *s, json_t *answer, const char *key);
void json_stream_add(struct json_stream *s, json_t *element);
/* Ends the array, adds the members of `more`, and ends the answer. */
void json_stream_end(struct json_stream *s, json_t *more);

#endif
