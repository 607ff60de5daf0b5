/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "lost.h"

#define SIZE MIB(32)

static struct platter_error err = PLATTER_ERROR_INIT;

/* A swap area of `pages` pages, which its identifier follows from. */
static void
put_swap(uint8_t *p, uint32_t pages)
{
	put_le32(p + 1024, 1);
	put_le32(p + 1028, pages - 1);
	memset(p + 1036, (int)(pages >> 8 | 1), 16);
	memcpy(p + 4086, "SWAPSPACE2", 10);
}

static void
put_luks(uint8_t *p)
{
	memcpy(p, "LUKS\xba\xbe\0\1", 8);
	memcpy(p + 8, "aes", 3);
	memcpy(p + 168, "b0e4c6d6-0000-4000-8000-000000000001", 36);
}

static void
put_entry(uint8_t *mbr, int i, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *e = mbr + 446 + 16 * i;

	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, count);
	put_le16(mbr + 510, 0xaa55);
}

static struct platter_lost *
find(const uint8_t *bytes)
{
	struct platter_lost *lost = NULL;
	struct pl_place *place = NULL;
	struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(bytes, SIZE, "test", &disk, &err));
	EXPECT_OK(pl_place_of_leaf(disk, &place, &err));
	EXPECT_OK(pl_find_lost(place, NULL, &lost, &err));
	pl_place_close(place);
	return lost;
}

/* "swap 1048576+2097152 ..."; what has no room in brackets. */
static const char *
text_of(const struct platter_lost *lost)
{
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; i < lost->nr_partitions; i++) {
		const struct platter_lost_partition *p = &lost->partitions[i];

		snprintf(text + strlen(text), sizeof text - strlen(text),
			 p->fits ? "%s%s %" PRIu64 "+%" PRIu64 : "%s[%s %" PRIu64 "+%" PRIu64 "]",
			 i ? " " : "", p->structure.name, p->offset, p->length);
	}
	return text;
}

#define EXPECT_LOST(bytes, expected)                      \
	do {                                              \
		struct platter_lost *lost_ = find(bytes); \
		EXPECT_STR(text_of(lost_), expected);     \
		platter_lost_free(lost_);                 \
	} while (0)

TEST(partitions_without_a_table_are_found_where_they_begin)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);

	EXPECT_LOST(bytes, "");
	put_swap(bytes + MIB(1), 512);
	EXPECT_LOST(bytes, "swap 1048576+2097152");
	/* Its length is rounded up to what partitions are aligned to. */
	put_swap(bytes + MIB(1), 511);
	EXPECT_LOST(bytes, "swap 1048576+2097152");
	/* One that is not aligned is not. */
	memset(bytes, 0, MIB(4));
	put_swap(bytes + 63 * 512, 511);
	EXPECT_LOST(bytes, "swap 32256+2093056");
}

TEST(what_the_table_has_is_not_lost)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	struct platter_lost *lost;

	put_swap(bytes + MIB(1), 512);
	put_swap(bytes + MIB(8), 512);
	put_entry(bytes, 0, 0x82, 2048, 4096);
	lost = find(bytes);
	EXPECT_STR(text_of(lost), "swap 8388608+2097152");
	EXPECT_STR(lost->table, "mbr");
	EXPECT_STR(lost->partitions[0].type, "swap");
	EXPECT_EQ(lost->nr_present, 1);
	platter_lost_free(lost);
}

TEST(what_overlaps_has_no_room)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);

	/* The second begins in the first. */
	put_swap(bytes + MIB(1), 1024);
	put_swap(bytes + MIB(3), 512);
	EXPECT_LOST(bytes, "swap 1048576+4194304 [swap 3145728+2097152]");
	/* It reaches into a partition of the table. */
	memset(bytes, 0, MIB(8));
	put_swap(bytes + MIB(1), 2048);
	put_entry(bytes, 0, 0x83, (uint32_t)(MIB(6) / 512), 4096);
	EXPECT_LOST(bytes, "[swap 1048576+8388608]");
	/* It passes the end of the disk. */
	memset(bytes, 0, MIB(8));
	put_swap(bytes + MIB(30), 2048);
	EXPECT_LOST(bytes, "[swap 31457280+8388608]");
	/* It would cover the table. */
	memset(bytes + MIB(30), 0, MIB(2));
	put_swap(bytes + 512, 16);
	EXPECT_LOST(bytes, "[swap 512+65536]");
}

TEST(what_does_not_say_how_long_it_is_ends_where_the_next_begins)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);

	put_luks(bytes + MIB(2));
	put_swap(bytes + MIB(9), 512);
	EXPECT_LOST(bytes, "crypto_LUKS 2097152+7340032 swap 9437184+2097152");
	put_entry(bytes, 0, 0x83, (uint32_t)(MIB(6) / 512), 2048);
	EXPECT_LOST(bytes, "crypto_LUKS 2097152+4194304 swap 9437184+2097152");
	put_luks(bytes + MIB(20));
	bytes[MIB(20) + 170] = '7';
	EXPECT_LOST(bytes, "crypto_LUKS 2097152+4194304 swap 9437184+2097152"
			   " crypto_LUKS 20971520+11534336");
}
