/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/platter.h - libplatter: disk images made, opened, explained, converted,
 * verified and restored
 *
 * platter/disk.h	open a place; read, write and map it (start here)
 * platter/describe.h	what it is, layer by layer
 * platter/disc.h	sessions and tracks of optical discs
 * platter/device.h	block devices, and what keeps them from being overwritten by mistake
 * platter/drive.h	optical drives: what is in them, burning and reading discs
 * platter/explain.h	what a device or image is for, in plain words
 * platter/job.h	create, measure, restore, verify, compare
 * platter/change.h	images changed in place: resize, snapshots, repair, chains
 * platter/examine.h	is anything left on a disk? lost partitions
 * platter/files.h	the files inside: list, read, find and extract them
 * platter/author.h	new discs and disks, filled with files
 * platter/format.h	what can be read and written
 * platter/wipe.h	drives, images and free space wiped
 * platter/progress.h	progress and cancelling
 * platter/rescue.h	what failing drives still give
 * platter/secret.h	pass phrases of encrypted images
 * platter/error.h	errors
 * platter/text.h	sizes as people write them
 */
#ifndef PLATTER_PLATTER_H
#define PLATTER_PLATTER_H

#include <platter/author.h>
#include <platter/change.h>
#include <platter/describe.h>
#include <platter/device.h>
#include <platter/disc.h>
#include <platter/disk.h>
#include <platter/drive.h>
#include <platter/error.h>
#include <platter/examine.h>
#include <platter/explain.h>
#include <platter/files.h>
#include <platter/format.h>
#include <platter/job.h>
#include <platter/progress.h>
#include <platter/rescue.h>
#include <platter/secret.h>
#include <platter/text.h>
#include <platter/wipe.h>

#endif
