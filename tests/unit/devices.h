/* SPDX-License-Identifier: GPL-3.0-or-later */
/* devices.h - loop devices and mounts for tests, taken down when the test program ends */
#ifndef PL_TEST_DEVICES_H
#define PL_TEST_DEVICES_H

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static char undo[32][256];
static size_t nr_undo;

/* Exit status of a shell command that says nothing. */
__attribute__((format(printf, 1, 2))) static int
run(const char *format, ...)
{
	char command[2048];
	va_list args;
	size_t n;

	va_start(args, format);
	n = (size_t)vsnprintf(command, sizeof command - 32, format, args);
	va_end(args);
	snprintf(command + n, sizeof command - n, " >/dev/null 2>&1");
	return system(command);
}

/* Last made, first undone; also what a failed test has left. */
static void
take_down(void)
{
	while (nr_undo)
		run("%s", undo[--nr_undo]);
}

static void
undo_later(const char *what, const char *name)
{
	if (!nr_undo)
		atexit(take_down);
	if (nr_undo < sizeof undo / sizeof undo[0])
		snprintf(undo[nr_undo++], sizeof undo[0], "%s %s", what, name);
}

/* A loop device on `file`, or the test is skipped. */
static const char *
loop_on(const char *file, const char *options)
{
	static char names[8][64];
	static unsigned next;
	char *name = names[next++ % 8], command[512];
	FILE *p;
	bool ok;

	if (geteuid() != 0)
		SKIP("loop devices need root");
	snprintf(command, sizeof command, "losetup -f --show %s '%s' 2>/dev/null", options, file);
	p = popen(command, "r");
	ok = p && fgets(name, sizeof names[0], p);
	if (p)
		pclose(p);
	if (!ok)
		SKIP("no loop device to be had");
	name[strcspn(name, "\n")] = '\0';
	undo_later("losetup -d", name);
	return name;
}

/* Mount `device` on a new folder; its name is good until the test program ends. */
__attribute__((unused)) static const char *
mount_on(const char *device)
{
	static char folders[8][64];
	static unsigned next;
	char *folder = folders[next++ % 8];

	snprintf(folder, sizeof folders[0], "/tmp/platter-mount.XXXXXX");
	EXPECT(mkdtemp(folder));
	undo_later("rmdir", folder);
	if (run("mount '%s' '%s'", device, folder) != 0)
		SKIP("'%s' cannot be mounted here", device);
	undo_later("umount", folder);
	return folder;
}

#endif
