/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "superblock.h"

#include <stdarg.h>

#include "text.h"

bool
pl_super_read(struct pl_disk *disk, struct pl_content *c, void *buf, size_t n, uint64_t offset,
	      const char *what)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	if (!pl_in_range(offset, n, disk->size)) {
		pl_warn(&c->facts, "%s at byte %" PRIu64 " is past the end of the disk", what,
			offset);
		return false;
	}
	if (pl_in_range(offset, n, PL_CONTENT_HEAD)) {
		memcpy(buf, c->head + offset, n);
		return true;
	}
	if (pl_read(disk, buf, n, offset, &err) < 0) {
		pl_warn(&c->facts, "%s at byte %" PRIu64 " cannot be read", what, offset);
		return false;
	}
	return true;
}

/* Take `text`; no memory leaves no text, and the arena knows. */
static const char *
keep(struct pl_content *c, char *text)
{
	const char *kept = pl_arena_take(c->arena, text);

	return kept ? kept : "";
}

void
pl_super_label(struct pl_content *c, const void *bytes, size_t n)
{
	c->content.label = keep(c, pl_text_from_bytes(bytes, n));
}

void
pl_super_label_utf16le(struct pl_content *c, const void *units, size_t nr_units)
{
	c->content.label = keep(c, pl_text_from_utf16le(units, nr_units));
}

void
pl_super_label_utf16be(struct pl_content *c, const void *units, size_t nr_units)
{
	c->content.label = keep(c, pl_text_from_utf16be(units, nr_units));
}

void
pl_super_uuid(struct pl_content *c, const uint8_t uuid[static 16])
{
	char text[PL_UUID_TEXT];

	if (pl_is_zero(uuid, 16))
		return;
	pl_uuid_text(uuid, text);
	pl_super_uuid_text(c, "%s", text);
}

void
pl_super_uuid_text(struct pl_content *c, const char *format, ...)
{
	struct pl_str s = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&s, format, args);
	va_end(args);
	c->content.uuid = keep(c, s.text);
}

bool
pl_super_size(const struct pl_disk *disk, struct pl_content *c, uint64_t start, uint64_t nr_blocks,
	      uint32_t block_size)
{
	uint64_t size;

	c->content.block_size = block_size;
	if (__builtin_mul_overflow(nr_blocks, block_size, &size)) {
		pl_warn(&c->facts, "%" PRIu64 " blocks of %" PRIu32 " bytes fit no disk", nr_blocks,
			block_size);
		return false;
	}
	c->content.size = size;
	if (!pl_in_range(start, size, disk->size))
		pl_warn(&c->facts,
			"covers %" PRIu64 " bytes, but the disk has only %" PRIu64 ": cut short?",
			size, start <= disk->size ? disk->size - start : 0);
	return true;
}

void
pl_super_free(struct pl_content *c, uint64_t nr_blocks, uint32_t block_size)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(nr_blocks, block_size, &bytes) || bytes > c->content.size) {
		pl_warn(&c->facts, "says that %" PRIu64 " blocks are free, more than it has",
			nr_blocks);
		return;
	}
	c->content.free = bytes;
}

void
pl_super_checksum(struct pl_content *c, bool matches)
{
	if (matches)
		c->evidence += 32;
	else
		pl_warn(&c->facts, "superblock checksum does not match");
}
