/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <platter/format.h>
#include <platter/text.h>

const struct option_info option_table[NR_OPTIONS] = {
	[OPT_HELP] = { "help", 'h', OPTION_FLAG, NULL, NULL, "show this help" },
	[OPT_JSON] = { "json", 0, OPTION_FLAG, NULL, NULL, "answer with a JSON object" },
	[OPT_QUIET] = { "quiet", 'q', OPTION_FLAG, NULL, NULL, "say nothing but errors" },
	[OPT_PROGRESS] = { "progress", 0, OPTION_CHOICE, "HOW", "auto|bar|json|none",
			   "auto (a bar on a terminal), bar, json (a line an event) or none" },
	[OPT_INPUT_FORMAT] = { "input-format", 0, OPTION_FORMAT, "NAME", NULL,
			       "take what is read for this format instead of looking" },
	[OPT_IGNORE_CHECKSUMS] = { "ignore-checksums", 0, OPTION_FLAG, NULL, NULL,
				   "use damaged metadata as it is, to rescue data" },
	[OPT_PASSPHRASE_FILE] = { "passphrase-file", 0, OPTION_TEXT, "FILE", NULL,
				  "pass phrase of encrypted images: the first line of FILE" },
	[OPT_PARENT] = { "parent", 0, OPTION_PARENTS, "FILE", NULL,
			 "parent that is not found under its name, or the new one" },
	[OPT_PARENT_FORMAT] = { "parent-format", 'F', OPTION_FORMAT, "NAME", NULL,
				"format of the new parent, instead of looking" },
	[OPT_NO_PARENT] = { "no-parent", 0, OPTION_FLAG, NULL, NULL, "stand on no parent" },
	[OPT_UNSAFE] = { "unsafe", 'u', OPTION_FLAG, NULL, NULL,
			 "only name the parent: it holds what the present one holds" },
	[OPT_REMOVE] = { "remove", 0, OPTION_FLAG, NULL, NULL, "delete the overlay afterwards" },
	[OPT_FORMAT] = { "format", 'O', OPTION_FORMAT, "NAME", NULL,
			 "format of the new image; else by its extension, else raw" },
	[OPT_OPTION] = { "option", 'o', OPTION_PAIRS, "KEY=VALUE,...", NULL,
			 "of the format ('platter formats NAME'), or fields of a certificate" },
	[OPT_COMPRESS] = { "compress", 'c', OPTION_MAYBE_TEXT, "CODEC",
			   "zstd|zlib|bzip2|lzfse|lzvn|xz|lz4",
			   "compress, with the format's usual codec or this one: zstd:9" },
	[OPT_SPARSE] = { "sparse", 0, OPTION_CHOICE, "WHEN", "auto|always|never",
			 "leave out zeros: auto (64 KiB blocks), always (4 KiB) or never" },
	[OPT_SPLIT] = { "split", 0, OPTION_SIZE, "SIZE", NULL,
			"write a raw image in parts of this size: IMAGE.001 ..." },
	[OPT_HASH] = { "hash", 0, OPTION_TEXT, "LIST",
		       "sha256|sha512|sha384|sha1|md5|blake2b512|crc32",
		       "hash the disk's bytes: sha256, sha512, sha1, md5, ..." },
	[OPT_VERIFY] = { "verify", 0, OPTION_FLAG, NULL, NULL,
			 "read back what was written and compare" },
	[OPT_STDOUT] = { "stdout", 0, OPTION_FLAG, NULL, NULL,
			 "write the image to standard output" },
	[OPT_RESUME] = { "resume", 0, OPTION_FLAG, NULL, NULL,
			 "go on where an interrupted run stopped" },
	[OPT_FORCE] = { "force", 'f', OPTION_FLAG, NULL, NULL, "replace an existing file" },
	[OPT_NO_SYNC] = { "no-sync", 0, OPTION_FLAG, NULL, NULL,
			  "do not wait until the image is safe from a power cut" },
	[OPT_THREADS] = { "threads", 0, OPTION_COUNT, "N", NULL,
			  "use N threads; else one a processor" },
	[OPT_YES] = { "yes", 'y', OPTION_FLAG, NULL, NULL, "overwrite without asking" },
	[OPT_WIPE_REST] = { "wipe-rest", 0, OPTION_FLAG, NULL, NULL,
			    "make the rest of a larger target read as zeros" },
	[OPT_NO_GPT_FIX] = { "no-gpt-fix", 0, OPTION_FLAG, NULL, NULL,
			     "leave the GPT as it is in the source" },
	[OPT_IGNORE_ZERO_TAIL] = { "ignore-zero-tail", 0, OPTION_FLAG, NULL, NULL,
				   "take a longer disk that ends in zeros for equal" },
	[OPT_OFFSET] = { "offset", 0, OPTION_OFFSET, "BYTE", NULL,
			 "begin at this byte of the disk; else at 0" },
	[OPT_LENGTH] = { "length", 0, OPTION_SIZE, "SIZE", NULL,
			 "look at so many bytes; else to the end" },
	[OPT_SIZE] = { "size", 0, OPTION_SIZE, "SIZE", NULL, "of a new disk of this size" },
	[OPT_DISCARD_DATA] = { "discard-data", 0, OPTION_FLAG, NULL, NULL,
			       "shrink even if what falls off is not all zeros" },
	[OPT_CREATE] = { "create", 0, OPTION_TEXT, "NAME", NULL,
			 "keep the disk as it is now under this name" },
	[OPT_APPLY] = { "apply", 0, OPTION_TEXT, "NAME", NULL,
			"make the disk what it was in this snapshot" },
	[OPT_DELETE] = { "delete", 0, OPTION_TEXT, "NAME", NULL, "forget this snapshot" },
	[OPT_COPY] = { "copy", 0, OPTION_FLAG, NULL, NULL,
		       "make it anew, even if it could be done in place" },
	[OPT_DRY_RUN] = { "dry-run", 0, OPTION_FLAG, NULL, NULL,
			  "change nothing, only say what would be done" },
	[OPT_LONG] = { "long", 'l', OPTION_FLAG, NULL, NULL,
		       "with modes, owners, sizes, times and targets" },
	[OPT_RECURSIVE] = { "recursive", 'R', OPTION_FLAG, NULL, NULL,
			    "all that is in folders too" },
	[OPT_ATTRIBUTES] = { "attributes", 0, OPTION_FLAG, NULL, NULL,
			     "with extended attributes and alternate streams" },
	[OPT_DELETED] = { "deleted", 0, OPTION_FLAG, NULL, NULL,
			  "what was deleted, as far as the metadata still knows it" },
	[OPT_STREAM] = { "stream", 0, OPTION_TEXT, "NAME", NULL,
			 "this alternate stream or fork of the file" },
	[OPT_NAME] = { "name", 0, OPTION_TEXT, "PATTERN", NULL, "whose name matches: '*.txt'" },
	[OPT_INAME] = { "iname", 0, OPTION_TEXT, "PATTERN", NULL,
			"the same without regard to case" },
	[OPT_TYPE] = { "type", 0, OPTION_CHOICE, "LETTER", "f|d|l|p|s|c|b",
		       "files, folders (d), links, pipes, sockets or devices (c, b)" },
	[OPT_SIZE_TEST] = { "size", 0, OPTION_TEXT, "[+|-]SIZE", NULL,
			    "of this size, larger (+) or smaller (-)" },
	[OPT_FOLDER] = { "directory", 'C', OPTION_TEXT, "DIR", NULL,
			 "where to, made if it is not there; else the current folder" },
	[OPT_NO_OWNER] = { "no-owner", 0, OPTION_FLAG, NULL, NULL,
			   "leave the files to you, even as root" },
	[OPT_STREAMS] = { "streams", 0, OPTION_FLAG, NULL, NULL,
			  "alternate streams and forks too, as files NAME:STREAM" },
	[OPT_TAR] = { "tar", 0, OPTION_FLAG, NULL, NULL,
		      "as a tar archive (the only kind so far)" },
	[OPT_USED_ONLY] = { "used-only", 0, OPTION_FLAG, NULL, NULL,
			    "store only what the file systems of the source use" },
	[OPT_BACKUP] = { "backup", 0, OPTION_FLAG, NULL, NULL,
			 "the same, compressed and verified, in QCOW2 if IMAGE names no format" },
	[OPT_LICENSE] = { "license", 0, OPTION_FLAG, NULL, NULL,
			  "show the licence agreement that a disk image has" },
	[OPT_SPEED] = { "speed", 0, OPTION_TEXT, "N", NULL,
			"burn at 8x, or so many kB/s; else as fast as can be" },
	[OPT_SIMULATE] = { "simulate", 0, OPTION_FLAG, NULL, NULL,
			   "with the laser off: nothing is written" },
	[OPT_BLANK] = { "blank", 0, OPTION_CHOICE, "HOW", "fast|full",
			"empty the disc first: fast (what names the contents) or full" },
	[OPT_FORMAT_DISC] = { "format", 0, OPTION_FLAG, NULL, NULL, "format the disc first" },
	[OPT_MULTI] = { "multi", 0, OPTION_FLAG, NULL, NULL,
			"leave the disc open for another session" },
	[OPT_ADD_SESSION] = { "append", 0, OPTION_FLAG, NULL, NULL,
			      "add a session behind those on the disc" },
	[OPT_CLOSE] = { "close", 0, OPTION_FLAG, NULL, NULL,
			"close the disc: nothing can be added to it any more" },
	[OPT_EJECT] = { "eject", 0, OPTION_FLAG, NULL, NULL, "open the tray in the end" },
	[OPT_RETRIES] = { "retries", 0, OPTION_TIMES, "N", NULL,
			  "try a sector that cannot be read N times again" },
	[OPT_FROM] = { "from", 0, OPTION_TEXT, "FOLDER", NULL,
		       "what goes into it: a folder, or one in an image: disk.img@2:/folder" },
	[OPT_LABEL] = { "label", 'L', OPTION_TEXT, "NAME", NULL,
			"name of the volume; else that of FOLDER" },
	[OPT_PUBLISHER] = { "publisher", 0, OPTION_TEXT, "TEXT", NULL, "who publishes the disc" },
	[OPT_PREPARER] = { "preparer", 0, OPTION_TEXT, "TEXT", NULL, "who prepared its data" },
	[OPT_APPLICATION] = { "application", 0, OPTION_TEXT, "TEXT", NULL, "what it is for" },
	[OPT_SYSTEM] = { "system", 0, OPTION_TEXT, "TEXT", NULL, "what system it is for" },
	[OPT_VOLUME_SET] = { "set", 0, OPTION_TEXT, "TEXT", NULL, "set of discs that it is of" },
	[OPT_NO_ROCK_RIDGE] = { "no-rock-ridge", 0, OPTION_FLAG, NULL, NULL,
				"without the names, modes, owners and links of Unix" },
	[OPT_NO_JOLIET] = { "no-joliet", 0, OPTION_FLAG, NULL, NULL,
			    "without the names for Windows" },
	[OPT_IMPLANT_MD5] = { "implant-md5", 0, OPTION_FLAG, NULL, NULL,
			      "with its MD5 in it, for checkisomd5 and 'platter verify'" },
	[OPT_HFSPLUS] = { "hfsplus", 0, OPTION_FLAG, NULL, NULL,
			  "with a tree of HFS+ for Macs on the same contents" },
	[OPT_UDF] = { "udf", 0, OPTION_FLAG, NULL, NULL,
		      "cannot be written; says what to use instead" },
	[OPT_XATTRS] = { "xattrs", 0, OPTION_FLAG, NULL, NULL,
			 "with extended attributes, for readers based on libisofs" },
	[OPT_EXCLUDE] = { "exclude", 0, OPTION_LIST, "PATTERN", NULL,
			  "leave out such names, or paths if it has a '/'; may be given again" },
	[OPT_WEIGHT] = { "weight", 0, OPTION_LIST, "PATTERN=N", NULL,
			 "contents of higher weight stand first; may be given again" },
	[OPT_SORT_WEIGHTS] = { "sort-weights", 0, OPTION_TEXT, "FILE", NULL,
			       "a file of lines 'PATTERN N'" },
	[OPT_BOOT_BIOS] = { "boot-bios", 0, OPTION_TEXT, "FILE", NULL,
			    "what a BIOS boots: its path on the disc, or here" },
	[OPT_BOOT_UEFI] = { "boot-uefi", 0, OPTION_TEXT, "FILE", NULL,
			    "what UEFI boots: a FAT image on the disc or here, or a folder here" },
	[OPT_BOOT_GRUB2] = { "boot-grub2", 0, OPTION_FLAG, NULL, NULL,
			     "that of --boot-bios and --isohybrid is GRUB 2's" },
	[OPT_NO_BOOT_TABLE] = { "no-boot-table", 0, OPTION_FLAG, NULL, NULL,
				"leave that of --boot-bios unchanged: it is not ISOLINUX's or "
				"GRUB's" },
	[OPT_ISOHYBRID] = { "isohybrid", 0, OPTION_TEXT, "FILE", NULL,
			    "boot from a stick too: ISOLINUX's isohdpfx.bin" },
	[OPT_APPEND] = { "append", 0, OPTION_TEXT, "OLD", NULL,
			 "begin with this disc, and add FOLDER in another session" },
	[OPT_LIKE] = { "like", 0, OPTION_TEXT, "OLD", NULL,
		       "boot as this disc does, whatever FOLDER has" },
	[OPT_TABLE] = { "table", 0, OPTION_CHOICE, "KIND", "gpt|mbr",
			"partition table of a disk: gpt or mbr" },
	[OPT_PARTITION] = { "partition", 'p', OPTION_LIST, "SIZE,TYPE,FS,LABEL,FROM", NULL,
			    "a partition; SIZE may be 'rest', what follows may be empty or left "
			    "out" },
	[OPT_FS] = { "fs", 0, OPTION_TEXT, "NAME", NULL,
		     "file system of a new disk without partitions: ext4, fat32, ..." },
	[OPT_METHOD] = { "method", 0, OPTION_TEXT, "NAME",
			 "auto|zero|random|dod|gutmann|apple-fastest|apple-1|apple-3"
			 "|apple-7|nist-clear|nist-purge|ata-secure-erase"
			 "|ata-secure-erase-enhanced|ata-sanitize-block"
			 "|ata-sanitize-crypto|ata-sanitize-overwrite|nvme-format"
			 "|nvme-format-crypto|nvme-sanitize-block|nvme-sanitize-crypto"
			 "|nvme-sanitize-overwrite|scsi-sanitize-block"
			 "|scsi-sanitize-crypto|scsi-sanitize-overwrite|discard"
			 "|discard-secure|luks",
			 "how, as --list-methods lists them; else what is right for the drive" },
	[OPT_LIST_METHODS] = { "list-methods", 0, OPTION_FLAG, NULL, NULL,
			       "list the methods; with --json also what each pass writes" },
	[OPT_CERTIFICATE] = { "certificate", 0, OPTION_LIST, "FILE", NULL,
			      "certify it in FILE.json or FILE.html; may be given again" },
	[OPT_OPERATOR] = { "operator", 0, OPTION_TEXT, "NAME", NULL, "who does it" },
	[OPT_ORGANISATION] = { "organisation", 0, OPTION_TEXT, "NAME", NULL, "for whom" },
	[OPT_LOCATION] = { "location", 0, OPTION_TEXT, "TEXT", NULL, "where" },
	[OPT_DESTINATION] = { "destination", 0, OPTION_TEXT, "TEXT", NULL,
			      "where the medium goes next" },
	[OPT_PROPERTY] = { "property", 0, OPTION_TEXT, "NUMBER", NULL,
			   "number that the medium has in your books" },
	[OPT_WIPE_VERIFY] = { "verify", 0, OPTION_TEXT, "HOW", "full|sample|none",
			      "read back: full (else this), sample, sample:SHARE or none" },
	[OPT_STATE] = { "state", 0, OPTION_TEXT, "FILE", NULL,
			"where it is kept how far it came; or a folder for such files" },
	[OPT_FREE_SPACE] = { "free-space", 0, OPTION_FLAG, NULL, NULL,
			     "only what is free: of an unmounted file system, or of a folder's" },
	[OPT_SLACK] = { "slack", 0, OPTION_FLAG, NULL, NULL,
			"only what is behind the ends of files in their last clusters" },
	[OPT_HIDDEN_AREAS] = { "hidden-areas", 0, OPTION_FLAG, NULL, NULL,
			       "make what an HPA or DCO hides addressable first" },
	[OPT_SAMPLE] = { "sample", 0, OPTION_MAYBE_TEXT, "SHARE|SIZE", NULL,
			 "look at random places: 1 % of the disk, or 2%, or 10G" },
	[OPT_SEED] = { "seed", 0, OPTION_TEXT, "N", NULL,
		       "of the sample: look at the same places again" },
	[OPT_EXAMPLES] = { "examples", 0, OPTION_FLAG, NULL, NULL,
			   "show a few of the finds of each kind, masked" },
	[OPT_LOST] = { "lost", 0, OPTION_FLAG, NULL, NULL,
		       "look for partitions that the table does not have" },
	[OPT_PNG] = { "png", 0, OPTION_TEXT, "FILE", NULL,
		      "draw a picture of the disk, a PNG file" },
	[OPT_SVG] = { "svg", 0, OPTION_TEXT, "FILE", NULL,
		      "draw a picture of the disk, an SVG file" },
	[OPT_ALSO] = { "also", 0, OPTION_LIST, "COPY", NULL,
		       "ask this device or image for what is missing; may be given again" },
	[OPT_TIMEOUT] = { "timeout", 0, OPTION_COUNT, "SECONDS", NULL,
			  "give a read up after so many seconds; else 30" },
	[OPT_REVERSE] = { "reverse", 0, OPTION_FLAG, NULL, NULL, "begin at the end" },
	[OPT_NO_TRIM] = { "no-trim", 0, OPTION_FLAG, NULL, NULL,
			  "read only what can be read in large pieces" },
	[OPT_NO_SCRAPE] = { "no-scrape", 0, OPTION_FLAG, NULL, NULL,
			    "leave out what lies between bad sectors" },
	[OPT_USED_FIRST] = { "used-first", 0, OPTION_FLAG, NULL, NULL,
			     "read what file systems use first, then the rest" },
	[OPT_NEWER] = { "newer", 0, OPTION_TEXT, "WHEN", NULL,
			"modified after a date, 2026-11-22 18:02:36 UTC, or a file inside" },
};

#define COMMON           OPT_JSON, OPT_QUIET
#define COMMON_WITH_WORK COMMON, OPT_PROGRESS
#define READING          OPT_INPUT_FORMAT, OPT_IGNORE_CHECKSUMS, OPT_PARENT, OPT_PASSPHRASE_FILE

static const enum option_id info_options[] = { OPT_LOST, OPT_LICENSE, READING, COMMON_WITH_WORK,
					       OPT_HELP };
static const enum option_id create_options[] = {
	OPT_FORMAT,  OPT_OPTION,  OPT_COMPRESS,     OPT_SPARSE,        OPT_SPLIT,
	OPT_HASH,    OPT_VERIFY,  OPT_STDOUT,       OPT_RESUME,        OPT_FORCE,
	OPT_NO_SYNC, OPT_THREADS, OPT_SIZE,         OPT_PARENT_FORMAT, OPT_USED_ONLY,
	OPT_BACKUP,  READING,     COMMON_WITH_WORK, OPT_HELP
};
static const enum option_id commit_options[] = { OPT_REMOVE, OPT_PARENT, OPT_PASSPHRASE_FILE,
						 COMMON_WITH_WORK, OPT_HELP };
static const enum option_id flatten_options[] = { OPT_PARENT, OPT_PASSPHRASE_FILE, COMMON_WITH_WORK,
						  OPT_HELP };
static const enum option_id rebase_options[] = { OPT_PARENT, OPT_PARENT_FORMAT,   OPT_NO_PARENT,
						 OPT_UNSAFE, OPT_PASSPHRASE_FILE, COMMON_WITH_WORK,
						 OPT_HELP };
static const enum option_id restore_options[] = { OPT_YES,     OPT_WIPE_REST, OPT_NO_GPT_FIX,
						  OPT_VERIFY,  OPT_HASH,      OPT_RESUME,
						  OPT_THREADS, READING,       COMMON_WITH_WORK,
						  OPT_HELP };
static const enum option_id clone_options[] = { OPT_YES,    OPT_WIPE_REST,    OPT_NO_GPT_FIX,
						OPT_VERIFY, OPT_HASH,         OPT_RESUME,
						OPT_FORCE,  OPT_SPARSE,       OPT_THREADS,
						READING,    COMMON_WITH_WORK, OPT_HELP };
static const enum option_id list_options[] = { COMMON, OPT_HELP };
static const enum option_id explain_options[] = { READING, COMMON, OPT_HELP };
static const enum option_id burn_options[] = { OPT_YES,         OPT_SPEED, OPT_SIMULATE,
					       OPT_VERIFY,      OPT_BLANK, OPT_FORMAT_DISC,
					       OPT_ADD_SESSION, OPT_MULTI, OPT_CLOSE,
					       OPT_EJECT,       READING,   COMMON_WITH_WORK,
					       OPT_HELP };
static const enum option_id rip_options[] = {
	OPT_RETRIES, OPT_FORMAT, OPT_OPTION,          OPT_COMPRESS,     OPT_SPARSE,
	OPT_SPLIT,   OPT_HASH,   OPT_VERIFY,          OPT_RESUME,       OPT_FORCE,
	OPT_NO_SYNC, OPT_EJECT,  OPT_PASSPHRASE_FILE, COMMON_WITH_WORK, OPT_HELP
};
static const enum option_id rescue_options[] = { OPT_ALSO,         OPT_RETRIES,   OPT_TIMEOUT,
						 OPT_REVERSE,      OPT_NO_TRIM,   OPT_NO_SCRAPE,
						 OPT_USED_FIRST,   OPT_USED_ONLY, OPT_OFFSET,
						 OPT_LENGTH,       OPT_FORCE,     OPT_YES,
						 COMMON_WITH_WORK, OPT_HELP };
static const enum option_id verify_options[] = { OPT_HASH, READING, COMMON_WITH_WORK, OPT_HELP };
static const enum option_id compare_options[] = { OPT_IGNORE_ZERO_TAIL, READING, COMMON_WITH_WORK,
						  OPT_HELP };
static const enum option_id measure_options[] = { OPT_SIZE,     OPT_FORMAT,       OPT_OPTION,
						  OPT_COMPRESS, OPT_SPARSE,       OPT_THREADS,
						  READING,      COMMON_WITH_WORK, OPT_HELP };
static const enum option_id examine_options[] = {
	OPT_SAMPLE, OPT_SEED, OPT_EXAMPLES, OPT_PNG, OPT_SVG, READING, COMMON_WITH_WORK, OPT_HELP
};
static const enum option_id map_options[] = { OPT_OFFSET, OPT_LENGTH, OPT_PNG, OPT_SVG,
					      READING,    COMMON,     OPT_HELP };
static const enum option_id resize_options[] = { OPT_DISCARD_DATA, OPT_INPUT_FORMAT,
						 OPT_PASSPHRASE_FILE, COMMON, OPT_HELP };
static const enum option_id snapshot_options[] = {
	OPT_CREATE, OPT_APPLY, OPT_DELETE, OPT_INPUT_FORMAT, OPT_PASSPHRASE_FILE, COMMON, OPT_HELP
};
static const enum option_id compact_options[] = { OPT_COPY, OPT_PASSPHRASE_FILE, COMMON_WITH_WORK,
						  OPT_HELP };
static const enum option_id repair_options[] = {
	OPT_DRY_RUN,         OPT_TABLE,        OPT_YES, OPT_INPUT_FORMAT,
	OPT_PASSPHRASE_FILE, COMMON_WITH_WORK, OPT_HELP
};
static const enum option_id formats_options[] = { COMMON, OPT_HELP };
static const enum option_id ls_options[] = { OPT_LONG, OPT_RECURSIVE, OPT_ATTRIBUTES, OPT_DELETED,
					     READING,  COMMON,        OPT_HELP };
static const enum option_id tree_options[] = { OPT_LONG, READING, COMMON, OPT_HELP };
static const enum option_id find_options[] = { OPT_NAME,      OPT_INAME, OPT_TYPE,
					       OPT_SIZE_TEST, OPT_NEWER, OPT_LONG,
					       READING,       COMMON,    OPT_HELP };
static const enum option_id extract_options[] = { OPT_FOLDER,       OPT_FORCE,   OPT_NO_OWNER,
						  OPT_STREAMS,      OPT_DELETED, READING,
						  COMMON_WITH_WORK, OPT_HELP };
static const enum option_id export_options[] = { OPT_TAR, READING, OPT_QUIET, OPT_PROGRESS,
						 OPT_HELP };
static const enum option_id new_options[] = {
	OPT_FROM,         OPT_LABEL,         OPT_EXCLUDE,
	OPT_FORCE,        OPT_NO_SYNC,       OPT_SIZE,
	OPT_TABLE,        OPT_PARTITION,     OPT_FS,
	OPT_FORMAT,       OPT_OPTION,        OPT_THREADS,
	OPT_PUBLISHER,    OPT_PREPARER,      OPT_APPLICATION,
	OPT_SYSTEM,       OPT_VOLUME_SET,    OPT_HFSPLUS,
	OPT_IMPLANT_MD5,  OPT_NO_ROCK_RIDGE, OPT_NO_JOLIET,
	OPT_UDF,          OPT_XATTRS,        OPT_WEIGHT,
	OPT_SORT_WEIGHTS, OPT_BOOT_BIOS,     OPT_BOOT_UEFI,
	OPT_BOOT_GRUB2,   OPT_NO_BOOT_TABLE, OPT_ISOHYBRID,
	OPT_APPEND,       OPT_LIKE,          OPT_PASSPHRASE_FILE,
	COMMON_WITH_WORK, OPT_HELP
};
static const enum option_id df_options[] = { READING, COMMON, OPT_HELP };
static const enum option_id cat_options[] = { OPT_STREAM, READING, OPT_HELP };
static const enum option_id hash_options[] = { OPT_HASH, OPT_RECURSIVE, READING, COMMON_WITH_WORK,
					       OPT_HELP };
static const enum option_id wipe_options[] = {
	OPT_METHOD,       OPT_LIST_METHODS, OPT_WIPE_VERIFY, OPT_FREE_SPACE,   OPT_SLACK,
	OPT_HIDDEN_AREAS, OPT_CERTIFICATE,  OPT_OPERATOR,    OPT_ORGANISATION, OPT_LOCATION,
	OPT_DESTINATION,  OPT_PROPERTY,     OPT_OPTION,      OPT_YES,          OPT_DRY_RUN,
	OPT_RESUME,       OPT_FORCE,        OPT_STATE,       COMMON_WITH_WORK, OPT_HELP
};

const struct verb verb_table[] = {
	{ "info", "PLACE...", 1, UINT32_MAX, "say what a disk or image is, layer by layer",
	  "A PLACE is an image, a device, or a partition in one: disk.qcow2@2, disk.img@EFI.\n",
	  "  platter info disk.qcow2\n"
	  "  platter info --json /dev/sda\n"
	  "  platter info --lost /dev/sdb\n",
	  info_options },
	{ "create", "[SOURCE] IMAGE", 1, 2, "make an image of a disk, partition or image",
	  "SOURCE is any PLACE, or - for standard input; IMAGE may be - for standard output.\n"
	  "Without a SOURCE the image is empty, of --size, or an overlay of the --parent.\n"
	  "The image appears under its name only when it is whole.\n",
	  "  platter create -c /dev/sda laptop.qcow2\n"
	  "  platter create --hash sha256 --verify /dev/sdb@1 stick.img\n"
	  "  platter create --size 40G new.vhdx\n"
	  "  platter create --parent base.qcow2 overlay.qcow2\n"
	  "  platter create --backup /dev/sda laptop.qcow2\n",
	  create_options },
	{ "convert", "SOURCE IMAGE", 1, 2, "make an image in another format",
	  "The same as create, between images; the source is left as it is.\n",
	  "  platter convert old.img new.qcow2\n"
	  "  platter convert -O qcow2 -c=zstd:9 -o cluster_size=128K a.qcow2 b.qcow2\n",
	  create_options },
	{ "restore", "IMAGE DEVICE", 2, 2, "write an image back to a device",
	  "What stands on DEVICE is shown, and nothing is written before you have agreed.\n"
	  "A device that is mounted, in use, too small or read-only is refused.\n",
	  "  platter restore laptop.qcow2 /dev/sdb\n"
	  "  platter restore --yes --verify stick.img /dev/sdc\n",
	  restore_options },
	{ "clone", "SOURCE TARGET", 2, 2, "copy a disk to another disk or to a file",
	  "To a device it is restore; to a file it is create, with the format the name says.\n",
	  "  platter clone --wipe-rest /dev/sda /dev/sdb\n", clone_options },
	{ "list", "[DEVICE...]", 0, UINT32_MAX, "say what drives there are, and what is on them",
	  "Without a DEVICE all block devices and optical drives: physical ones apart from "
	  "images,\n"
	  "each with its partitions and what stands on them.  A file that behaves like an optical\n"
	  "drive is stdio:PATH.  --quiet prints paths alone.\n",
	  "  platter list\n"
	  "  platter list --json /dev/sda stdio:disc.img\n",
	  list_options },
	{ "explain", "PLACE", 1, 1, "say in plain words what a disk or partition is for",
	  "PLACE is a device, an image, a part of one, or the folder where one is mounted.  Says "
	  "what\n"
	  "it is and why, whether data of people is likely on it, what happens if it is removed,\n"
	  "and the commands that detach or erase it.  Nothing is changed.\n",
	  "  platter explain /dev/sda\n"
	  "  platter explain BaseSystem.dmg\n"
	  "  platter explain /media/stick\n",
	  explain_options },
	{ "burn", "[IMAGE] DRIVE", 1, 2, "write an image to an optical disc",
	  "IMAGE is any PLACE.  What is on the disc is shown, and lost only when you have agreed.\n"
	  "Without an IMAGE the disc is only blanked, formatted or closed.\n",
	  "  platter burn --verify debian.iso /dev/sr0\n"
	  "  platter burn --blank=fast --speed=4x disc.cue /dev/sr0\n"
	  "  platter burn --append second.iso /dev/sr0\n",
	  burn_options },
	{ "rip", "DRIVE IMAGE", 2, 2, "make an image of an optical disc",
	  "Sectors that cannot be read are tried again, then left out as zeros and listed in "
	  "IMAGE.map\n"
	  "as GNU ddrescue does.  The exit status is then 4.\n",
	  "  platter rip /dev/sr0 disc.iso\n"
	  "  platter rip --retries=10 --hash=sha256 /dev/sr0 old.iso\n",
	  rip_options },
	{ "rescue", "DEVICE IMAGE [MAPFILE]", 2, 3, "save what a failing drive still gives",
	  "DEVICE is read into the raw IMAGE, the easy parts first, and a mapfile of GNU "
	  "ddrescue's, "
	  "IMAGE.map,\n"
	  "keeps what could be read.  The same command goes on where it was stopped, and another "
	  "DEVICE\n"
	  "fills in what the first could not give.  The exit status is 4 if something is "
	  "missing.\n",
	  "  platter rescue /dev/sdb disk.img\n"
	  "  platter rescue --no-scrape /dev/sdb disk.img\n"
	  "  platter rescue /dev/sr0 disc.iso --also other-copy.iso\n",
	  rescue_options },
	{ "commit", "IMAGE", 1, 1, "merge an overlay into its parent",
	  "The parent then holds what IMAGE holds; other overlays of it are worthless.\n",
	  "  platter commit overlay.qcow2\n"
	  "  platter commit --remove snapshot2.avhdx\n",
	  commit_options },
	{ "flatten", "IMAGE", 1, 1, "make an overlay whole, without its parents",
	  "It is made anew in the same format, and takes the old one's name when it is whole.\n",
	  "  platter flatten overlay.qcow2\n", flatten_options },
	{ "rebase", "IMAGE", 1, 1, "make an overlay stand on another parent, or on none",
	  "It reads as before: what the parents hold differently is stored in it first.\n"
	  "With --unsafe only the name is changed, as when the parent was moved.\n",
	  "  platter rebase --parent newbase.qcow2 overlay.qcow2\n"
	  "  platter rebase --unsafe --parent moved/base.vhd overlay.vhd\n",
	  rebase_options },
	{ "verify", "IMAGE...", 1, UINT32_MAX, "check structure, data and stored checksums",
	  "Exit status 1 means that damage was found.\n",
	  "  platter verify laptop.qcow2\n"
	  "  platter verify --hash sha256 *.qcow2\n",
	  verify_options },
	{ "compare", "A B", 2, 2, "compare the contents of two disks, whatever their formats",
	  "Exit status 0 means equal, 1 different.\n", "  platter compare laptop.qcow2 /dev/sda\n",
	  compare_options },
	{ "examine", "PLACE", 1, 1, "say whether anything is left on a disk",
	  "Reads all of it, and tells what its sectors look like, what remains of tables, file\n"
	  "systems and files there are, and what that means.  Nothing is written.\n"
	  "Exit status 0 means that nothing recognisable is left, 1 that something is.\n",
	  "  platter examine /dev/sdb\n"
	  "  platter examine --sample=2% --png disk.png /dev/sdb\n",
	  examine_options },
	{ "map", "PLACE", 1, 1, "say what of a disk is stored, and where",
	  "A line for each extent: data, compressed, zero (reads as zeros, nothing stored), hole "
	  "(never\n"
	  "written) or bad, and where data stands in which file.  Depth 1 is the backing file.\n",
	  "  platter map disk.qcow2\n"
	  "  platter map --json --offset 1M --length 64K disk.vhdx@2\n"
	  "  platter map --png disk.png rescued.img\n",
	  map_options },
	{ "measure", "[SOURCE]", 0, 1, "say how large an image would be, without making it",
	  "Of SOURCE, or of an empty disk (--size); in one format (-O) or in all.  Zeros that "
	  "SOURCE\n"
	  "stores count as data unless --sparse is given, which reads all of it; -c compresses "
	  "it.\n",
	  "  platter measure /dev/sda\n"
	  "  platter measure -O qcow2 -o cluster_size=1M --sparse=auto disk.vmdk\n"
	  "  platter measure --size 2T -O vhdx\n",
	  measure_options },
	{ "resize", "IMAGE SIZE", 2, 2, "make the disk in an image longer or shorter",
	  "SIZE is the new size, or +SIZE or -SIZE: so much more or less.\n"
	  "Partitions stay as they are; so does data, unless --discard-data is given.\n",
	  "  platter resize disk.qcow2 +20G\n"
	  "  platter resize disk.img 64G\n",
	  resize_options },
	{ "snapshot", "IMAGE", 1, 1, "list, create, apply or delete snapshots of an image",
	  "Without --create, --apply or --delete, what snapshots there are.\n"
	  "disk.qcow2?snapshot=NAME opens one wherever a PLACE is taken.\n",
	  "  platter snapshot disk.qcow2\n"
	  "  platter snapshot disk.qcow2 --create before-upgrade\n"
	  "  platter snapshot disk.qcow2 --apply before-upgrade\n",
	  snapshot_options },
	{ "compact", "IMAGE", 1, 1, "give back the space of an image that holds nothing",
	  "Zeros that are stored are given up, and the file becomes as short as it can be; in\n"
	  "place where the format allows it, else through a new file.\n",
	  "  platter compact disk.vdi\n"
	  "  platter compact --copy disk.qcow2\n",
	  compact_options },
	{ "repair", "IMAGE", 1, 1, "put right the structure of an image, or a partition table",
	  "What can be counted again or is there twice is put right; no data is invented.\n"
	  "With --table, partitions that 'platter info --lost' finds are put into the table of a\n"
	  "disk, after you have agreed; what was there before is kept in files in the current "
	  "folder.\n"
	  "Exit status 1 means that damage is left, or with --dry-run that there is any.\n",
	  "  platter repair --dry-run disk.qcow2\n"
	  "  platter repair --table=gpt /dev/sdb\n",
	  repair_options },
	{ "ls", "PLACE...", 1, UINT32_MAX, "list the files inside",
	  "PLACE is a file system: of a whole disk, a partition, a disc; or a disk with\n"
	  "partitions, each of which is a folder.  Nothing is mounted, and root is not needed.\n",
	  "  platter ls -l disk.vhdx@2:/etc\n"
	  "  platter ls -R --json laptop.qcow2\n"
	  "  platter ls --deleted card.img@1\n",
	  ls_options },
	{ "tree", "PLACE...", 1, UINT32_MAX, "draw the folders inside, and what is in them",
	  "As ls --recursive, each name below its folder.\n", "  platter tree disc.iso\n",
	  tree_options },
	{ "find", "PLACE...", 1, UINT32_MAX, "find files inside",
	  "Prints the files for which all that is asked for is true, by their paths from PATH.\n",
	  "  platter find laptop.qcow2@3 -name '*.docx' -newer 2026-01-01\n"
	  "  platter find disk.img -type f -size +1G\n",
	  find_options },
	{ "cat", "PLACE...", 1, UINT32_MAX, "write files inside, or disks, to standard output",
	  "The bytes, one operand after the other.\n",
	  "  platter cat disk.vhdx@2:/etc/fstab\n"
	  "  platter cat --stream Zone.Identifier disk.vhdx@2:/Users/me/setup.exe\n",
	  cat_options },
	{ "extract", "PLACE...", 1, UINT32_MAX, "copy files inside to a folder",
	  "A folder inside comes with all that is in it; of a whole volume, what is in its root.\n"
	  "Nothing is written outside of DIR, whatever names and links the file system holds.\n",
	  "  platter extract disk.vhdx@2:/Users/me -C rescued\n"
	  "  platter extract --deleted card.img@1 -C found\n",
	  extract_options },
	{ "export", "PLACE", 1, 1, "write files inside to standard output as an archive",
	  "A tar archive in the pax format, with holes, links, owners and extended attributes.\n",
	  "  platter export disk.qcow2@2:/home --tar | zstd >home.tar.zst\n", export_options },
	{ "df", "PLACE...", 1, UINT32_MAX, "say how full the file systems inside are",
	  "Of a disk with partitions, of each.\n", "  platter df laptop.qcow2\n", df_options },
	{ "hash", "PLACE...", 1, UINT32_MAX, "hash files inside, or disks",
	  "SHA-256, or what --hash lists, in the form that sha256sum -c reads.\n",
	  "  platter hash disk.qcow2\n"
	  "  platter hash -R disk.qcow2@2:/home\n",
	  hash_options },
	{ "new", "TARGET", 1, 1, "make a disc, a DMG or a disk, filled with files",
	  "TARGET.iso is a disc with the files in FOLDER, TARGET.dmg what a Mac opens; any other "
	  "an\n"
	  "image of a disk of --size with --partition after --partition, or one file system "
	  "(--fs).\n"
	  "It appears under its name only when it is whole.  With SOURCE_DATE_EPOCH set, the same\n"
	  "files give the same bytes.\n",
	  "  platter new disc.iso --from folder --label BACKUP\n"
	  "  platter new live.iso --from live --boot-bios isolinux/isolinux.bin \\\n"
	  "      --isohybrid /usr/lib/ISOLINUX/isohdpfx.bin --boot-uefi boot/efi.img\n"
	  "  platter new new.iso --from changed --like old.iso\n"
	  "  platter new disk.qcow2 --size 8G -p 512M,efi,fat32,ESP,esp -p rest,linux,ext4,root "
	  "\\\n"
	  "      --from root\n"
	  "  platter new stick.img --size 1G --fs fat32 --label STICK --from folder\n",
	  new_options },
	{ "wipe", "TARGET...", 0, UINT32_MAX, "make what is stored on a drive unreadable",
	  "TARGET is a device, a partition, a file; with --free-space also a folder.  What is "
	  "right\n"
	  "for it is proposed with the reason, and nothing is written before you have agreed.\n"
	  "Several drives are wiped at once.  Ctrl-C stops; --resume goes on, also after a "
	  "crash.\n",
	  "  platter wipe /dev/sdb\n"
	  "  platter wipe --method nist-purge --certificate nvme0.html /dev/nvme0n1\n"
	  "  platter wipe --method random --verify=sample:10% /dev/sdb /dev/sdc\n"
	  "  platter wipe --free-space /mnt\n",
	  wipe_options },
	{ "formats", "[NAME...]", 0, UINT32_MAX, "list what can be read, written and created",
	  "With a NAME, everything about that format, and its options.\n",
	  "  platter formats qcow2\n", formats_options },
	{ .name = NULL },
};

const struct verb *
verb_by_name(const char *name)
{
	for (const struct verb *v = verb_table; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

bool
verb_takes(const struct verb *verb, enum option_id id)
{
	for (const enum option_id *o = verb->options;; o++) {
		if (*o == id)
			return true;
		if (*o == OPT_HELP)
			return false;
	}
}

size_t
value_at(const char *values, size_t index, const char **ret)
{
	for (; index; index--) {
		values = strchr(values, '|');
		if (!values)
			return 0;
		values++;
	}
	*ret = values;
	return strcspn(values, "|");
}

__attribute__((format(printf, 2, 3))) static void
set_reason(char **ret_why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(ret_why, format, args) < 0)
		*ret_why = NULL;
	va_end(args);
}

/* Parsing stops for this reason.  A macro, so that the compiler sees what is returned. */
#define refuse(ret_why, ...) (set_reason(ret_why, __VA_ARGS__), -1)

static int
add_pair(struct arguments *args, char *text, char **ret_why)
{
	struct platter_key_value *more;
	char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return refuse(ret_why, "option '%s' is not KEY=VALUE", text);
	*equals = '\0';
	more = realloc(args->pairs, (args->nr_pairs + 1) * sizeof *more);
	if (!more)
		return refuse(ret_why, "out of memory");
	args->pairs = more;
	more[args->nr_pairs++] = (struct platter_key_value){ text, equals + 1 };
	return 0;
}

/* Cut "a=1,b=2" into pairs; ",," is a comma inside a value. */
static int
add_pairs(struct arguments *args, const char *list, char **ret_why)
{
	while (*list) {
		char *one = malloc(strlen(list) + 1), *to = one;
		int r;

		if (!one)
			return refuse(ret_why, "out of memory");
		for (; *list; list++) {
			if (*list == ',' && list[1] != ',')
				break;
			list += *list == ',';
			*to++ = *list;
		}
		*to = '\0';
		list += *list == ',';
		r = add_pair(args, one, ret_why);
		if (r < 0) {
			free(one);
			return r;
		}
	}
	return 0;
}

static int
set_choice(const struct option_info *info, const char *text, uint64_t *ret, char **ret_why)
{
	const char *value;
	size_t n;

	for (size_t i = 0; (n = value_at(info->values, i, &value)); i++)
		if (n == strlen(text) && !memcmp(value, text, n)) {
			*ret = i;
			return 0;
		}
	return refuse(ret_why, "--%s is one of %s, not '%s'", info->name, info->values, text);
}

static int
check_format(const struct option_info *info, const char *text, char **ret_why)
{
	const struct platter_format_info *format;

	for (size_t i = 0; (format = platter_format_info(i)); i++)
		if (!strcmp(format->name, text))
			return 0;
	return refuse(ret_why, "--%s is a format that 'platter formats' lists, not '%s'",
		      info->name, text);
}

static int
set_count(const struct option_info *info, const char *text, uint64_t *ret, char **ret_why)
{
	unsigned long n, least = info->kind == OPTION_COUNT;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < least || n > 1024)
		return refuse(ret_why, "--%s is a number from %lu to 1024, not '%s'", info->name,
			      least, text);
	*ret = n;
	return 0;
}

static int
set_size(const struct option_info *info, const char *text, uint64_t *ret, char **ret_why)
{
	if (platter_parse_size(text, ret) < 0 || (*ret == 0 && info->kind == OPTION_SIZE))
		return refuse(ret_why, "--%s is a size like 4G, 4GiB or 650MB, not '%s'",
			      info->name, text);
	return 0;
}

static int
add_parent(struct arguments *args, const char *path, char **ret_why)
{
	const char **more = realloc(args->parents, (args->nr_parents + 1) * sizeof *more);

	if (!more)
		return refuse(ret_why, "out of memory");
	args->parents = more;
	more[args->nr_parents++] = path;
	return 0;
}

static int
add_listed(struct arguments *args, enum option_id id, const char *text, char **ret_why)
{
	struct listed_option *more = realloc(args->listed, (args->nr_listed + 1) * sizeof *more);

	if (!more)
		return refuse(ret_why, "out of memory");
	args->listed = more;
	more[args->nr_listed++] = (struct listed_option){ id, text };
	return 0;
}

static int
set_option(struct arguments *args, enum option_id id, const char *text, char **ret_why)
{
	const struct option_info *info = &option_table[id];
	struct option_value *value = &args->option[id];

	value->given = true;
	value->text = text;
	switch (info->kind) {
	case OPTION_FORMAT: return check_format(info, text, ret_why);
	case OPTION_CHOICE: return set_choice(info, text, &value->number, ret_why);
	case OPTION_COUNT:
	case OPTION_TIMES: return set_count(info, text, &value->number, ret_why);
	case OPTION_SIZE:
	case OPTION_OFFSET: return set_size(info, text, &value->number, ret_why);
	case OPTION_PAIRS: return add_pairs(args, text, ret_why);
	case OPTION_PARENTS: return add_parent(args, text, ret_why);
	case OPTION_LIST: return add_listed(args, id, text, ret_why);
	default: return 0;
	}
}

/* The option whose name begins with `name` (n bytes), or is it; NR_OPTIONS: refused. */
static enum option_id
find_long(const struct verb *verb, const char *name, size_t n, char **ret_why)
{
	enum option_id found = NR_OPTIONS;

	for (const enum option_id *o = verb->options;; o++) {
		const char *candidate = option_table[*o].name;

		if (!strncmp(candidate, name, n)) {
			if (!candidate[n])
				return *o;
			if (found != NR_OPTIONS) {
				set_reason(ret_why, "option '--%.*s' may be --%s or --%s", (int)n,
					   name, option_table[found].name, candidate);
				return NR_OPTIONS;
			}
			found = *o;
		}
		if (*o == OPT_HELP)
			break;
	}
	if (found == NR_OPTIONS)
		set_reason(ret_why, "unknown option '--%.*s'", (int)n, name);
	return found;
}

/* Where the parser stands in argv. */
struct position {
	int argc, next;
	char **argv;
};

static int
take_argument(const struct option_info *info, const char *attached, struct position *at,
	      const char **ret, char **ret_why)
{
	if (info->kind == OPTION_FLAG && attached)
		return refuse(ret_why, "option '--%s' takes no argument", info->name);
	if (info->kind == OPTION_FLAG || (info->kind == OPTION_MAYBE_TEXT && !attached)) {
		*ret = "";
		return 0;
	}
	if (!attached && at->next < at->argc)
		attached = at->argv[at->next++];
	if (!attached)
		return refuse(ret_why, "option '--%s' needs an argument: %s", info->name,
			      info->argument);
	*ret = attached;
	return 0;
}

static int
parse_long(struct arguments *args, const char *text, struct position *at, char **ret_why)
{
	size_t n = strcspn(text, "=");
	enum option_id id = find_long(args->verb, text, n, ret_why);
	const char *argument;

	if (id == NR_OPTIONS || take_argument(&option_table[id], text[n] ? text + n + 1 : NULL, at,
					      &argument, ret_why) < 0)
		return -1;
	return set_option(args, id, argument, ret_why);
}

/* As those of find(1) always had: -name. */
static bool
takes_one_dash(const struct verb *verb)
{
	return verb->options == find_options;
}

static enum option_id
find_letter(const struct verb *verb, char letter)
{
	for (const enum option_id *o = verb->options;; o++) {
		if (option_table[*o].letter == letter)
			return *o;
		if (*o == OPT_HELP)
			return NR_OPTIONS;
	}
}

/* "-qf", "-Oqcow2", "-O qcow2", "-c=zstd". */
static int
parse_letters(struct arguments *args, const char *text, struct position *at, char **ret_why)
{
	while (*text) {
		enum option_id id = find_letter(args->verb, *text);
		const char *argument, *rest = text + 1;
		const struct option_info *info;

		if (id == NR_OPTIONS)
			return refuse(ret_why, "unknown option '-%c'", *text);
		info = &option_table[id];
		if (info->kind == OPTION_FLAG)
			rest = NULL;
		else if (info->kind == OPTION_MAYBE_TEXT && *rest == '=')
			rest++;
		if (rest && !*rest)
			rest = NULL;
		if (take_argument(info, rest, at, &argument, ret_why) < 0 ||
		    set_option(args, id, argument, ret_why) < 0)
			return -1;
		if (info->kind != OPTION_FLAG)
			return 0;
		text++;
	}
	return 0;
}

static int
check_operands(const struct arguments *args, char **ret_why)
{
	const struct verb *verb = args->verb;

	if (args->nr_operands < verb->min_operands)
		return refuse(ret_why, "too few arguments: %s", verb->operands);
	if (args->nr_operands > verb->max_operands)
		return refuse(ret_why, "unexpected argument '%s'",
			      args->operands[verb->max_operands]);
	return 0;
}

/* Asked of argv itself: errors of a wrong command line are told in JSON too. */
static bool
wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json"))
			return true;
	return false;
}

int
arguments_parse(const struct verb *verb, int argc, char **argv, struct arguments *ret,
		char **ret_why)
{
	struct position at = { argc, 1, argv };

	*ret = (struct arguments){
		.verb = verb, .argc = argc, .argv = argv, .json = wants_json(argc, argv)
	};
	ret->operands = calloc((size_t)argc + 1, sizeof *ret->operands);
	if (!ret->operands)
		return refuse(ret_why, "out of memory");
	while (at.next < argc) {
		const char *arg = argv[at.next++];
		int r = 0;

		if (!strcmp(arg, "--")) {
			while (at.next < argc)
				ret->operands[ret->nr_operands++] = argv[at.next++];
		} else if (!strncmp(arg, "--", 2)) {
			r = parse_long(ret, arg + 2, &at, ret_why);
		} else if (takes_one_dash(verb) && arg[0] == '-' && arg[1] && arg[2] &&
			   !strchr("0123456789.", arg[1])) {
			r = parse_long(ret, arg + 1, &at, ret_why);
		} else if (arg[0] == '-' && arg[1] && !strchr("0123456789.", arg[1])) {
			r = parse_letters(ret, arg + 1, &at, ret_why);
		} else {
			ret->operands[ret->nr_operands++] = arg;
		}
		if (r < 0)
			return r;
		if (ret->option[OPT_HELP].given)
			return 0;
	}
	ret->json = ret->option[OPT_JSON].given;
	return check_operands(ret, ret_why);
}

int
option_list(const struct arguments *args, enum option_id id, const char ***ret, size_t *ret_nr)
{
	*ret_nr = 0;
	*ret = malloc((args->nr_listed + 1) * sizeof **ret);
	if (!*ret)
		return -1;
	for (size_t i = 0; i < args->nr_listed; i++)
		if (args->listed[i].id == id)
			(*ret)[(*ret_nr)++] = args->listed[i].text;
	return 0;
}

void
arguments_done(struct arguments *args)
{
	for (size_t i = 0; i < args->nr_pairs; i++)
		free((char *)(uintptr_t)args->pairs[i].key);
	free(args->pairs);
	free(args->parents);
	free(args->listed);
	free(args->operands);
	*args = (struct arguments){ 0 };
}
