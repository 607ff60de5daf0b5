/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"

static bool
reserve(struct pl_str *s, size_t more)
{
	size_t want, capacity;
	char *text;

	if (s->failed || __builtin_add_overflow(s->length, more, &want) || want > SIZE_MAX / 2 - 1)
		goto failed;
	if (s->text && want < s->capacity)
		return true;
	capacity = PL_MAX(want + 1, s->capacity * 2);
	capacity = PL_MAX(capacity, (size_t)64);
	text = realloc(s->text, capacity);
	if (!text)
		goto failed;
	s->text = text;
	s->capacity = capacity;
	return true;
failed:
	pl_str_done(s);
	s->failed = true;
	return false;
}

void
pl_str_add_bytes(struct pl_str *s, const void *bytes, size_t n)
{
	if (!reserve(s, n))
		return;
	if (n)
		memcpy(s->text + s->length, bytes, n);
	s->length += n;
	s->text[s->length] = '\0';
}

void
pl_str_add(struct pl_str *s, const char *text)
{
	pl_str_add_bytes(s, text, strlen(text));
}

void
pl_str_vaddf(struct pl_str *s, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n >= 0 && reserve(s, (size_t)n)) {
		vsnprintf(s->text + s->length, (size_t)n + 1, format, again);
		s->length += (size_t)n;
	}
	va_end(again);
}

void
pl_str_addf(struct pl_str *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pl_str_vaddf(s, format, args);
	va_end(args);
}

void
pl_str_done(struct pl_str *s)
{
	free(s->text);
	*s = (struct pl_str){ .failed = s->failed };
}

char *
pl_format(const char *format, ...)
{
	struct pl_str s = { 0 };
	va_list args;

	va_start(args, format);
	pl_str_vaddf(&s, format, args);
	va_end(args);
	return s.text;
}

/* Length of the UTF-8 sequence at p (0: none valid), and its code point. */
static size_t
utf8_next(const uint8_t *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* The UTF-8 of a character, up to 4 bytes; returns how many. */
static size_t
put_utf8(char *b, uint32_t c)
{
	if (c < 0x80) {
		b[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		b[0] = (char)(0xc0 | c >> 6);
		b[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		b[0] = (char)(0xe0 | c >> 12);
		b[1] = (char)(0x80 | (c >> 6 & 0x3f));
		b[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	b[0] = (char)(0xf0 | c >> 18);
	b[1] = (char)(0x80 | (c >> 12 & 0x3f));
	b[2] = (char)(0x80 | (c >> 6 & 0x3f));
	b[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static void
add_utf8(struct pl_str *s, uint32_t c)
{
	char b[4];

	/* Control characters (C0, DEL, C1) could drive a terminal. */
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		c = ' ';
	pl_str_add_bytes(s, b, put_utf8(b, c));
}

static char *
trimmed(struct pl_str *s)
{
	pl_str_add(s, "");
	while (s->length && s->text[s->length - 1] == ' ')
		s->text[--s->length] = '\0';
	return s->text;
}

char *
pl_text_from_bytes(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	struct pl_str s = { 0 };

	n = strnlen(bytes, n);
	while (n) {
		uint32_t c = *p;
		size_t len = utf8_next(p, n, &c);

		if (!len)
			len = 1;
		add_utf8(&s, c);
		p += len;
		n -= len;
	}
	return trimmed(&s);
}

/* The character that begins at unit *i, which then is that of the next one. */
static uint32_t
next_utf16(const uint8_t *p, size_t nr, bool big_endian, size_t *i)
{
	uint32_t c = big_endian ? get_be16(p + 2 * *i) : get_le16(p + 2 * *i);

	++*i;
	if (c >= 0xd800 && c < 0xdc00 && *i < nr) {
		uint32_t low = big_endian ? get_be16(p + 2 * *i) : get_le16(p + 2 * *i);

		if (low >= 0xdc00 && low < 0xe000) {
			++*i;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return c >= 0xd800 && c < 0xe000 ? 0xfffd : c;
}

static char *
text_from_utf16(const void *units, size_t nr, bool big_endian)
{
	struct pl_str s = { 0 };

	for (size_t i = 0; i < nr;) {
		uint32_t c = next_utf16(units, nr, big_endian, &i);

		if (!c)
			break;
		add_utf8(&s, c);
	}
	return trimmed(&s);
}

static size_t
name_from_utf16(const void *units, size_t nr, bool big_endian, char *out)
{
	char *p = out;

	for (size_t i = 0; i < nr;)
		p += put_utf8(p, next_utf16(units, nr, big_endian, &i));
	*p = '\0';
	return (size_t)(p - out);
}

size_t
pl_name_from_utf16le(const void *units, size_t nr_units, char *out)
{
	return name_from_utf16(units, nr_units, false, out);
}

size_t
pl_name_from_utf16be(const void *units, size_t nr_units, char *out)
{
	return name_from_utf16(units, nr_units, true, out);
}

char *
pl_text_from_utf16le(const void *units, size_t nr_units)
{
	return text_from_utf16(units, nr_units, false);
}

char *
pl_text_from_utf16be(const void *units, size_t nr_units)
{
	return text_from_utf16(units, nr_units, true);
}

static uint8_t *
utf16_from_text(const char *text, bool big_endian, size_t *ret_nr)
{
	size_t n = strlen(text), nr = 0;
	const uint8_t *p = (const uint8_t *)text;
	/* A sequence of 4 bytes becomes 2 units, any other one. */
	uint8_t *units = malloc(n ? n * 2 : 1);

	if (!units)
		return NULL;
	while (n) {
		uint32_t c = *p;
		size_t len = utf8_next(p, n, &c), count = 1;
		uint16_t unit[2];

		if (!len)
			len = 1;
		unit[0] = (uint16_t)c;
		if (c >= 0x10000) {
			unit[0] = (uint16_t)(0xd7c0 + (c >> 10));
			unit[1] = (uint16_t)(0xdc00 + (c & 0x3ff));
			count = 2;
		}
		for (size_t i = 0; i < count; i++, nr++) {
			if (big_endian)
				put_be16(units + 2 * nr, unit[i]);
			else
				put_le16(units + 2 * nr, unit[i]);
		}
		p += len;
		n -= len;
	}
	*ret_nr = nr;
	return units;
}

uint8_t *
pl_utf16le_from_text(const char *text, size_t *ret_nr_units)
{
	return utf16_from_text(text, false, ret_nr_units);
}

uint8_t *
pl_utf16be_from_text(const char *text, size_t *ret_nr_units)
{
	return utf16_from_text(text, true, ret_nr_units);
}

void
pl_uuid_text(const uint8_t u[static 16], char ret[static PL_UUID_TEXT])
{
	snprintf(ret, PL_UUID_TEXT,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
		 u[15]);
}

void
pl_guid_text(const uint8_t g[static 16], char ret[static PL_UUID_TEXT])
{
	snprintf(ret, PL_UUID_TEXT, "%08" PRIX32 "-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X",
		 get_le32(g), get_le16(g + 4), get_le16(g + 6), g[8], g[9], g[10], g[11], g[12],
		 g[13], g[14], g[15]);
}

bool
pl_guid_parse(const char *text, uint8_t ret[static 16])
{
	/* Where the bytes of the text go: the first three fields are little-endian. */
	static const uint8_t places[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t guid[16];

	for (size_t i = 0; i < 16; i++) {
		char digits[3] = { 0 };

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return false;
		memcpy(digits, text, 2);
		guid[places[i]] = (uint8_t)strtoul(digits, NULL, 16);
		text += 2;
	}
	memcpy(ret, guid, 16);
	return true;
}

int
pl_parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGTPE";
	uint64_t whole = 0, unit = 1;
	double fraction = 0, scale = 1, total;
	const char *p = text, *u;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -ERANGE;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			fraction += (*p - '0') * (scale /= 10);
	while (*p == ' ')
		p++;
	u = *p ? strchr(units, toupper((unsigned char)*p)) : NULL;
	if (u) {
		bool decimal = toupper((unsigned char)p[1]) == 'B' && !p[2];

		if (p[1] && !decimal && strcasecmp(p + 1, "iB"))
			return -EINVAL;
		for (const char *k = units; k <= u; k++)
			unit *= decimal ? 1000 : 1024;
	} else if (!strcmp(p, "s")) {
		unit = 512;
	} else if (*p && strcasecmp(p, "B")) {
		return -EINVAL;
	}
	if (__builtin_mul_overflow(whole, unit, &whole))
		return -ERANGE;
	total = fraction * (double)unit;
	if (__builtin_add_overflow(whole, (uint64_t)total, &whole) || whole > INT64_MAX)
		return -ERANGE;
	*ret = whole;
	return 0;
}

char *
pl_format_size(uint64_t bytes, char *buf, size_t n)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(buf, n, "%" PRIu64 " B", bytes);
		return buf;
	}
	for (v /= 1024; v >= 1023.95 && u + 1 < ARRAY_SIZE(units); u++)
		v /= 1024;
	snprintf(buf, n, "%.1f %s", v, units[u]);
	return buf;
}
