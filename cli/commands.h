/* SPDX-License-Identifier: GPL-3.0-or-later */
/* commands.h - one function a verb; each returns an exit status */
#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdio.h>

#include <jansson.h>
#include <platter/describe.h>
#include <platter/device.h>
#include <platter/drive.h>
#include <platter/examine.h>

#include "options.h"

int command_info(const struct arguments *args);
int command_create(const struct arguments *args); /* and convert */
int command_restore(const struct arguments *args);
int command_clone(const struct arguments *args);
int command_list(const struct arguments *args);
int command_explain(const struct arguments *args);
int command_burn(const struct arguments *args);
int command_rescue(const struct arguments *args);
int command_rip(const struct arguments *args);
int command_commit(const struct arguments *args);
int command_flatten(const struct arguments *args);
int command_rebase(const struct arguments *args);
int command_verify(const struct arguments *args);
int command_compare(const struct arguments *args);
int command_examine(const struct arguments *args);
int command_map(const struct arguments *args);
int command_measure(const struct arguments *args);
int command_resize(const struct arguments *args);
int command_snapshot(const struct arguments *args);
int command_repair(const struct arguments *args);
int command_compact(const struct arguments *args);
int command_formats(const struct arguments *args);
int command_ls(const struct arguments *args);
int command_tree(const struct arguments *args);
int command_find(const struct arguments *args);
int command_extract(const struct arguments *args);
int command_export(const struct arguments *args);
int command_df(const struct arguments *args);
int command_cat(const struct arguments *args);
int command_new(const struct arguments *args);
int command_hash(const struct arguments *args);
int command_wipe(const struct arguments *args);

/*
 * Open an operand with the options of the command line that say how.  On failure it has
 * been reported: returns -1.
 */
int open_operand(const struct arguments *args, const char *place, struct platter_disk **ret);
/* The same, for writing into the image. */
int open_to_change(const struct arguments *args, const char *place, struct platter_disk **ret);
/* Like open_operand(), telling nobody about a failure: returns negative errno. */
int try_open(const struct arguments *args, const char *place, struct platter_disk **ret,
	     struct platter_error *err);

/* "It has a GPT partition table with 3 partitions.": what `info` says first of contents. */
void say_what_is_on_it(FILE *to, const struct platter_description *d);

/* The fact with the lines of a licence agreement, which is shown only on request. */
#define LICENSE_KEY "license_text"

/* What `info --json` gives of a disk; `license`: with the text of a licence agreement. */
json_t *json_description(const struct platter_description *d, bool license);

/* Parts of it: partition tables, an entry of one, contents of a disk or partition. */
json_t *json_tables(const struct platter_description *d);
json_t *json_partition(const struct platter_partition *p);
json_t *json_contents(const struct platter_content *contents, size_t nr);

/*
 * Block devices: all of them, or those at `paths` with what stands on them.  As a tree for people,
 * without optical drives; their paths alone; or an array for `--json`.
 */
void say_devices(const struct platter_device_list *list, const char *const *paths, size_t nr);
void print_device_paths(const struct platter_device_list *list, const char *const *paths,
			size_t nr);
json_t *json_devices(const struct platter_device_list *list, const char *const *paths, size_t nr);
/* What the kernel shows of the disc in an optical drive. */
void say_disc_contents(const struct platter_device_list *list, const char *address);

/* The snapshots that an image holds: a table for people, or for `--json`. */
void print_snapshots(const struct platter_description *d, const char *indent);
json_t *json_snapshots(const struct platter_description *d);
/* "audio", "mode1", ... */
const char *track_mode_name(enum platter_track_mode mode);

/* "ext4 \"home\"", with more matches after it; to be freed. */
char *contents_text(const struct platter_content *contents, size_t nr);

/* Look for lost partitions, with progress.  0 or negative errno. */
int find_lost(const struct arguments *args, const char *place, struct platter_lost **ret,
	      struct platter_error *err);
void say_lost(const char *place, const struct platter_lost *lost);
json_t *json_lost(const struct platter_lost *lost);
/* repair --table.  Returns an exit status. */
int repair_table(const struct arguments *args);

/* A table or file system that was found, as a member of a JSON answer. */
json_t *json_structure(const struct platter_structure *s);

/* The command line that goes on where this one was stopped; to be freed. */
char *resume_command(const struct arguments *args);

/* Members that a copy's result adds to a JSON answer. */
void json_put_result(json_t *answer, const struct platter_copy_result *result);
/* "sha256  HEX" lines, and what could not be read. */
void say_result_details(FILE *to, const struct platter_copy_result *result);

/* What the command line asks of a new image. */
void fill_create_options(const struct arguments *args, struct platter_create_options *ret);
/* Report a failure to make the image `target`, and how to go on.  Returns an exit status. */
int report_create_stopped(const struct arguments *args, const char *target,
			  struct platter_error *err);

/* Show what would be lost. */
void show_target(const char *target);

/*
 * What would be lost was shown: ask whether to go on, unless --yes says so.  Of a device the word
 * that is its identity has to be typed; `identity` NULL, and a file: "yes" will do.  `source` "-":
 * standard input is taken.  Returns STATUS_DONE if the user agreed.
 */
int ask_to_overwrite(const struct arguments *args, const char *source, const char *target,
		     const struct platter_identity *identity);

/* "DVD+RW, blank, 4.4 GiB free": the disc in a drive; to be freed. */
char *disc_text(const struct platter_drive_disc *disc);

/* Print the completion script for a shell (bash, zsh, fish).  Returns an exit status. */
int print_completion(const char *shell);

#endif
