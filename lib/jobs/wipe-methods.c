/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-methods.c - the methods of wiping by name, and the bytes that their passes write
 *
 * Gutmann: "Secure Deletion of Data from Magnetic and Solid-State Memory", 6th USENIX Security
 * Symposium, 1996, table 1.  DoD: 5220.22-M, the clearing and sanitization matrix of January
 * 1995, item d.  Apple: Disk Utility's security options, and its support article HT3680.  NIST:
 * Special Publication 800-88 Revision 1, December 2014, appendix A.  IEEE: 2883-2022.
 */
#include "wipe-methods.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "hardware.h"

/* Passes of random bytes count from 0; the counter from here on belongs to the order of passes. */
#define ORDER_PASS UINT32_MAX

#define BYTE(b)                   \
	{                         \
		1,                \
		{                 \
			(b), 0, 0 \
		}                 \
	}
#define THREE(a, b, c)                \
	{                             \
		3,                    \
		{                     \
			(a), (b), (c) \
		}                     \
	}
#define RANDOM                  \
	{                       \
		0,              \
		{               \
			0, 0, 0 \
		}               \
	}

static const struct pl_wipe_pattern zero[] = { BYTE(0x00) };
static const struct pl_wipe_pattern random_once[] = { RANDOM };
static const struct pl_wipe_pattern dod[] = { BYTE(0x00), BYTE(0xff), RANDOM };
static const struct pl_wipe_pattern apple_3[] = { RANDOM, RANDOM, BYTE(0x00) };
static const struct pl_wipe_pattern apple_7[] = {
	BYTE(0xf6), BYTE(0x00), BYTE(0xff), RANDOM, BYTE(0x00), BYTE(0xff), RANDOM,
};
static const struct pl_wipe_pattern gutmann[] = {
	RANDOM,
	RANDOM,
	RANDOM,
	RANDOM,
	BYTE(0x55),
	BYTE(0xaa),
	THREE(0x92, 0x49, 0x24),
	THREE(0x49, 0x24, 0x92),
	THREE(0x24, 0x92, 0x49),
	BYTE(0x00),
	BYTE(0x11),
	BYTE(0x22),
	BYTE(0x33),
	BYTE(0x44),
	BYTE(0x55),
	BYTE(0x66),
	BYTE(0x77),
	BYTE(0x88),
	BYTE(0x99),
	BYTE(0xaa),
	BYTE(0xbb),
	BYTE(0xcc),
	BYTE(0xdd),
	BYTE(0xee),
	BYTE(0xff),
	THREE(0x92, 0x49, 0x24),
	THREE(0x49, 0x24, 0x92),
	THREE(0x24, 0x92, 0x49),
	THREE(0x6d, 0xb6, 0xdb),
	THREE(0xb6, 0xdb, 0x6d),
	THREE(0xdb, 0x6d, 0xb6),
	RANDOM,
	RANDOM,
	RANDOM,
	RANDOM,
};

#define IEEE "IEEE 2883-2022"
#define NIST "NIST SP 800-88 Rev. 1"

static const struct pl_wipe_method methods[] = {
	{ .info = { "zero", "zeros, once", "", "Every byte that can be addressed becomes 0x00.",
		    ARRAY_SIZE(zero), PLATTER_WIPE_CLEAR },
	  .pattern = zero },
	{ .info = { "random", "random bytes, once", "",
		    "Every byte that can be addressed becomes one of an AES-256 keystream.",
		    ARRAY_SIZE(random_once), PLATTER_WIPE_CLEAR },
	  .pattern = random_once },
	{ .info = { "dod", "DoD 5220.22-M, three passes", "DoD 5220.22-M (1995), 8-306, d",
		    "A character, its complement, random.  Later editions of the manual "
		    "name no method any more.",
		    ARRAY_SIZE(dod), PLATTER_WIPE_CLEAR },
	  .pattern = dod },
	{ .info = { "gutmann", "Gutmann, 35 passes", "Gutmann 1996, table 1",
		    "Passes 5 to 31 aim at encodings of disks before 1996 and are done in any "
		    "order.  For newer disks its author recommends a few random passes instead.",
		    ARRAY_SIZE(gutmann), PLATTER_WIPE_CLEAR },
	  .pattern = gutmann,
	  .permuted = 4,
	  .nr_permuted = 27 },
	{ .info = { "apple-fastest", "Apple, fastest", "Disk Utility, security options",
		    "Only what names the contents: the first and last 4 MiB of the disk and of "
		    "its partitions become zeros.  Files can be recovered from the rest.",
		    ARRAY_SIZE(zero), PLATTER_WIPE_NONE },
	  .pattern = zero,
	  .how = PL_WIPE_HEADS },
	{ .info = { "apple-1", "Apple, one pass", "Disk Utility, security options", "Zeros, once.",
		    ARRAY_SIZE(zero), PLATTER_WIPE_CLEAR },
	  .pattern = zero },
	{ .info = { "apple-3", "Apple, three passes", "Disk Utility, security options (DOE)",
		    "Random twice, then known bytes: zeros.", ARRAY_SIZE(apple_3),
		    PLATTER_WIPE_CLEAR },
	  .pattern = apple_3 },
	{ .info = { "apple-7", "Apple, seven passes", "Apple HT3680 (DoD 5220.22-M)",
		    "0xf6, zeros, ones, random, zeros, ones, random.", ARRAY_SIZE(apple_7),
		    PLATTER_WIPE_CLEAR },
	  .pattern = apple_7 },
	{ .info = { "nist-clear", "NIST Clear: zeros, once", NIST ", Clear",
		    "One pass of a fixed value, verified.  It does not reach what a drive has "
		    "put out of use, nor the spare cells of flash.",
		    ARRAY_SIZE(zero), PLATTER_WIPE_CLEAR },
	  .pattern = zero },
	{ .info = { "nist-purge", "NIST Purge: the best of what the drive offers",
		    NIST ", Purge; " IEEE,
		    "A sanitize command if the drive has one; else what Revision 1 accepts in its "
		    "place: ATA enhanced secure erase of a hard disk, NVMe format.",
		    0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_PURGE },
	{ .info = { "ata-secure-erase", "ATA SECURITY ERASE UNIT, normal", NIST ", Clear",
		    "The drive overwrites what can be addressed.", 0, PLATTER_WIPE_CLEAR },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_ATA_SECURITY },
	{ .info = { "ata-secure-erase-enhanced", "ATA SECURITY ERASE UNIT, enhanced",
		    NIST ", Purge of hard disks",
		    "The drive overwrites everything with a pattern of its own, also sectors "
		    "that are out of use, or changes its key.",
		    0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_ATA_SECURITY_ENHANCED },
	{ .info = { "ata-sanitize-block", "ATA SANITIZE, block erase", NIST ", Purge; " IEEE,
		    "All cells of flash are erased.", 0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_ATA_SANITIZE_BLOCK },
	{ .info = { "ata-sanitize-crypto", "ATA SANITIZE, cryptographic erase",
		    NIST ", Purge; " IEEE, "The key that everything is encrypted with is changed.",
		    0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_ATA_SANITIZE_CRYPTO },
	{ .info = { "ata-sanitize-overwrite", "ATA SANITIZE, overwrite", NIST ", Purge; " IEEE,
		    "The drive overwrites everything, also sectors that are out of use.", 0,
		    PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_ATA_SANITIZE_OVERWRITE },
	{ .info = { "nvme-format", "NVMe FORMAT NVM, user data erase", NIST ", Purge",
		    "The namespace is formatted and its user data erased.  IEEE 2883 wants a "
		    "sanitize command instead.",
		    0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_NVME_FORMAT },
	{ .info = { "nvme-format-crypto", "NVMe FORMAT NVM, cryptographic erase", NIST ", Purge",
		    "The namespace is formatted and its key changed.", 0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_NVME_FORMAT_CRYPTO },
	{ .info = { "nvme-sanitize-block", "NVMe SANITIZE, block erase", IEEE ", Purge",
		    "All cells are erased, those of all namespaces of the controller.", 0,
		    PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_NVME_SANITIZE_BLOCK },
	{ .info = { "nvme-sanitize-crypto", "NVMe SANITIZE, cryptographic erase", IEEE ", Purge",
		    "The keys of all namespaces of the controller are changed.", 0,
		    PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_NVME_SANITIZE_CRYPTO },
	{ .info = { "nvme-sanitize-overwrite", "NVMe SANITIZE, overwrite", IEEE ", Purge",
		    "The controller overwrites all of its namespaces and spare cells.", 0,
		    PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_NVME_SANITIZE_OVERWRITE },
	{ .info = { "scsi-sanitize-block", "SCSI SANITIZE, block erase", NIST ", Purge; " IEEE,
		    "All cells of flash are erased.", 0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_SCSI_SANITIZE_BLOCK },
	{ .info = { "scsi-sanitize-crypto", "SCSI SANITIZE, cryptographic erase",
		    NIST ", Purge; " IEEE, "The key that everything is encrypted with is changed.",
		    0, PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_SCSI_SANITIZE_CRYPTO },
	{ .info = { "scsi-sanitize-overwrite", "SCSI SANITIZE, overwrite", NIST ", Purge; " IEEE,
		    "The drive overwrites everything, also sectors that are out of use.", 0,
		    PLATTER_WIPE_PURGE },
	  .how = PL_WIPE_ERASE,
	  .erase = PL_ERASE_SCSI_SANITIZE_OVERWRITE },
	{ .info = { "discard", "TRIM, UNMAP or DEALLOCATE of everything", "",
		    "Tells the drive that nothing is needed any more.  What it then does with "
		    "the data, and when, is its own affair: this is no erasure, even if zeros "
		    "are read afterwards.",
		    0, PLATTER_WIPE_NONE },
	  .how = PL_WIPE_DISCARD },
	{ .info = { "discard-secure", "secure discard of everything", "",
		    "The same, of which the drive says that all copies are erased too; only "
		    "memory cards (eMMC) have it.",
		    0, PLATTER_WIPE_CLEAR },
	  .how = PL_WIPE_SECURE_DISCARD },
	{ .info = { "luks", "cryptographic erase of LUKS", NIST ", Cryptographic Erase",
		    "Headers and key slots of LUKS1 or LUKS2, and the header's copy, become "
		    "random: without them no pass phrase opens the rest, unless somebody kept a "
		    "copy of the header.",
		    ARRAY_SIZE(random_once), PLATTER_WIPE_CLEAR },
	  .pattern = random_once,
	  .how = PL_WIPE_LUKS },
};

const struct pl_wipe_method *
pl_wipe_method(size_t index)
{
	return index < ARRAY_SIZE(methods) ? &methods[index] : NULL;
}

const struct pl_wipe_method *
pl_wipe_method_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i].info.name, name))
			return &methods[i];
	return NULL;
}

const struct pl_wipe_method *
pl_wipe_method_by_erase(unsigned erase)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (methods[i].erase == erase && erase)
			return &methods[i];
	return NULL;
}

/* `n` bytes of the keystream, from byte `offset` of pass number `pass` on. */
static int
keystream(unsigned pass, const uint8_t *seed, uint64_t offset, uint8_t *buf, size_t n,
	  struct platter_error *err)
{
	uint8_t counter[16], unaligned[16] = { 0 };
	size_t skip = offset % 16;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int done;
	bool ok;

	put_be64(counter, pass);
	put_be64(counter + 8, offset / 16);
	memset(buf, 0, n);
	ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_ctr(), NULL, seed, counter) == 1;
	if (ok && skip)
		ok = EVP_EncryptUpdate(c, unaligned, &done, unaligned, (int)skip) == 1;
	ok = ok && n <= INT32_MAX && EVP_EncryptUpdate(c, buf, &done, buf, (int)n) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok ? 0 : pl_fail(err, -EIO, "OpenSSL does not encrypt with AES-256");
}

int
pl_wipe_bytes(struct pl_wipe_pattern pattern, unsigned pass,
	      const uint8_t seed[static PL_WIPE_SEED], uint64_t offset, uint8_t *buf, size_t n,
	      struct platter_error *err)
{
	size_t have;

	if (!pattern.nr)
		return keystream(pass, seed, offset, buf, n, err);
	if (pattern.nr == 1) {
		memset(buf, pattern.byte[0], n);
		return 0;
	}
	for (have = 0; have < n && have < pattern.nr; have++)
		buf[have] = pattern.byte[(offset + have) % pattern.nr];
	/* What is there holds whole repetitions: it is doubled until it fills the buffer. */
	while (have < n) {
		size_t more = PL_MIN(have, n - have);

		memcpy(buf + have, buf, more);
		have += more;
	}
	return 0;
}

int
pl_wipe_order(const struct pl_wipe_method *m, const uint8_t seed[static PL_WIPE_SEED],
	      struct pl_wipe_pattern ret[static PL_WIPE_MAX_PASSES], struct platter_error *err)
{
	uint8_t dice[8 * PL_WIPE_MAX_PASSES];
	int r;

	for (unsigned i = 0; i < m->info.nr_passes; i++)
		ret[i] = m->pattern[i];
	r = keystream(ORDER_PASS, seed, 0, dice, sizeof dice, err);
	if (r < 0)
		return r;
	for (unsigned i = m->nr_permuted; i > 1; i--) {
		struct pl_wipe_pattern *from = &ret[m->permuted + get_be64(dice + 8 * i) % i];
		struct pl_wipe_pattern *to = &ret[m->permuted + i - 1], swapped = *to;

		*to = *from;
		*from = swapped;
	}
	return 0;
}

void
pl_wipe_pattern_text(struct pl_wipe_pattern p, char *buf, size_t n)
{
	if (!p.nr)
		snprintf(buf, n, "random");
	else if (p.nr == 1 && !p.byte[0])
		snprintf(buf, n, "zeros");
	else if (p.nr == 1)
		snprintf(buf, n, "0x%02x", p.byte[0]);
	else
		snprintf(buf, n, "0x%02x 0x%02x 0x%02x", p.byte[0], p.byte[1], p.byte[2]);
}
