/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vhdx-log.h - the layout of a VHDX's log: a ring of entries
 *
 *	offset  size  entry header field
 *	     0     4  "loge"
 *	     4     4  CRC of the entry
 *	     8     4  length of the entry, whole sectors of 4096 bytes
 *	    12     4  offset in the log of the first entry that a replay needs
 *	    16     8  sequence number
 *	    24     4  descriptors, of 32 bytes from byte 64 on
 *	    32    16  LogGuid of the file's header
 *	    48     8  size that the file had at least when this was written
 *	    56     8  size that the file has at least after this
 *
 *	     0     4  "desc"			"zero"
 *	     4     4  last 4 bytes of the sector
 *	     8     8  first 8 bytes of it	length
 *	    16     8  offset in the file
 *	    24     8  sequence number of the entry
 *
 * Each "desc" has a sector after the descriptors: "data", the high half of the sequence
 * number, bytes 8 to 4091, its low half.
 */
#ifndef PL_VHDX_LOG_H
#define PL_VHDX_LOG_H

#include "vhdx.h"

#define LOG_SECTOR       4096u
#define LOG_ENTRY_HEADER 64u
#define LOG_DESCRIPTOR   32u

enum {
	LOG_ENTRY_LENGTH = 8,
	LOG_ENTRY_TAIL = 12,
	LOG_ENTRY_SEQUENCE = 16,
	LOG_ENTRY_NR = 24,
	LOG_ENTRY_GUID = 32,
	LOG_ENTRY_FLUSHED = 48,
	LOG_ENTRY_LAST = 56,
};

#endif
