/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seen.c - which hunks are in the file already? */
#include "writer.h"

/* 24 bytes each: 192 MiB at the most.  Of what is beyond, copies are stored again. */
#define MAX_SLOTS (1u << 23)

struct seen_hunk {
	uint8_t sha1[SHA1_BYTES];
	uint32_t hunk_plus_1; /* 0: the slot is free */
};

static struct seen_hunk *
find_slot(struct seen_hunk *slots, size_t nr_slots, const uint8_t *sha1)
{
	size_t i = get_le32(sha1) & (nr_slots - 1);

	while (slots[i].hunk_plus_1 && memcmp(slots[i].sha1, sha1, SHA1_BYTES) != 0)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

/* False: there is no more room, and nothing is remembered. */
static bool
make_room(struct seen_hunks *s)
{
	size_t nr_slots = s->nr_slots ? s->nr_slots * 2 : 1024;
	struct seen_hunk *slots;

	if (s->nr < s->nr_slots / 2)
		return true;
	slots = nr_slots > MAX_SLOTS ? NULL : calloc(nr_slots, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < s->nr_slots; i++)
		if (s->slots[i].hunk_plus_1)
			*find_slot(slots, nr_slots, s->slots[i].sha1) = s->slots[i];
	free(s->slots);
	s->slots = slots;
	s->nr_slots = nr_slots;
	return true;
}

uint32_t
pl_chd_seen(struct seen_hunks *s, const uint8_t sha1[static SHA1_BYTES], uint32_t hunk)
{
	bool room = make_room(s);
	struct seen_hunk *slot = s->nr_slots ? find_slot(s->slots, s->nr_slots, sha1) : NULL;

	if (slot && slot->hunk_plus_1)
		return slot->hunk_plus_1 - 1;
	if (slot && room) {
		memcpy(slot->sha1, sha1, SHA1_BYTES);
		slot->hunk_plus_1 = hunk + 1;
		s->nr++;
	}
	return hunk;
}

void
pl_chd_seen_done(struct seen_hunks *s)
{
	free(s->slots);
}
