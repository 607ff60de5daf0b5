/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cdsa.h - Apple's encryption of disk images: layout, and what the parts share
 *
 * A header wraps keys that a pass phrase opens; the image itself is cut into blocks, each
 * encrypted by itself with AES in CBC mode, under an initialization vector that is the beginning
 * of HMAC-SHA1 of the block's number.  Nothing protects the blocks from being changed.  All
 * integers are big-endian.
 *
 *	offset  size  header, version 2
 *	     0     8  "encrcdsa"
 *	     8     4  version, 2
 *	    12     4  bytes of an initialization vector, 16
 *	    16     4  mode of the cipher, 5: CBC
 *	    20     4  cipher, 0x80000001: AES
 *	    24     4  bits of its key, 128 or 256
 *	    28     4  what makes initialization vectors, 91: HMAC-SHA1
 *	    32     4  bits of its key, 160
 *	    36    16  UUID
 *	    52     4  bytes of a block
 *	    56     8  bytes of the image that is encrypted
 *	    64     8  where in the file it begins
 *	    72     4  key records
 *	    76  20*n  of each: kind, 4 bytes; offset, 8; length, 8
 *
 *	offset  size  key record of kind 1, pass phrase
 *	     0     4  derivation, 103: PBKDF2
 *	     4     4  its function, 0: HMAC-SHA1
 *	     8     4  iterations
 *	    12     4  bytes of salt
 *	    16    32  salt
 *	    48     4  bytes of the initialization vector, 8
 *	    52    32  initialization vector
 *	    84     4  bits of the derived key, 192
 *	    88     4  cipher that wraps, 17: triple DES
 *	    92     4  padding, 7: PKCS
 *	    96     4  mode, 6: CBC
 *	   100     4  bytes of the wrapped keys
 *	   104     n  wrapped: key of AES, key of HMAC-SHA1, "CKIE" and a NUL
 */
#ifndef PL_CDSA_H
#define PL_CDSA_H

#include <openssl/sha.h>

#include "format.h"

#define CDSA_MAGIC      "encrcdsa"
#define CDSA_OLD_MAGIC  "cdsaencr"
#define CDSA_MAGIC_SIZE 8

#define CDSA_MIN_BLOCK 512u
#define CDSA_MAX_BLOCK 65536u

struct pl_cdsa_header {
	uint8_t uuid[16];
	uint32_t key_bits;    /* 128 or 256 */
	uint32_t block_size;  /* bytes, a power of two */
	uint64_t length;      /* bytes of what is encrypted */
	uint64_t data_offset; /* where in the file it begins */
	uint64_t iterations;  /* of the first key record for a pass phrase */
	uint32_t nr_keys;     /* key records of every kind */
};

/* What a pass phrase opens.  Wipe it with pl_cdsa_wipe(). */
struct pl_cdsa_keys {
	uint8_t aes[32];
	uint8_t hmac[SHA_DIGEST_LENGTH];
};

/* header.c */

/* Read and check the header of `file`. */
int pl_cdsa_read_header(struct pl_disk *file, struct pl_cdsa_header *ret,
			struct platter_error *err);

/* Check where the header says that what is encrypted lies, of a file that holds both. */
int pl_cdsa_check_place(const struct pl_cdsa_header *header, struct platter_error *err);

/*
 * Open the keys with a pass phrase that is asked for.
 * Errors: -ENOKEY, -EKEYREJECTED; -ENOTSUP: no pass phrase opens it; -EUCLEAN, -EFBIG.
 */
int pl_cdsa_unlock(struct pl_disk *file, const struct pl_cdsa_header *header,
		   struct pl_cdsa_keys *ret, struct platter_error *err);

/* cipher.c */

struct pl_cdsa_cipher {
	uint8_t key[32];
	uint32_t key_bits;
	uint32_t block_size;
	SHA_CTX inner, outer; /* HMAC-SHA1 behind its key */
};

void pl_cdsa_cipher_init(struct pl_cdsa_cipher *c, const struct pl_cdsa_header *header,
			 const struct pl_cdsa_keys *keys);
void pl_cdsa_wipe(void *p, size_t n);

/* The error of a call of OpenSSL that failed: no memory, or -ENOTSUP for `what`. */
int pl_cdsa_refused(const char *what, struct platter_error *err);

/* n bytes, whole blocks, the first of which has the number `block`; any thread. */
int pl_cdsa_decrypt(const struct pl_cdsa_cipher *c, const uint8_t *in, uint8_t *out, size_t n,
		    uint64_t block, struct platter_error *err);
int pl_cdsa_encrypt(const struct pl_cdsa_cipher *c, const uint8_t *in, uint8_t *out, size_t n,
		    uint64_t block, struct platter_error *err);

/* disk.c */

/* Where on `file` what is encrypted lies. */
struct pl_cdsa_layout {
	uint64_t data_offset;
	uint64_t length; /* bytes of it */
	/* The numbers of blocks begin at 0 again after so many bytes; 0: never. */
	uint64_t period;
	/*
	 * Where what is stored of the period that holds `offset` ends, which is its start if
	 * nothing is; what follows to the end of the period reads as zeros.  NULL: all is stored.
	 */
	int (*stored_end)(struct pl_disk *file, uint64_t offset, uint64_t *ret,
			  struct platter_error *err);
	bool has_header; /* `file` begins with the header, which tells the length; so it can grow */
};

/* What is encrypted on `file`, of which a reference is kept, as a disk with operations `ops`. */
struct pl_cdsa_disk {
	struct pl_disk disk;
	struct pl_disk *file;
	struct pl_cdsa_header header;
	struct pl_cdsa_layout layout;
	struct pl_cdsa_cipher cipher;
	struct pl_decoder decoder;
	pthread_mutex_t flushing; /* lets one thread bring the header up to date */
	atomic_bool longer;       /* than its header says */
	/* Taken after it; lets one thread change part of a block, or what is stored of a period. */
	pthread_mutex_t edges;
	struct pl_cdsa_writing *writing; /* whole blocks that are on their way, see disk.c */
};

extern const struct pl_disk_ops pl_cdsa_disk_ops;
int pl_cdsa_disk_new(struct pl_disk *file, const struct pl_cdsa_header *header,
		     const struct pl_cdsa_keys *keys, const struct pl_cdsa_layout *layout,
		     bool writable, struct pl_disk **ret, struct platter_error *err);

static inline struct pl_cdsa_disk *
pl_cdsa_disk_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct pl_cdsa_disk, disk);
}

/* It is so long from now on, of a layout without a header: nothing is written. */
void pl_cdsa_set_length(struct pl_disk *disk, uint64_t length);

/* create.c */

/* Bytes that a new header takes, in front of what is encrypted, as Apple's tools lay it out. */
#define CDSA_NEW_DATA_OFFSET 122368u
#define CDSA_NEW_BLOCK       512u

/* "AES-128" or "AES-256", as bits; NULL: 0, nothing is encrypted. */
int pl_cdsa_read_option(const char *text, uint32_t *ret_bits, struct platter_error *err);
#define CDSA_OPTION                                                                \
	{                                                                          \
		"encryption", "AES-128|AES-256", "encrypt with a pass phrase; off" \
	}

/*
 * A new header, of CDSA_NEW_DATA_OFFSET bytes, and its keys, under a pass phrase for the image
 * `what` that is asked for.
 */
int pl_cdsa_new_header(const char *what, uint32_t key_bits, uint8_t *ret_bytes,
		       struct pl_cdsa_header *ret, struct pl_cdsa_keys *ret_keys,
		       struct platter_error *err);

/*
 * A growable disk of no bytes that is stored encrypted in the new file `file`, behind a header.
 * What of it is not written does not read as zeros; pl_resize() writes them.
 */
int pl_cdsa_create(struct pl_disk *file, uint32_t key_bits, struct pl_disk **ret,
		   struct platter_error *err);

/* How long the file is that holds so many bytes encrypted. */
uint64_t pl_cdsa_stored_length(uint64_t length);

/* Facts about the encryption, for describe(). */
void pl_cdsa_describe(const struct pl_cdsa_header *header, struct pl_facts *facts);

#endif
