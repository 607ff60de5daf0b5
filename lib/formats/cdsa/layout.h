/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layout.h - where the fields of the header and of a key record are, and what they hold; ../cdsa.h */
#ifndef PL_CDSA_LAYOUT_H
#define PL_CDSA_LAYOUT_H

#include "cdsa.h"

/* The header, and a reference to a key record, of which there are some behind it. */
#define HEADER_SIZE    76u
#define REFERENCE_SIZE 20u
enum {
	VERSION = 8,
	IV_BYTES = 12,
	MODE = 16,
	CIPHER = 20,
	KEY_BITS = 24,
	IV_MAKER = 28,
	IV_KEY_BITS = 32,
	UUID = 36,
	BLOCK_SIZE = 52,
	LENGTH = 56,
	DATA_OFFSET = 64,
	NR_KEYS = 72,

	REFERENCE_KIND = 0,
	REFERENCE_OFFSET = 4,
	REFERENCE_LENGTH = 12,
};

/* A key record, in front of the wrapped keys. */
#define RECORD_SIZE 104u
enum {
	DERIVATION = 0,
	FUNCTION = 4,
	ITERATIONS = 8,
	SALT_BYTES = 12,
	SALT = 16,
	WRAP_IV_BYTES = 48,
	WRAP_IV = 52,
	WRAP_KEY_BITS = 84,
	WRAP_CIPHER = 88,
	WRAP_PADDING = 92,
	WRAP_MODE = 96,
	WRAPPED_BYTES = 100,
};

/* What the fields hold that have one value known. */
#define THIS_VERSION   2u
#define AES_IV_SIZE    16u
#define MODE_CBC       5u
#define CIPHER_AES     0x80000001u
#define MAKER_HMAC     91u
#define KEY_PASSPHRASE 1u /* kind of key record; others are for certificates and keychains */
#define PBKDF2         103u
#define HMAC_SHA1      0u
#define WRAP_IV_SIZE   8u
#define WRAP_KEY_SIZE  24u
#define TRIPLE_DES     17u
#define PADDING_PKCS   7u
#define WRAP_MODE_CBC  6u

/* What the wrapped keys end with. */
#define END_MARK      "CKIE"
#define END_MARK_SIZE 5u

#endif
