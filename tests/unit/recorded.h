/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recorded.h - computers for tests: the parts of /sys, /proc and /run/udev that tell of block devices
 *
 * A tree is made of lines in the shapes that Linux 5.15 and 6.x give.  Folders of devices are where
 * the kernel has them, and /sys/class/block has links to them.
 */
#ifndef PL_TEST_RECORDED_H
#define PL_TEST_RECORDED_H

#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

static char recorded[256];

/* A new computer without devices; its folder is in `recorded`. */
__attribute__((unused)) static const char *
new_computer(void)
{
	static unsigned next;

	snprintf(recorded, sizeof recorded, "%s/computer%u", pl_test_folder(), next++);
	EXPECT_EQ(mkdir(recorded, 0700), 0);
	return recorded;
}

/* All folders of `path`, which is below the computer's root. */
static void
make_folders(const char *path)
{
	char full[1024];
	size_t from = strlen(recorded) + 1;

	snprintf(full, sizeof full, "%s/%s", recorded, path);
	for (char *s = full + from; *s; s++)
		if (*s == '/') {
			*s = '\0';
			mkdir(full, 0700);
			*s = '/';
		}
	mkdir(full, 0700);
}

/* A file with these bytes. */
static void
record_bytes(const char *path, const void *bytes, size_t n)
{
	char full[1024], folder[512];
	FILE *f;

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	make_folders(folder);
	snprintf(full, sizeof full, "%s/%s", recorded, path);
	f = fopen(full, "w");
	EXPECT(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* A line in an attribute's file. */
__attribute__((format(printf, 2, 3), unused)) static void
record(const char *path, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	record_bytes(path, line, (size_t)n);
}

/* A link, `target` relative to its folder. */
static void
record_link(const char *path, const char *target)
{
	char full[1024], folder[512];

	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
	make_folders(folder);
	snprintf(full, sizeof full, "%s/%s", recorded, path);
	EXPECT_EQ(symlink(target, full), 0);
}

/* An attribute of the device whose folder is `device`: "sys/devices/.../block/sda". */
__attribute__((format(printf, 3, 4), unused)) static void
attribute(const char *device, const char *name, const char *format, ...)
{
	char path[512], value[512];
	va_list args;

	snprintf(path, sizeof path, "%s/%s", device, name);
	va_start(args, format);
	vsnprintf(value, sizeof value, format, args);
	va_end(args);
	record(path, "%s", value);
}

/* A block device in its folder; `sectors` of 512 bytes. */
__attribute__((unused)) static void
add_block_device(const char *folder, unsigned major, unsigned minor, uint64_t sectors)
{
	const char *name = strrchr(folder, '/') + 1;
	char path[512], target[512];

	attribute(folder, "dev", "%u:%u", major, minor);
	attribute(folder, "size", "%" PRIu64, sectors);
	attribute(folder, "ro", "0");
	snprintf(path, sizeof path, "%s/holders", folder);
	make_folders(path);
	snprintf(path, sizeof path, "sys/class/block/%s", name);
	snprintf(target, sizeof target, "../../%s", folder + strlen("sys/"));
	record_link(path, target);
}

/* A whole disk: with a queue, and a sequence number. */
__attribute__((unused)) static void
add_disk(const char *folder, unsigned major, unsigned minor, uint64_t sectors)
{
	static unsigned sequence;

	add_block_device(folder, major, minor, sectors);
	attribute(folder, "diskseq", "%u", ++sequence);
	attribute(folder, "removable", "0");
	attribute(folder, "queue/logical_block_size", "512");
	attribute(folder, "queue/physical_block_size", "512");
	attribute(folder, "queue/rotational", "0");
}

/* A partition of the disk in `folder`, called NAME: sda2, nvme0n1p2. */
__attribute__((unused)) static void
add_partition(const char *folder, const char *name, unsigned number, unsigned major, unsigned minor,
	      uint64_t start, uint64_t sectors)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	add_block_device(path, major, minor, sectors);
	attribute(path, "partition", "%u", number);
	attribute(path, "start", "%" PRIu64, start);
}

/* `above` stands on `below`: both have links to each other. */
__attribute__((unused)) static void
stack(const char *below, const char *above)
{
	char path[512];

	snprintf(path, sizeof path, "%s/holders/%s", below, strrchr(above, '/') + 1);
	record_link(path, "nowhere");
	snprintf(path, sizeof path, "%s/slaves/%s", above, strrchr(below, '/') + 1);
	record_link(path, "nowhere");
}

/* A device of the device mapper. */
__attribute__((unused)) static const char *
add_mapping(unsigned number, uint64_t sectors, const char *name, const char *uuid)
{
	static char folders[16][64];
	char *folder = folders[number % 16], path[128], target[32];

	snprintf(folder, sizeof folders[0], "sys/devices/virtual/block/dm-%u", number);
	add_disk(folder, 253, number, sectors);
	attribute(folder, "dm/name", "%s", name);
	attribute(folder, "dm/uuid", "%s", uuid);
	snprintf(path, sizeof path, "dev/mapper/%s", name);
	snprintf(target, sizeof target, "../dm-%u", number);
	record_link(path, target);
	return folder;
}

#endif
