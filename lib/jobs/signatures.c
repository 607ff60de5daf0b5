/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * signatures.c - what files begin with, and what stands behind that
 *
 * A magic alone would show in random bytes: 24 bits of it 116 times on a disk of 1 TB.  So each
 * is followed by a check of the structure, and counts at least 37 bits with it; all together are
 * expected less than once on such a disk.
 *
 * From the formats' own specifications where there are any, named at the checks; else from
 * what programs write.
 */
#include "signatures.h"

#include <pthread.h>

#include "checksums.h"

static bool
is_printable(uint8_t c)
{
	return c >= ' ' && c < 0x7f;
}

static bool
is_alpha(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool
all_printable(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_printable(p[i]))
			return false;
	return true;
}

/* Up to `most` characters of text and then a line's end. */
static bool
is_line(const uint8_t *p, size_t most)
{
	size_t i = 0;

	while (i < most && (is_printable(p[i]) || p[i] == '\t' || p[i] >= 0x80))
		i++;
	return i >= 4 && i < most && (p[i] == '\n' || p[i] == '\r');
}

/* Does `text` stand in n bytes? */
static bool
has(const uint8_t *p, size_t n, const char *text)
{
	return memmem(p, n, text, strlen(text));
}

/* ---- documents ---- */

static const char *
check_pdf(const uint8_t *p)
{
	/* ISO 32000: "%PDF-1.7" or 2.0, and the end of the line */
	return (p[5] == '1' || p[5] == '2') && p[6] == '.' && is_digit(p[7]) ? "pdf" : NULL;
}

static const char *
check_rtf(const uint8_t *p)
{
	return all_printable(p, 10) && (p[6] == '\\' || p[6] == '{' || p[6] == ' ') ? "rtf" : NULL;
}

static const char *
check_ole(const uint8_t *p)
{
	/* [MS-CFB] 2.2: byte order, size of a sector */
	if (get_le16(p + 28) != 0xfffe || (get_le16(p + 30) != 9 && get_le16(p + 30) != 12))
		return NULL;
	return "ole";
}

static const char *
check_line(const uint8_t *p)
{
	return is_line(p, 256) ? "" : NULL;
}

/* ---- pictures ---- */

static bool
is_jpeg_marker(uint8_t c)
{
	return c >= 0xc0 && c != 0xff && c != 0xd8 && c != 0xd9;
}

static const char *
check_jpeg(const uint8_t *p)
{
	uint32_t length = get_be16(p + 4), next = 4 + length;
	const uint8_t *id = p + 6;
	bool known = false;

	switch (p[3]) {
	case 0xe0: known = !memcmp(id, "JFIF", 5) || !memcmp(id, "JFXX", 5); break;
	case 0xe1: known = !memcmp(id, "Exif\0", 6) || !memcmp(id, "http", 4); break;
	case 0xe2: known = !memcmp(id, "ICC_PROFILE", 12); break;
	case 0xed: known = !memcmp(id, "Photoshop", 9); break;
	case 0xee: known = !memcmp(id, "Adobe", 5); break;
	case 0xdb: known = (length - 2) % 65 == 0 && length <= 262 && id[0] < 4; break;
	case 0xfe:
		known = length >= 6 && length < 512 && all_printable(id, PL_MIN(8, length - 2));
		break;
	default: break;
	}
	if (!known || length < 8)
		return NULL;
	/* ITU-T T.81 B.1.1.4: the next segment follows. */
	if (next + 2 <= 512 && (p[next] != 0xff || !is_jpeg_marker(p[next + 1])))
		return NULL;
	return "jpeg";
}

static const char *
check_png(const uint8_t *p)
{
	return get_be32(p + 8) == 13 && !memcmp(p + 12, "IHDR", 4) ? "png" : NULL;
}

static const char *
check_gif(const uint8_t *p)
{
	return (p[4] == '7' || p[4] == '9') && p[5] == 'a' && get_le16(p + 6) && get_le16(p + 8)
		       ? "gif"
		       : NULL;
}

static const char *
check_bmp(const uint8_t *p)
{
	uint32_t size = get_le32(p + 2), data = get_le32(p + 10), header = get_le32(p + 14);

	if (get_le32(p + 6) || data < 14 + header || data > 2048 || size < data)
		return NULL;
	switch (header) {
	case 12:
	case 40:
	case 52:
	case 56:
	case 64:
	case 108:
	case 124: return "bmp";
	default: return NULL;
	}
}

/* TIFF 6.0, section 2: the first folder, where it is near. */
static const char *
check_tiff(const uint8_t *p)
{
	bool big = p[0] == 'M';
	uint32_t at = big ? get_be32(p + 4) : get_le32(p + 4);
	uint32_t nr, tag, type;

	if (at < 8 || at & 1 || at > 256)
		return NULL;
	nr = big ? get_be16(p + at) : get_le16(p + at);
	tag = big ? get_be16(p + at + 2) : get_le16(p + at + 2);
	type = big ? get_be16(p + at + 4) : get_le16(p + at + 4);
	return nr && nr < 512 && tag && type && type <= 13 ? "tiff" : NULL;
}

static const char *
check_psd(const uint8_t *p)
{
	return get_be16(p + 4) == 1 && pl_is_zero(p + 6, 6) && get_be16(p + 12) <= 56 ? "psd"
										      : NULL;
}

static const char *
check_xcf(const uint8_t *p)
{
	return !memcmp(p + 9, "file", 5) || (p[9] == 'v' && is_digit(p[10])) ? "xcf" : NULL;
}

/* ---- video and sound ---- */

/* ISO/IEC 14496-12, 4.3: the first box names the brand. */
static const char *
check_ftyp(const uint8_t *p)
{
	static const struct {
		const char brand[5], *name;
	} brands[] = {
		{ "qt  ", "mov" },  { "heic", "heif" }, { "heix", "heif" },
		{ "mif1", "heif" }, { "msf1", "heif" }, { "avif", "avif" },
		{ "M4A ", "m4a" },  { "M4B ", "m4a" },  { "crx ", "cr3" },
	};
	uint32_t size = get_be32(p);

	if (size < 16 || size > 256 || size & 3 || !all_printable(p + 8, 4))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(brands); i++)
		if (!memcmp(p + 8, brands[i].brand, 4))
			return brands[i].name;
	return "mp4";
}

static const char *
check_riff(const uint8_t *p)
{
	if (!memcmp(p + 8, "AVI LIST", 8))
		return "avi";
	if (!memcmp(p + 8, "WAVE", 4) && all_printable(p + 12, 4))
		return "wav";
	return !memcmp(p + 8, "WEBPVP8", 7) ? "webp" : NULL;
}

/* RFC 8794: the document's type stands in the header. */
static const char *
check_ebml(const uint8_t *p)
{
	if (has(p, 64, "matroska"))
		return "mkv";
	return has(p, 64, "webm") ? "webm" : NULL;
}

static const char *
check_flv(const uint8_t *p)
{
	return !(p[4] & 0xfa) && get_be32(p + 5) == 9 && !get_be32(p + 9) ? "flv" : NULL;
}

/* ISO/IEC 13818-1, 2.5.3.3: marker bits of the pack header, and what follows it. */
static const char *
check_mpeg(const uint8_t *p)
{
	if ((p[4] & 0xc4) == 0x44 && !memcmp(p + 14, "\0\0\1", 3) && p[17] >= 0xb9)
		return "mpeg";
	return (p[4] & 0xf1) == 0x21 && !memcmp(p + 12, "\0\0\1", 3) && p[15] >= 0xb9 ? "mpeg"
										      : NULL;
}

/* id3.org, ID3v2.3 and 2.4: version, flags, a size of 7 bits a byte, the first frame. */
static const char *
check_id3(const uint8_t *p)
{
	if (p[3] < 2 || p[3] > 4 || p[4] > 1 || p[5] & 0x0f || (p[6] | p[7] | p[8] | p[9]) & 0x80 ||
	    !is_alpha(p[10]))
		return NULL;
	for (int i = 10; i < 13; i++)
		if (!is_digit(p[i]) && (p[i] < 'A' || p[i] > 'Z'))
			return NULL;
	return "mp3";
}

static const char *
check_flac(const uint8_t *p)
{
	return !(p[4] & 0x7f) && !p[5] && get_be16(p + 6) == 34 ? "flac" : NULL;
}

/* RFC 3533: version 0, the first page of a stream, at position 0. */
static const char *
check_ogg(const uint8_t *p)
{
	return !p[4] && p[5] == 2 && !get_le64(p + 6) ? "ogg" : NULL;
}

static const char *
check_midi(const uint8_t *p)
{
	return get_be32(p + 4) == 6 && get_be16(p + 8) <= 2 && get_be16(p + 10) ? "midi" : NULL;
}

static const char *
check_aiff(const uint8_t *p)
{
	return !memcmp(p + 8, "AIF", 3) && (p[11] == 'F' || p[11] == 'C') ? "aiff" : NULL;
}

/* ---- archives ---- */

/* What a ZIP archive holds first says what it is.  (APPNOTE.TXT 4.3.7) */
static const char *
check_zip(const uint8_t *p)
{
	static const struct {
		const char *member, *name;
	} members[] = {
		{ "[Content_Types].xml", "ooxml" },
		{ "_rels/", "ooxml" },
		{ "word/", "docx" },
		{ "xl/", "xlsx" },
		{ "ppt/", "pptx" },
		{ "META-INF/", "jar" },
		{ "AndroidManifest.xml", "apk" },
	};
	uint32_t version = get_le16(p + 4), method = get_le16(p + 8), n = get_le16(p + 26);
	const uint8_t *name = p + 30;

	if (version < 10 || version > 63 || (method > 14 && (method < 93 || method > 99)) || !n ||
	    n > 512 || (!is_printable(name[0]) && name[0] < 0x80) || get_le16(p + 28) > 2048)
		return NULL;
	if (n == 8 && !memcmp(name, "mimetype", 8)) {
		if (has(p, 128, "vnd.oasis.opendocument"))
			return "odf";
		return has(p, 128, "epub+zip") ? "epub" : "zip";
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		size_t length = strlen(members[i].member);

		if (n < length || memcmp(name, members[i].member, length) != 0)
			continue;
		if (strcmp(members[i].name, "ooxml") != 0)
			return members[i].name;
		/* Other members that show say which. */
		for (size_t k = 2; k < 5; k++)
			if (has(p, PL_SIGNATURE_LOOK, members[k].member))
				return members[k].name;
		return "ooxml";
	}
	return "zip";
}

/* Bits of a deflate stream, the lowest first. */
static unsigned
deflate_bits(const uint8_t *p, unsigned at, unsigned n)
{
	return get_le32(p + at / 8) >> at % 8 & ((1u << n) - 1);
}

/* Does a deflate stream begin at p?  Its first block's header tells.  (RFC 1951, 3.2) */
static bool
is_deflate(const uint8_t *p)
{
	unsigned type = deflate_bits(p, 1, 2), left = 128;

	if (type == 0)
		return (get_le16(p + 1) ^ get_le16(p + 3)) == 0xffff;
	if (type != 2 || deflate_bits(p, 3, 5) > 29 || deflate_bits(p, 8, 5) > 29)
		return false;
	/* The code of the code lengths is complete. */
	for (unsigned i = 0; i < deflate_bits(p, 13, 4) + 4; i++) {
		unsigned length = deflate_bits(p, 17 + 3 * i, 3);

		if (length && left < 128u >> length)
			return false;
		if (length)
			left -= 128u >> length;
	}
	return !left;
}

/* RFC 1952 */
static const char *
check_gzip(const uint8_t *p)
{
	size_t at = 10;

	if (p[3] & 0xe2 || (p[8] != 0 && p[8] != 2 && p[8] != 4) || (p[9] > 13 && p[9] != 255))
		return NULL;
	if (p[3] & 4)
		at += 2 + PL_MIN(get_le16(p + 10), 256);
	if (p[3] & 8) {
		if (!is_printable(p[at]))
			return NULL;
		while (at < 512 && p[at])
			at++;
		at++;
	}
	if (p[3] & 16) {
		while (at < 1024 && p[at])
			at++;
		at++;
	}
	/* Short members have the fixed code, whose header says nothing; the name stands for it. */
	return is_deflate(p + at) || (p[3] & 8 && deflate_bits(p + at, 1, 2) == 1) ? "gzip" : NULL;
}

static const char *
check_bzip2(const uint8_t *p)
{
	return p[3] >= '1' && p[3] <= '9' && !memcmp(p + 4, "\x31\x41\x59\x26\x53\x59", 6) ? "bzip2"
											   : NULL;
}

static const char *
check_xz(const uint8_t *p)
{
	/* The .xz file format, 2.1.1: flags and their CRC */
	return !p[6] && p[7] <= 10 && get_le32(p + 8) == pl_crc32(0, p + 6, 2) ? "xz" : NULL;
}

/* RFC 8878, 3.1.1: reserved bits, the window, and the header of the first block. */
static const char *
check_zstd(const uint8_t *p)
{
	static const uint8_t id_size[] = { 0, 1, 2, 4 }, size_size[] = { 0, 2, 4, 8 };
	unsigned flags = p[4], single = flags >> 5 & 1, at = 5, block;

	if (flags & 0x18 || (!single && p[5] >> 3 > 21))
		return NULL;
	at += !single + id_size[flags & 3] + size_size[flags >> 6] + (single && !(flags >> 6));
	block = get_le32(p + at) & 0xffffff;
	return (block >> 1 & 3) != 3 && block >> 3 && block >> 3 <= KIB(128) ? "zstd" : NULL;
}

/* The LZ4 frame format, 1.6.2: version 1, reserved bits, size of blocks. */
static const char *
check_lz4(const uint8_t *p)
{
	return (p[4] & 0xc2) == 0x40 && !(p[5] & 0x8f) && p[5] >> 4 >= 4 ? "lz4" : NULL;
}

static const char *
check_7z(const uint8_t *p)
{
	return !p[6] && get_le32(p + 8) == pl_crc32(0, p + 12, 20) ? "7z" : NULL;
}

static const char *
check_rar(const uint8_t *p)
{
	return !p[6] || (p[6] == 1 && !p[7]) ? "rar" : NULL;
}

static const char *
check_cab(const uint8_t *p)
{
	/* [MS-CAB] 2.1 */
	return !get_le32(p + 4) && get_le32(p + 8) && !get_le32(p + 12) && p[25] == 1 ? "cab"
										      : NULL;
}

static const char *
check_cpio(const uint8_t *p)
{
	for (size_t i = 6; i < 110; i++)
		if (!is_digit(p[i]) && !((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f'))
			return NULL;
	return "cpio";
}

/* The sum of a tar header with blanks for itself, in octal digits.  (POSIX.1, pax) */
static const char *
check_tar(const uint8_t *p)
{
	unsigned sum = 8 * ' ', given = 0;

	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? 0 : p[i];
	for (size_t i = 148; i < 156 && (p[i] == ' ' || is_digit(p[i])); i++)
		given = p[i] == ' ' ? given : given * 8 + p[i] - '0';
	return given == sum ? "tar" : NULL;
}

/* ---- programs ---- */

static const char *
check_elf(const uint8_t *p)
{
	return (p[4] == 1 || p[4] == 2) && (p[5] == 1 || p[5] == 2) && p[6] == 1 &&
			       pl_is_zero(p + 9, 7)
		       ? "elf"
		       : NULL;
}

static const char *
check_pe(const uint8_t *p)
{
	uint32_t at = get_le32(p + 60);

	return at >= 64 && at <= 1024 && !memcmp(p + at, "PE\0", 4) ? "pe" : NULL;
}

static const char *
check_macho(const uint8_t *p)
{
	bool big = p[0] == 0xfe;
	uint32_t type = big ? get_be32(p + 12) : get_le32(p + 12);
	uint32_t cpu = big ? get_be32(p + 4) : get_le32(p + 4);

	return type && type <= 12 && (cpu & 0xfeffffff) <= 18 ? "macho" : NULL;
}

/* Both are CAFEBABE: class files have a version there, universal binaries a small number. */
static const char *
check_cafebabe(const uint8_t *p)
{
	uint32_t n = get_be32(p + 4);

	if (n && n <= 16)
		return (get_be32(p + 8) & 0xfeffffff) <= 18 ? "macho" : NULL;
	return !get_be16(p + 4) && n >= 45 && n <= 80 ? "java" : NULL;
}

static const char *
check_dex(const uint8_t *p)
{
	return p[4] == '0' && is_digit(p[5]) && is_digit(p[6]) && !p[7] ? "dex" : NULL;
}

/* The OpenType specification: what searches the table follows from its length. */
static const char *
check_font(const uint8_t *p)
{
	unsigned nr = get_be16(p + 4), power = 1, log = 0;

	if (nr < 4 || nr > 64)
		return NULL;
	for (; power * 2 <= nr; power *= 2)
		log++;
	return get_be16(p + 6) == power * 16 && get_be16(p + 8) == log &&
			       get_be16(p + 10) == nr * 16 - power * 16
		       ? "font"
		       : NULL;
}

/* ---- databases, mail, system ---- */

static const char *
check_sqlite(const uint8_t *p)
{
	uint32_t page = get_be16(p + 16);

	return (page == 1 || (pl_is_power_of_two(page) && page >= 512)) && p[21] == 64 ? "sqlite"
										       : NULL;
}

static const char *
check_pst(const uint8_t *p)
{
	/* [MS-PST] 2.2.2.6: client's magic */
	return p[8] == 'S' && (p[9] == 'M' || p[9] == 'O') ? "pst" : NULL;
}

static const char *
check_ese(const uint8_t *p)
{
	/* [MS-ESEDB] as libesedb documents it: format version 0x620 */
	return get_le32(p + 8) == 0x620 && get_le32(p + 12) <= 1 ? "ese" : NULL;
}

static const char *
check_jet(const uint8_t *p)
{
	return !memcmp(p + 4, "Standard Jet DB", 16) || !memcmp(p + 4, "Standard ACE DB", 16)
		       ? "mdb"
		       : NULL;
}

static const char *
check_bdb(const uint8_t *p)
{
	return get_le32(p + 16) >= 4 && get_le32(p + 16) <= 10 &&
			       pl_is_power_of_two(get_le32(p + 20)) && get_le32(p + 20) <= KIB(64)
		       ? "bdb"
		       : NULL;
}

/* "From someone@example.com Thu Jan  1 00:00:00 2026" (RFC 4155) */
static const char *
check_mbox(const uint8_t *p)
{
	const uint8_t *end = memchr(p, '\n', 200);
	size_t n = end ? (size_t)(end - p) : 0;

	return n > 30 && is_line(p, 200) && (has(p, n, ":") && (has(p, n, "@") || has(p, n, " - ")))
		       ? "mbox"
		       : NULL;
}

/* The sum over a base block of the registry. */
static const char *
check_regf(const uint8_t *p)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < 508; i += 4)
		sum ^= get_le32(p + i);
	return get_le32(p + 20) == 1 && get_le32(p + 24) <= 6 && get_le32(p + 508) == sum
		       ? "registry"
		       : NULL;
}

static const char *
check_evtx(const uint8_t *p)
{
	return get_le32(p + 32) == 128 && get_le16(p + 40) == 4096 ? "evtx" : NULL;
}

static const char *
check_lnk(const uint8_t *p)
{
	/* [MS-SHLLINK] 2.1 */
	return !memcmp(p + 4, "\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", 16) ? "lnk" : NULL;
}

static const char *
check_prefetch(const uint8_t *p)
{
	uint32_t version = get_le32(p);

	return version == 17 || version == 23 || version == 26 || version == 30 || version == 31
		       ? "prefetch"
		       : NULL;
}

static const char *
check_pcap(const uint8_t *p)
{
	return get_le16(p + 4) == 2 && get_le16(p + 6) == 4 ? "pcap" : NULL;
}

static const char *
check_pem(const uint8_t *p)
{
	bool ends = has(p, 80, "-----\n") || has(p, 80, "-----\r");

	return ends && is_line(p, 80) ? "pem" : NULL;
}

/* ---- disk images ---- */

static const char *
check_qcow2(const uint8_t *p)
{
	return (get_be32(p + 4) == 2 || get_be32(p + 4) == 3) && get_be32(p + 20) >= 9 &&
			       get_be32(p + 20) <= 21
		       ? "qcow2"
		       : NULL;
}

static const char *
check_vmdk(const uint8_t *p)
{
	return get_le32(p + 4) && get_le32(p + 4) <= 3 && get_le64(p + 20) % 8 == 0 ? "vmdk" : NULL;
}

static const char *
check_vdi(const uint8_t *p)
{
	return get_le32(p + 68) == 0x00010001 ? "vdi" : NULL;
}

static const char *
check_vhd(const uint8_t *p)
{
	return get_be32(p + 12) == 0x00010000 && get_be32(p + 60) >= 2 && get_be32(p + 60) <= 4
		       ? "vhd"
		       : NULL;
}

static const char *
check_dmg(const uint8_t *p)
{
	return get_be32(p + 4) == 4 && get_be32(p + 8) == 512 ? "dmg" : NULL;
}

/* ---- records of file systems ---- */

/* A record of the MFT, or a block of a folder: the check values' array fits its size. */
static const char *
check_ntfs_record(const uint8_t *p)
{
	uint32_t at = get_le16(p + 4), nr = get_le16(p + 6);
	bool index = p[0] == 'I';

	if (at < 0x28 || at > 0x30 || at & 1 || (nr != 3 && nr != 5 && nr != 9))
		return NULL;
	/* Every 512 bytes end in the value that the array begins with. */
	if (get_le16(p + at) != get_le16(p + 510))
		return NULL;
	return index ? "ntfs-folder" : "ntfs-record";
}

/* The first two entries of a folder: itself and its parent. */
static const char *
check_ext_folder(const uint8_t *p)
{
	return get_le32(p) && p[4] == 12 && !p[5] && p[6] == 1 && p[7] <= 2 && !p[9] && !p[10] &&
			       !p[11] && p[18] == 2 && p[20] == '.' && p[21] == '.' && !p[22] &&
			       !p[23]
		       ? "ext-folder"
		       : NULL;
}

static const char *
check_ext_journal(const uint8_t *p)
{
	return get_be32(p + 4) == 3 || get_be32(p + 4) == 4 ? "ext-journal" : NULL;
}

static const char *
check_fat_folder(const uint8_t *p)
{
	return p[11] == 0x10 && !memcmp(p + 32, "..         \x10", 12) ? "fat-folder" : NULL;
}

/* XFS v5: blocks of folders, and inodes, have checksums and their own address. */
static const char *
check_xfs_block(const uint8_t *p)
{
	return !get_be32(p + 8) && get_be32(p + 4) && get_be64(p + 16) >> 56 == 0 ? "xfs-folder"
										  : NULL;
}

static const char *
check_none(const uint8_t *p)
{
	(void)p;
	return "";
}

#define DOCUMENTS PLATTER_REMAINS_DOCUMENTS
#define PICTURES  PLATTER_REMAINS_PICTURES
#define VIDEO     PLATTER_REMAINS_VIDEO
#define SOUND     PLATTER_REMAINS_SOUND
#define MAIL      PLATTER_REMAINS_MAIL
#define DATABASES PLATTER_REMAINS_DATABASES
#define ARCHIVES  PLATTER_REMAINS_ARCHIVES
#define PROGRAMS  PLATTER_REMAINS_PROGRAMS
#define SYSTEM    PLATTER_REMAINS_SYSTEM
#define KEYS      PLATTER_REMAINS_KEYS
#define IMAGES    PLATTER_REMAINS_IMAGES
#define METADATA  PLATTER_REMAINS_METADATA

#define MAGIC(text) sizeof(text) - 1, text

const struct pl_signature pl_signatures[] = {
	{ "pdf", "PDF document", DOCUMENTS, 0, MAGIC("%PDF-"), 58, check_pdf },
	{ "rtf", "RTF document", DOCUMENTS, 0, MAGIC("{\\rtf1"), 54, check_rtf },
	{ "ole", "Office document before 2007 (OLE)", DOCUMENTS, 0,
	  MAGIC("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), 94, check_ole },
	{ "docx", "Word document", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "xlsx", "Excel workbook", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "pptx", "PowerPoint presentation", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "ooxml", "Office document (OOXML)", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "odf", "OpenDocument file", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "epub", "EPUB book", DOCUMENTS, 0, 0, NULL, 0, NULL },
	{ "postscript", "PostScript document", DOCUMENTS, 0, MAGIC("%!PS-Adobe-"), 88, check_none },
	{ "djvu", "DjVu document", DOCUMENTS, 0, MAGIC("AT&TFORM"), 64, check_none },
	{ "html", "HTML page", DOCUMENTS, 0, MAGIC("<!DOCTYPE html"), 112, check_none },
	{ "html", "HTML page", DOCUMENTS, 0, MAGIC("<!DOCTYPE HTML"), 112, check_none },
	{ "xml", "XML document", DOCUMENTS, 0, MAGIC("<?xml version="), 112, check_none },
	{ "vcard", "vCard (addresses)", DOCUMENTS, 0, MAGIC("BEGIN:VCARD"), 88, check_none },
	{ "icalendar", "calendar", DOCUMENTS, 0, MAGIC("BEGIN:VCALENDAR"), 120, check_none },

	{ "jpeg", "JPEG picture", PICTURES, 0, MAGIC("\xff\xd8\xff"), 45, check_jpeg },
	{ "png", "PNG picture", PICTURES, 0, MAGIC("\x89PNG\r\n\x1a\n"), 128, check_png },
	{ "gif", "GIF picture", PICTURES, 0, MAGIC("GIF8"), 46, check_gif },
	{ "bmp", "BMP picture", PICTURES, 0, MAGIC("BM"), 70, check_bmp },
	{ "tiff", "TIFF or raw picture", PICTURES, 0, MAGIC("II*\0"), 74, check_tiff },
	{ "tiff", "TIFF or raw picture", PICTURES, 0, MAGIC("MM\0*"), 74, check_tiff },
	{ "webp", "WebP picture", PICTURES, 0, 0, NULL, 0, NULL },
	{ "heif", "HEIF picture", PICTURES, 0, 0, NULL, 0, NULL },
	{ "avif", "AVIF picture", PICTURES, 0, 0, NULL, 0, NULL },
	{ "cr3", "Canon raw picture", PICTURES, 0, 0, NULL, 0, NULL },
	{ "raf", "Fujifilm raw picture", PICTURES, 0, MAGIC("FUJIFILMCCD-RAW"), 120, check_none },
	{ "jp2", "JPEG 2000 picture", PICTURES, 0, MAGIC("\0\0\0\x0cjP  \r\n\x87\n"), 96,
	  check_none },
	{ "psd", "Photoshop picture", PICTURES, 0, MAGIC("8BPS"), 96, check_psd },
	{ "xcf", "GIMP picture", PICTURES, 0, MAGIC("gimp xcf "), 80, check_xcf },

	{ "mp4", "MPEG-4 video", VIDEO, 4, MAGIC("ftyp"), 60, check_ftyp },
	{ "mov", "QuickTime video", VIDEO, 0, 0, NULL, 0, NULL },
	{ "avi", "AVI video", VIDEO, 0, MAGIC("RIFF"), 62, check_riff },
	{ "mkv", "Matroska video", VIDEO, 0, MAGIC("\x1a\x45\xdf\xa3"), 57, check_ebml },
	{ "webm", "WebM video", VIDEO, 0, 0, NULL, 0, NULL },
	{ "asf", "Windows Media", VIDEO, 0,
	  MAGIC("\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"), 128,
	  check_none },
	{ "flv", "Flash video", VIDEO, 0, MAGIC("FLV\1"), 100, check_flv },
	{ "mpeg", "MPEG video", VIDEO, 0, MAGIC("\0\0\1\xba"), 59, check_mpeg },

	{ "mp3", "MP3 sound", SOUND, 0, MAGIC("ID3"), 50, check_id3 },
	{ "flac", "FLAC sound", SOUND, 0, MAGIC("fLaC"), 63, check_flac },
	{ "ogg", "Ogg sound or video", SOUND, 0, MAGIC("OggS"), 112, check_ogg },
	{ "wav", "WAV sound", SOUND, 0, 0, NULL, 0, NULL },
	{ "m4a", "MPEG-4 sound", SOUND, 0, 0, NULL, 0, NULL },
	{ "midi", "MIDI music", SOUND, 0, MAGIC("MThd"), 77, check_midi },
	{ "aiff", "AIFF sound", SOUND, 0, MAGIC("FORM"), 63, check_aiff },

	{ "pst", "Outlook mail store", MAIL, 0, MAGIC("!BDN"), 47, check_pst },
	{ "mbox", "mailbox", MAIL, 0, MAGIC("From "), 60, check_mbox },
	{ "mail", "mail message", MAIL, 0, MAGIC("Return-Path: "), 104, check_line },
	{ "mail", "mail message", MAIL, 0, MAGIC("Received: from "), 120, check_line },
	{ "mail", "mail message", MAIL, 0, MAGIC("Delivered-To: "), 112, check_line },
	{ "mail", "mail message", MAIL, 0, MAGIC("MIME-Version: "), 112, check_line },
	{ "mail", "mail message", MAIL, 0, MAGIC("Message-ID: "), 96, check_line },

	{ "sqlite", "SQLite database", DATABASES, 0, MAGIC("SQLite format 3\0"), 130,
	  check_sqlite },
	{ "ese", "ESE database (Windows, Exchange)", DATABASES, 4, MAGIC("\xef\xcd\xab\x89"), 95,
	  check_ese },
	{ "mdb", "Access database", DATABASES, 0, MAGIC("\0\1\0\0Stan"), 128, check_jet },
	{ "bdb", "Berkeley DB", DATABASES, 12, MAGIC("\x62\x31\x05\0"), 85, check_bdb },
	{ "bdb", "Berkeley DB", DATABASES, 12, MAGIC("\x61\x15\x06\0"), 85, check_bdb },

	{ "zip", "ZIP archive", ARCHIVES, 0, MAGIC("PK\3\4"), 66, check_zip },
	{ "gzip", "gzip archive", ARCHIVES, 0, MAGIC("\x1f\x8b\x08"), 40, check_gzip },
	{ "bzip2", "bzip2 archive", ARCHIVES, 0, MAGIC("BZh"), 76, check_bzip2 },
	{ "xz", "xz archive", ARCHIVES, 0,
	  MAGIC("\xfd"
		"7zXZ\0"),
	  92, check_xz },
	{ "zstd", "zstd archive", ARCHIVES, 0, MAGIC("\x28\xb5\x2f\xfd"), 38, check_zstd },
	{ "lz4", "LZ4 archive", ARCHIVES, 0, MAGIC("\x04\x22\x4d\x18"), 41, check_lz4 },
	{ "7z", "7z archive", ARCHIVES, 0, MAGIC("7z\xbc\xaf\x27\x1c"), 88, check_7z },
	{ "rar", "RAR archive", ARCHIVES, 0, MAGIC("Rar!\x1a\x07"), 55, check_rar },
	{ "cab", "cabinet", ARCHIVES, 0, MAGIC("MSCF"), 104, check_cab },
	{ "ar", "ar archive or Debian package", ARCHIVES, 0, MAGIC("!<arch>\n"), 64, check_none },
	{ "rpm", "RPM package", ARCHIVES, 0, MAGIC("\xed\xab\xee\xdb\3"), 40, check_none },
	{ "cpio", "cpio archive", ARCHIVES, 0, MAGIC("07070"), 40, check_cpio },
	{ "tar", "file in a tar archive", ARCHIVES, 257, MAGIC("ustar"), 50, check_tar },
	{ "jar", "Java archive", ARCHIVES, 0, 0, NULL, 0, NULL },
	{ "apk", "Android application", ARCHIVES, 0, 0, NULL, 0, NULL },

	{ "elf", "Linux or Unix program (ELF)", PROGRAMS, 0,
	  MAGIC("\x7f"
		"ELF"),
	  110, check_elf },
	{ "pe", "Windows program", PROGRAMS, 0, MAGIC("MZ"), 70, check_pe },
	{ "macho", "macOS program", PROGRAMS, 0, MAGIC("\xcf\xfa\xed\xfe"), 85, check_macho },
	{ "macho", "macOS program", PROGRAMS, 0, MAGIC("\xce\xfa\xed\xfe"), 85, check_macho },
	{ "macho", "macOS program", PROGRAMS, 0, MAGIC("\xfe\xed\xfa\xce"), 85, check_macho },
	{ "java", "Java class", PROGRAMS, 0, MAGIC("\xca\xfe\xba\xbe"), 57, check_cafebabe },
	{ "dex", "Android program", PROGRAMS, 0, MAGIC("dex\n"), 57, check_dex },
	{ "wasm", "WebAssembly program", PROGRAMS, 0, MAGIC("\0asm\1\0\0\0"), 64, check_none },
	{ "script", "script", PROGRAMS, 0, MAGIC("#!/bin/"), 59, check_line },
	{ "script", "script", PROGRAMS, 0, MAGIC("#!/usr/"), 59, check_line },
	{ "font", "font", PROGRAMS, 0, MAGIC("\0\1\0\0"), 90, check_font },
	{ "font", "font", PROGRAMS, 0, MAGIC("OTTO"), 90, check_font },

	{ "registry", "Windows registry hive", SYSTEM, 0, MAGIC("regf"), 120, check_regf },
	{ "evtx", "Windows event log", SYSTEM, 0, MAGIC("ElfFile\0"), 112, check_evtx },
	{ "lnk", "Windows shortcut", SYSTEM, 0, MAGIC("\x4c\0\0\0"), 160, check_lnk },
	{ "prefetch", "Windows prefetch file", SYSTEM, 4, MAGIC("SCCA"), 61, check_prefetch },
	{ "plist", "Apple property list", SYSTEM, 0, MAGIC("bplist00"), 64, check_none },
	{ "minidump", "Windows crash dump", SYSTEM, 0, MAGIC("MDMP\x93\xa7"), 48, check_none },
	{ "pcap", "network capture", SYSTEM, 0, MAGIC("\xd4\xc3\xb2\xa1"), 64, check_pcap },

	{ "pem", "key or certificate", KEYS, 0, MAGIC("-----BEGIN "), 100, check_pem },
	{ "keepass", "KeePass password store", KEYS, 0, MAGIC("\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"),
	  64, check_none },

	{ "qcow2", "QCOW2 disk image", IMAGES, 0, MAGIC("QFI\xfb"), 91, check_qcow2 },
	{ "vmdk", "VMware disk image", IMAGES, 0, MAGIC("KDMV"), 65, check_vmdk },
	{ "vdi", "VirtualBox disk image", IMAGES, 64, MAGIC("\x7f\x10\xda\xbe"), 64, check_vdi },
	{ "vhd", "VHD disk image", IMAGES, 0, MAGIC("conectix"), 120, check_vhd },
	{ "vhdx", "VHDX disk image", IMAGES, 0, MAGIC("vhdxfile"), 64, check_none },
	{ "dmg", "Apple disk image", IMAGES, 0, MAGIC("koly"), 96, check_dmg },

	{ "ntfs-record", "file record of NTFS", METADATA, 0, MAGIC("FILE"), 59, check_ntfs_record },
	{ "ntfs-folder", "folder of NTFS", METADATA, 0, MAGIC("INDX"), 59, check_ntfs_record },
	{ "ext-folder", "folder of ext2, ext3, ext4", METADATA, 8, MAGIC("."), 90,
	  check_ext_folder },
	{ "ext-journal", "journal of ext3, ext4", METADATA, 0, MAGIC("\xc0\x3b\x39\x98"), 63,
	  check_ext_journal },
	{ "fat-folder", "folder of FAT", METADATA, 0, MAGIC(".          "), 190, check_fat_folder },
	{ "xfs-folder", "folder of XFS", METADATA, 0, MAGIC("XDB3"), 70, check_xfs_block },
	{ "xfs-folder", "folder of XFS", METADATA, 0, MAGIC("XDD3"), 70, check_xfs_block },
};
const size_t pl_nr_signatures = ARRAY_SIZE(pl_signatures);

/*
 * By the first two bytes: the signatures that may begin so, as a chain.  Those whose magic is
 * elsewhere, or one byte long, are tried at each sector; they are few.
 */
static struct {
	uint8_t first[65536];                    /* index + 1; 0: none */
	uint8_t next[ARRAY_SIZE(pl_signatures)]; /* likewise */
	uint8_t others[16];
	size_t nr_others;
} lookup;
static pthread_once_t lookup_made = PTHREAD_ONCE_INIT;

_Static_assert(ARRAY_SIZE(pl_signatures) < UINT8_MAX, "indexes fit a byte");

static void
make_lookup(void)
{
	for (size_t i = pl_nr_signatures; i--;) {
		const struct pl_signature *s = &pl_signatures[i];
		uint16_t key;

		if (!s->magic)
			continue;
		if (s->at || s->length < 2) {
			lookup.others[lookup.nr_others++] = (uint8_t)i;
			continue;
		}
		key = get_le16(s->magic);
		lookup.next[i] = lookup.first[key];
		lookup.first[key] = (uint8_t)(i + 1);
	}
}

static int
index_of(const char *name)
{
	for (size_t i = 0; i < pl_nr_signatures; i++)
		if (!strcmp(pl_signatures[i].name, name))
			return (int)i;
	return -1;
}

static int
try_signature(size_t index, const uint8_t *p, size_t n)
{
	const struct pl_signature *s = &pl_signatures[index];
	uint8_t padded[PL_SIGNATURE_LOOK];
	const char *name;

	if (memcmp(p + s->at, s->magic, s->length) != 0)
		return -1;
	if (n < sizeof padded) {
		memcpy(padded, p, n);
		memset(padded + n, 0, sizeof padded - n);
		p = padded;
	}
	name = s->check(p);
	if (!name)
		return -1;
	/* The first row of a name counts for all of them. */
	return index_of(*name ? name : s->name);
}

int
pl_signature_find(const uint8_t *p, size_t n)
{
	int found = -1;

	pthread_once(&lookup_made, make_lookup);
	for (unsigned i = lookup.first[get_le16(p)]; i && found < 0; i = lookup.next[i - 1])
		found = try_signature(i - 1, p, n);
	for (size_t i = 0; i < lookup.nr_others && found < 0; i++)
		found = try_signature(lookup.others[i], p, n);
	return found;
}

double
pl_signature_false_alarms(uint64_t nr_sectors)
{
	double share = 0;

	for (size_t i = 0; i < pl_nr_signatures; i++)
		if (pl_signatures[i].magic)
			share += 1.0 / (double)(UINT64_C(1) << PL_MIN(pl_signatures[i].bits, 63));
	return share * (double)nr_sectors;
}

static bool
is_local(uint8_t c)
{
	return is_alpha(c) || is_digit(c) || c == '.' || c == '_' || c == '-' || c == '+' ||
	       c == '%';
}

/* Two letters are a country; of the longer names those that most addresses have. */
static bool
is_top_domain(const uint8_t *p, size_t n)
{
	static const char *const names[] = { "com", "net", "org", "edu",  "gov",
					     "mil", "int", "biz", "info", "name" };

	if (n == 2)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && !strncasecmp(names[i], (const char *)p, n))
			return true;
	return false;
}

/* The length of the domain at p, 0: none. */
static size_t
domain_length(const uint8_t *p, size_t n)
{
	size_t end = 0, last = 0, label = 0;

	for (; end < n && end < 253; end++) {
		if (p[end] == '.') {
			if (end == label)
				break;
			last = label = end + 1;
		} else if (!is_alpha(p[end]) && !is_digit(p[end]) && p[end] != '-') {
			break;
		}
	}
	if (end == label && end) {
		/* A full stop behind the address: what was before it is the last label. */
		end = label - 1;
		for (last = end; last && p[last - 1] != '.'; last--)
			;
	}
	if (!last || end - last < 2 || end <= last)
		return 0;
	for (size_t i = last; i < end; i++)
		if (!is_alpha(p[i]))
			return 0;
	return last >= 3 && is_top_domain(p + last, end - last) ? end : 0;
}

size_t
pl_mail_addresses(const uint8_t *p, size_t n, void (*each)(size_t at, size_t length, void *closure),
		  void *closure)
{
	const uint8_t *sign, *from = p, *end = p + n;
	size_t nr = 0;

	while (from < end && (sign = memchr(from, '@', (size_t)(end - from)))) {
		const uint8_t *start = sign;
		size_t domain = domain_length(sign + 1, (size_t)(end - sign - 1));

		while (start > from && sign - start < 64 && is_local(start[-1]))
			start--;
		while (start < sign && !is_alpha(*start) && !is_digit(*start))
			start++;
		from = sign + 1;
		if (sign - start < 2 || !domain)
			continue;
		if (each)
			each((size_t)(start - p), (size_t)(sign - start) + 1 + domain, closure);
		nr++;
		from = sign + 1 + domain;
	}
	return nr;
}
