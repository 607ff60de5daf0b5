/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "checksums.h"
#include "signatures.h"

static uint64_t state = 88172645463325252;

static void
fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		p[i] = (uint8_t)(state * UINT64_C(2685821657736338717) >> 56);
	}
}

static const char *
found(const uint8_t *p, size_t n)
{
	int i = pl_signature_find(p, n);

	return i < 0 ? "" : pl_signatures[i].name;
}

/* A sector that begins with these bytes, zeros behind them. */
#define EXPECT_TYPE(bytes, name)                                  \
	do {                                                      \
		uint8_t sector_[PL_SIGNATURE_LOOK] = { 0 };       \
		memcpy(sector_, bytes, sizeof(bytes) - 1);        \
		EXPECT_STR(found(sector_, sizeof sector_), name); \
		EXPECT_STR(found(sector_, 512), name);            \
	} while (0)

TEST(files_are_known_by_what_they_begin_with)
{
	uint8_t folder[512] = { 0 };

	EXPECT_TYPE("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "pdf");
	EXPECT_TYPE("{\\rtf1\\ansi\\deff0", "rtf");
	EXPECT_TYPE("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xdb\0\x43", "jpeg");
	EXPECT_TYPE("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\1\0", "png");
	EXPECT_TYPE("GIF89a\x40\1\xf0\0\xf7", "gif");
	EXPECT_TYPE("BM\x36\x10\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "bmp");
	EXPECT_TYPE("II*\0\x08\0\0\0\x0f\0\0\1\3\0\1\0\0\0", "tiff");
	EXPECT_TYPE("\0\0\0\x18"
		    "ftypisom\0\0\2\0isomiso2",
		    "mp4");
	EXPECT_TYPE("\0\0\0\x14"
		    "ftypqt  \0\0\2\0qt  ",
		    "mov");
	EXPECT_TYPE("\0\0\0\x18"
		    "ftypheic\0\0\0\0mif1heic",
		    "heif");
	EXPECT_TYPE("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x88matroska", "mkv");
	EXPECT_TYPE("RIFF\x24\x80\0\0WAVEfmt ", "wav");
	EXPECT_TYPE("RIFF\x24\x80\0\0WEBPVP8 ", "webp");
	EXPECT_TYPE("ID3\3\0\0\0\0\x1f\x76TIT2\0\0\0\x07", "mp3");
	EXPECT_TYPE("fLaC\0\0\0\x22\x10\0\x10\0", "flac");
	EXPECT_TYPE("OggS\0\2\0\0\0\0\0\0\0\0\x12\x34", "ogg");
	EXPECT_TYPE("PK\3\4\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7\0\0\0one.txt", "zip");
	EXPECT_TYPE("PK\3\4\x14\0\6\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0"
		    "[Content_Types].xml ......PK\3\4 word/document.xml",
		    "docx");
	EXPECT_TYPE("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0"
		    "mimetypeapplication/vnd.oasis.opendocument.text",
		    "odf");
	EXPECT_TYPE("BZh91AY&SY\1\2\3\4", "bzip2");
	EXPECT_TYPE("\x7f"
		    "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\x3e\0",
		    "elf");
	EXPECT_TYPE("SQLite format 3\0\x10\0\1\1\0\x40\x20\x20", "sqlite");
	EXPECT_TYPE("!BDN\1\2\3\4SM\x17\0", "pst");
	EXPECT_TYPE("bplist00\xd4", "plist");
	EXPECT_TYPE("From me@example.com Thu Jan  1 00:00:00 2026\nSubject: x\n", "mbox");
	EXPECT_TYPE("Return-Path: <me@example.com>\r\n", "mail");
	EXPECT_TYPE("-----BEGIN PRIVATE KEY-----\nMIIE", "pem");
	EXPECT_TYPE("#!/bin/sh -e\n", "script");
	EXPECT_TYPE("QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10", "qcow2");
	EXPECT_TYPE("\2\0\0\0\x0c\0\1\2.\0\0\0\2\0\0\0\xf4\x0f\2\2..\0\0", "ext-folder");
	memcpy(folder, ".          \x10", 12);
	memcpy(folder + 32, "..         \x10", 12);
	EXPECT_STR(found(folder, sizeof folder), "fat-folder");
}

TEST(checksums_of_headers_are_checked)
{
	uint8_t p[PL_SIGNATURE_LOOK] = "7z\xbc\xaf\x27\x1c\0\4";
	uint32_t sum = 0;

	put_le32(p + 12, 1234);
	put_le32(p + 8, pl_crc32(0, p + 12, 20));
	EXPECT_STR(found(p, sizeof p), "7z");
	p[13] ^= 1;
	EXPECT_STR(found(p, sizeof p), "");

	memset(p, 0, sizeof p);
	memcpy(p,
	       "\xfd"
	       "7zXZ\0\0\4",
	       8);
	put_le32(p + 8, pl_crc32(0, p + 6, 2));
	EXPECT_STR(found(p, sizeof p), "xz");
	p[8] ^= 1;
	EXPECT_STR(found(p, sizeof p), "");

	memset(p, 0, sizeof p);
	memcpy(p, "regf\5\0\0\0\5\0\0\0", 12);
	put_le32(p + 20, 1);
	put_le32(p + 24, 5);
	for (size_t i = 0; i < 508; i += 4)
		sum ^= get_le32(p + i);
	put_le32(p + 508, sum);
	EXPECT_STR(found(p, sizeof p), "registry");
	p[100]++;
	EXPECT_STR(found(p, sizeof p), "");

	memset(p, 0, sizeof p);
	memcpy(p, "file.txt", 8);
	memcpy(p + 257, "ustar\00000", 8);
	memcpy(p + 148, "        ", 8);
	sum = 0;
	for (size_t i = 0; i < 512; i++)
		sum += p[i];
	snprintf((char *)p + 148, 8, "%06o", (unsigned)sum);
	p[155] = ' ';
	EXPECT_STR(found(p, sizeof p), "tar");
	p[0]++;
	EXPECT_STR(found(p, sizeof p), "");
}

TEST(a_gzip_header_needs_a_stream_behind_it)
{
	/* Of gzip(1): "hello" many times, so that the block has a code of its own */
	uint8_t p[PL_SIGNATURE_LOOK] = "\x1f\x8b\x08\0\0\0\0\0\0\3";

	/* A stored block: LEN and its complement. */
	memcpy(p + 10, "\0\x10\0\xef\xff", 5);
	EXPECT_STR(found(p, sizeof p), "gzip");
	p[14] = 0;
	EXPECT_STR(found(p, sizeof p), "");
	p[10] = 6; /* no such type of block */
	EXPECT_STR(found(p, sizeof p), "");
}

/*
 * Of each signature: behind its magic random bytes pass the check as seldom as the table says, as
 * far as so many tries can tell.
 */
TEST(behind_each_magic_random_bytes_are_refused)
{
	enum {
		TRIES = 4000
	};
	uint8_t p[PL_SIGNATURE_LOOK];

	for (size_t i = 0; i < pl_nr_signatures; i++) {
		const struct pl_signature *s = &pl_signatures[i];
		double expected;
		int passed = 0;

		if (!s->magic)
			continue;
		EXPECT(s->bits >= 37);
		EXPECT(s->bits >= 8 * s->length);
		expected = TRIES;
		for (int bit = 8 * s->length; bit < s->bits; bit++)
			expected /= 2;
		for (int t = 0; t < TRIES; t++) {
			fill(p, 1024);
			memcpy(p + s->at, s->magic, s->length);
			passed += s->check(p) != NULL;
		}
		/* Chance alone: five standard deviations or more. */
		if (passed > expected + 6 + expected / 4)
			pl_test_fail(__FILE__, __LINE__, "%s: %d of %d pass, expected %g", s->name,
				     passed, TRIES, expected);
	}
}

TEST(a_terabyte_of_random_bytes_has_no_false_alarm)
{
	EXPECT(pl_signature_false_alarms(UINT64_C(1000000000000) / 512) < 0.1);
}

TEST(random_sectors_show_nothing)
{
	PL_AUTOFREE uint8_t *p = malloc(MIB(4));

	for (int i = 0; i < 4; i++) {
		fill(p, MIB(4));
		for (size_t at = 0; at < MIB(4); at += 512)
			EXPECT_EQ(pl_signature_find(p + at, MIB(4) - at), -1);
	}
}

TEST(checks_look_no_further_than_they_may)
{
	/* Each magic at the very end of what can be read; sanitizers see a step beyond. */
	for (size_t i = 0; i < pl_nr_signatures; i++) {
		const struct pl_signature *s = &pl_signatures[i];

		for (int t = 0; s->magic && t < 64; t++) {
			PL_AUTOFREE uint8_t *p = malloc(512);
			PL_AUTOFREE uint8_t *whole = malloc(PL_SIGNATURE_LOOK);

			fill(p, 512);
			memset(whole, t < 32 ? 0xff : ' ', PL_SIGNATURE_LOOK);
			memcpy(p + s->at, s->magic, s->length);
			memcpy(whole + s->at, s->magic, s->length);
			pl_signature_find(p, 512);
			pl_signature_find(whole, PL_SIGNATURE_LOOK);
		}
	}
}

struct mails {
	char text[256];
	const char *in;
};

static void
take(size_t at, size_t length, void *closure)
{
	struct mails *m = closure;

	snprintf(m->text + strlen(m->text), sizeof m->text - strlen(m->text), "<%.*s>", (int)length,
		 m->in + at);
}

TEST(mail_addresses_are_found_and_nothing_else)
{
	static const struct {
		const char *text, *found;
	} rows[] = {
		{ "to: john.doe@example.com, and", "<john.doe@example.com>" },
		{ "ann+tag@mail.example.co.uk.", "<ann+tag@mail.example.co.uk>" },
		{ "<me@example.org><you@example.net>", "<me@example.org><you@example.net>" },
		{ "a@b.de", "" },
		{ "user@localhost", "" },
		{ "foo@bar.bazqux", "" },
		{ "@example.com", "" },
		{ "x = y@", "" },
		{ "me@example.c0m", "" },
		{ "me@-.com", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mails m = { .in = rows[i].text };

		pl_mail_addresses((const uint8_t *)rows[i].text, strlen(rows[i].text), take, &m);
		EXPECT_STR(m.text, rows[i].found);
	}
}
