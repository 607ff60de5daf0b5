/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mds.h - inside the driver of Alcohol 120%'s images: mds.c reads, mds-writer.c writes
 *
 * There is no specification; layout as known from libmirage and Aaru.  All integers are
 * little-endian.
 *
 *	offset  size  header
 *	     0    16  "MEDIA DESCRIPTOR"
 *	    16     2  version: 1 and something
 *	    18     2  medium: 0 CD-ROM, 1 CD-R, 2 CD-RW, 0x10 DVD-ROM, 0x12 DVD-R
 *	    20     2  sessions
 *	    26     2  bytes of BCA; 36: 4 where they are
 *	    64     4  where what a DVD's lead-in says is
 *	    80     4  where the sessions are
 *	    84     4  where measured positions of sectors are
 *
 *	offset  size  session of 24 bytes
 *	     0     4  LBA of its beginning, with the pregap
 *	     4     4  LBA of its lead-out
 *	     8     2  number
 *	    10     1  blocks; 11: 1 those that are no tracks
 *	    12     2  first track; 14: 2 last track
 *	    20     4  where its blocks are
 *
 *	offset  size  block of 80 bytes: of a track, or of points A0 to A2
 *	     0     1  mode: A9 audio, AA mode 1, AB mode 2, AC form 1, AD form 2, 02 DVD; the low bits
 *		      count
 *	     1     1  subchannel: 0 none, 8: 96 bytes, interleaved
 *	     2     1  ADR and control
 *	     4     1  point; 9: 3 minute, second, frame of it
 *	    12     4  where pregap u32 and length u32 are, in sectors; of a DVD: the length
 *	    16     2  bytes of a sector, subchannel included
 *	    36     4  LBA of index 1
 *	    40     8  where its sectors begin in the data file
 *	    48     4  files
 *	    52     4  where the footers of the files are
 *
 *	offset  size  footer of 16 bytes
 *	     0     4  where the name of the file is, with a NUL; "*.mdf": called like the sheet
 *	     4     4  1: the name is in UTF-16
 *
 * The pregap of a track is not counted to its sectors.  Programs that store it nevertheless have
 * it between the sectors of the two tracks.
 */
#ifndef PL_MDS_H
#define PL_MDS_H

#include "reader.h"

#define MDS_MAGIC "MEDIA DESCRIPTOR"

enum {
	MDS_VERSION = 16,
	MDS_MEDIUM = 18,
	MDS_NR_SESSIONS = 20,
	MDS_SESSIONS = 80,
	MDS_HEADER = 88,

	MDS_SESSION_START = 0,
	MDS_SESSION_END = 4,
	MDS_SESSION_NUMBER = 8,
	MDS_NR_BLOCKS = 10,
	MDS_NR_POINTS = 11,
	MDS_FIRST_TRACK = 12,
	MDS_LAST_TRACK = 14,
	MDS_BLOCKS = 20,
	MDS_SESSION = 24,

	MDS_MODE = 0,
	MDS_SUBCHANNEL = 1,
	MDS_CONTROL = 2,
	MDS_POINT = 4,
	MDS_PMIN = 9,
	MDS_EXTRA = 12,
	MDS_SECTOR_BYTES = 16,
	MDS_START = 36,
	MDS_OFFSET = 40,
	MDS_NR_FILES = 48,
	MDS_FOOTERS = 52,
	MDS_BLOCK = 80,

	MDS_NAME = 0,
	MDS_NAME_IS_WIDE = 4,
	MDS_FOOTER = 16,

	MDS_MEDIUM_DVD = 0x10,
	MDS_MODE_DVD = 0x02,
	MDS_SUB_RAW96 = 8,
};

int pl_mds_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);

#endif
