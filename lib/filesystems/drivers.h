/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drivers.h - the list that registry.c is made of; no guard, it is included twice */
DRIVER(exfat)
DRIVER(ntfs)
DRIVER(ext)
DRIVER(xfs)
DRIVER(xfs_log)
DRIVER(btrfs)
DRIVER(udf)
DRIVER(iso9660)
DRIVER(hfsplus)
DRIVER(hfs)
DRIVER(fat)
