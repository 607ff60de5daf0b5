/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * medium.c - kinds of discs, by the numbers that MMC gives to their profiles
 *
 * MMC-6, table 94 "Profile List"; 1x of a CD is 75 sectors of 2352 bytes a second, of a DVD
 * 1385 kB/s, of a BD 4496 kB/s.
 */
#include "drive.h"

static const struct {
	uint16_t profile;
	const char *medium;
	bool overwritable, can_blank, can_format;
} profiles[] = {
	{ PL_PROFILE_CD_ROM, "CD", false, false, false },
	{ PL_PROFILE_CD_R, "CD", false, false, false },
	{ PL_PROFILE_CD_RW, "CD", false, true, false },
	{ PL_PROFILE_DVD_ROM, "DVD", false, false, false },
	{ PL_PROFILE_DVD_R, "DVD", false, false, false },
	{ PL_PROFILE_DVD_RAM, "DVD", true, false, true },
	{ PL_PROFILE_DVD_RW_OVERWRITE, "DVD", true, true, false },
	{ PL_PROFILE_DVD_RW, "DVD", false, true, true },
	{ PL_PROFILE_DVD_R_DL, "DVD", false, false, false },
	{ PL_PROFILE_DVD_PLUS_RW, "DVD", true, false, true },
	{ PL_PROFILE_DVD_PLUS_R, "DVD", false, false, false },
	{ PL_PROFILE_DVD_PLUS_R_DL, "DVD", false, false, false },
	{ PL_PROFILE_BD_ROM, "BD", false, false, false },
	{ PL_PROFILE_BD_R, "BD", false, false, true },
	{ PL_PROFILE_BD_RE, "BD", true, false, true },
	{ PL_PROFILE_FILE, "file", true, false, false },
};

/* Index of a profile, or that of none. */
static size_t
find(unsigned profile)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(profiles) && profiles[i].profile != profile)
		i++;
	return i;
}

const char *
pl_profile_medium(unsigned profile)
{
	size_t i = find(profile);

	return i < ARRAY_SIZE(profiles) ? profiles[i].medium : "";
}

uint32_t
pl_profile_single_speed(unsigned profile)
{
	const char *medium = pl_profile_medium(profile);

	if (!strcmp(medium, "CD"))
		return 176;
	if (!strcmp(medium, "DVD"))
		return 1385;
	return !strcmp(medium, "BD") ? 4496 : 0;
}

bool
pl_profile_overwritable(unsigned profile)
{
	size_t i = find(profile);

	return i < ARRAY_SIZE(profiles) && profiles[i].overwritable;
}

bool
pl_profile_can_blank(unsigned profile)
{
	size_t i = find(profile);

	return i < ARRAY_SIZE(profiles) && profiles[i].can_blank;
}

bool
pl_profile_can_format(unsigned profile)
{
	size_t i = find(profile);

	return i < ARRAY_SIZE(profiles) && profiles[i].can_format;
}
