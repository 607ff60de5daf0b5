/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tables.h - disks with partition tables: made in view or by other tools, and what is read from them */
#ifndef PL_TEST_TABLES_H
#define PL_TEST_TABLES_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checksums.h"
#include "scheme.h"
#include "test.h"
#include "text.h"

#define SECTOR 512

/* What was read from a disk; tests of one program run one after another. */
static struct {
	struct pl_arena arena;
	struct pl_facts facts;
	const struct platter_table *tables;
	size_t nr;
} found;

static inline void
look_at(struct pl_disk *disk, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	pl_arena_done(&found.arena);
	memset(&found, 0, sizeof found);
	found.facts.arena = &found.arena;
	EXPECT_OK(pl_tables_read(disk, flags, &found.arena, &found.tables, &found.nr, &found.facts,
				 &err));
}

static inline void
look_with(const uint8_t *bytes, size_t n, uint32_t sector_size, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(bytes, n, "test", &disk, &err));
	disk->sector_size = sector_size;
	look_at(disk, flags);
}

static inline void
look(const uint8_t *bytes, size_t n)
{
	look_with(bytes, n, SECTOR, 0);
}

/* The tables found, by name: "gpt mbr". */
static inline const char *
names(void)
{
	static char text[64];

	text[0] = '\0';
	for (size_t i = 0; i < found.nr; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
			 found.tables[i].name);
	return text;
}

/* All warnings of a table, or of the reading itself (NULL), one a line. */
static inline const char *
warnings(const struct platter_table *table)
{
	static char text[8192];
	const struct platter_facts *f = table ? &table->facts : &found.facts.list;

	text[0] = '\0';
	for (size_t i = 0; i < f->nr_warnings; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "\n" : "",
			 f->warnings[i]);
	return text;
}

/* The partitions of a table in sectors: "5:64+32 83, 6:128+32 83". */
static inline const char *
parts(const struct platter_table *table)
{
	static char text[4096];

	text[0] = '\0';
	for (size_t i = 0; i < table->nr_partitions; i++) {
		const struct platter_partition *p = &table->partitions[i];

		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "%s%" PRIu32 ":%" PRIu64 "+%" PRIu64 " %s", i ? ", " : "", p->number,
			 p->offset / table->sector_size, p->length / table->sector_size, p->type);
	}
	return text;
}

static inline const char *
gaps(const struct platter_table *table)
{
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; i < table->nr_gaps; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%" PRIu64 "+%" PRIu64,
			 i ? ", " : "", table->gaps[i].offset / table->sector_size,
			 table->gaps[i].length / table->sector_size);
	return text;
}

/* MBR */

static inline void
put_entry(uint8_t *sector, int i, uint8_t flag, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *e = sector + 446 + 16 * i;

	e[0] = flag;
	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

#define MBR_SIZE (4096 * SECTOR)

static inline uint8_t *
make_mbr(void)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	put_le32(disk + 440, 0x8f8378c0);
	put_entry(disk, 0, 0x80, 0x0c, 64, 100);
	put_entry(disk, 2, 0, 0x0f, 1000, 2000);
	put_entry(disk + 1000 * SECTOR, 0, 0, 0x83, 8, 92);
	put_entry(disk + 1000 * SECTOR, 1, 0, 0x05, 100, 100);
	put_entry(disk + 1100 * SECTOR, 0, 0, 0x82, 8, 92);
	return disk;
}

/* GPT */

#define GPT_SECTORS 256
#define GPT_ENTRIES 16
#define LINUX_TYPE  "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

static const uint8_t linux_guid[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
					0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 };
static const uint8_t basic_guid[16] = { 0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44,
					0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7 };

static inline void
sign_gpt_header(uint8_t *header)
{
	put_le32(header + 16, 0);
	put_le32(header + 16, pl_crc32(0, header, get_le32(header + 12)));
}

static inline void
sign_gpt(uint8_t *header, const uint8_t *array)
{
	put_le32(header + 88, pl_crc32(0, array, GPT_ENTRIES * 128));
	sign_gpt_header(header);
}

static inline void
put_gpt_entry(uint8_t *array, int i, const uint8_t *type, uint64_t first, uint64_t last,
	      const char *name)
{
	uint8_t *e = array + 128 * i;

	memcpy(e, type, 16);
	memset(e + 16, 0xa0 + i, 16);
	put_le64(e + 32, first);
	put_le64(e + 40, last);
	for (size_t c = 0; name[c]; c++)
		put_le16(e + 56 + 2 * c, (uint16_t)(uint8_t)name[c]);
}

/* Places in the image that make_gpt() makes. */
struct gpt_image {
	uint8_t *bytes;
	size_t size;
	uint8_t *primary, *array, *backup, *backup_array;
};

/* A GPT for sectors of `ss` bytes with two partitions: LBA 40 to 49 and 60 to 99. */
static inline struct gpt_image
make_gpt(size_t ss)
{
	struct gpt_image g = { .size = GPT_SECTORS * ss };
	size_t blocks = (GPT_ENTRIES * 128 + ss - 1) / ss;

	g.bytes = calloc(GPT_SECTORS, ss);
	g.primary = g.bytes + ss;
	g.array = g.bytes + 2 * ss;
	g.backup = g.bytes + (GPT_SECTORS - 1) * ss;
	g.backup_array = g.backup - blocks * ss;
	put_entry(g.bytes, 0, 0, 0xee, 1, GPT_SECTORS - 1);
	put_gpt_entry(g.array, 0, linux_guid, 40, 49, "root");
	put_gpt_entry(g.array, 2, basic_guid, 60, 99, "data");
	put_le64(g.array + 2 * 128 + 48, UINT64_C(0x8000000000000001));
	memcpy(g.backup_array, g.array, GPT_ENTRIES * 128);
	for (int backup = 0; backup < 2; backup++) {
		uint8_t *h = backup ? g.backup : g.primary;

		memcpy(h, "EFI PART", 8);
		put_le32(h + 8, 0x10000);
		put_le32(h + 12, 92);
		put_le64(h + 24, backup ? GPT_SECTORS - 1 : 1);
		put_le64(h + 32, backup ? 1 : GPT_SECTORS - 1);
		put_le64(h + 40, 34);
		put_le64(h + 48, GPT_SECTORS - 2 - blocks);
		memset(h + 56, 0x77, 16);
		put_le64(h + 72, backup ? GPT_SECTORS - 1 - blocks : 2);
		put_le32(h + 80, GPT_ENTRIES);
		put_le32(h + 84, 128);
		sign_gpt(h, g.array);
	}
	return g;
}

/* Other tools' tables */

/* Run a command in the test's folder; its output, malloc()ed; *ret_status may be NULL. */
__attribute__((format(printf, 2, 3))) static inline char *
run(int *ret_status, const char *format, ...)
{
	struct pl_str s = { 0 };
	char command[4096], chunk[4096];
	size_t n, at;
	va_list args;
	FILE *pipe;
	int status;

	at = (size_t)snprintf(command, sizeof command, "cd '%s' && PATH=$PATH:/sbin:/usr/sbin; ",
			      pl_test_folder());
	va_start(args, format);
	vsnprintf(command + at, sizeof command - at, format, args);
	va_end(args);
	pipe = popen(command, "r");
	EXPECT(pipe);
	while ((n = fread(chunk, 1, sizeof chunk, pipe)) > 0)
		pl_str_add_bytes(&s, chunk, n);
	status = pclose(pipe);
	if (ret_status)
		*ret_status = status;
	else if (status != 0)
		pl_test_fail(__FILE__, __LINE__, "'%s' ended with %d", command, status);
	pl_str_add(&s, "");
	return s.text;
}

static inline void
need(const char *tool)
{
	int status;

	free(run(&status, "command -v %s", tool));
	if (status != 0)
		SKIP("%s is not installed", tool);
}

/* The file in the test's folder as a disk in memory. */
static inline struct pl_disk *
load(const char *name)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;
	struct stat st;
	uint8_t *bytes;
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", pl_test_folder(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size);
	EXPECT_EQ(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	EXPECT_OK(pl_memory_new(bytes, (size_t)st.st_size, name, &disk, &err));
	free(bytes);
	return disk;
}

static inline void
save(struct pl_disk *disk, const char *name)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = malloc(disk->size);
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", pl_test_folder(), name);
	EXPECT_OK(pl_read(disk, bytes, disk->size, 0, &err));
	file = fopen(path, "wb");
	EXPECT(file);
	EXPECT_EQ(fwrite(bytes, 1, disk->size, file), disk->size);
	EXPECT_EQ(fclose(file), 0);
}

/* The table as sfdisk prints it, a partition a line. */
static inline void
expect_as_sfdisk(const struct platter_table *table, const char *image)
{
	PL_AUTOFREE char *theirs =
		run(NULL,
		    "sfdisk --json %s | jq -r '.partitiontable.partitions[] | "
		    "\"\\(.start) \\(.size) \\(.type) \\(.name // \"\") \\(.uuid // \"\")\"'",
		    image);
	struct pl_str ours = { 0 };

	for (size_t i = 0; i < table->nr_partitions; i++) {
		const struct platter_partition *p = &table->partitions[i];

		pl_str_addf(&ours, "%" PRIu64 " %" PRIu64 " %s %s %s\n",
			    p->offset / table->sector_size, p->length / table->sector_size, p->type,
			    p->name, p->uuid);
	}
	EXPECT_STR(ours.text, theirs);
	EXPECT(*theirs);
	pl_str_done(&ours);
}

#endif
