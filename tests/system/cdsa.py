# SPDX-License-Identifier: GPL-3.0-or-later
"""Apple's encryption of disk images again, from its published descriptions: hashlib, hmac and the
openssl command.  AES in CBC mode is taken from AES by blocks, so that one command decrypts all."""
import hashlib
import hmac
import os
import struct
import subprocess

HEADER = ">8s7I16sIQQI"
RECORD = ">4I32sI32s5I"
DATA_OFFSET = 122368


def openssl(cipher, key, data, decrypt, iv=None):
    args = ["openssl", "enc", "-d" if decrypt else "-e", f"-{cipher}", "-nopad", "-K", key.hex()]
    return subprocess.run(args + (["-iv", iv.hex()] if iv else []), input=data, stdout=subprocess.PIPE, check=True,
                          stderr=subprocess.DEVNULL).stdout


def triple_des(key, data, decrypt, iv):
    # Debian's OpenSSL has it without the legacy provider.
    return openssl("des-ede3-cbc", key, data, decrypt, iv)


def block_iv(hmac_key, number):
    return hmac.new(hmac_key, struct.pack(">I", number), hashlib.sha1).digest()[:16]


def xor(a, b):
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def decrypt_blocks(keys, data, block, first=0):
    """Whole blocks, the first of which has the number `first`."""
    aes, hmac_key = keys
    if not data:
        return b""
    plain = openssl(f"aes-{len(aes) * 8}-ecb", aes, data, True)
    chain = b"".join(block_iv(hmac_key, first + i) + data[i * block:(i + 1) * block - 16] for i in range(len(data) // block))
    return xor(plain, chain)


def encrypt_blocks(keys, data, block, first=0):
    aes, hmac_key = keys
    return b"".join(openssl(f"aes-{len(aes) * 8}-cbc", aes, data[at:at + block], False, block_iv(hmac_key, first + at // block))
                    for at in range(0, len(data), block))


def header(image):
    names = ("magic version iv_size mode cipher key_bits prng prng_bits uuid block length data_offset nr_keys").split()
    return dict(zip(names, struct.unpack_from(HEADER, image)))


def unlock(image, phrase):
    """The keys for AES and HMAC-SHA1 of a header."""
    h = header(image)
    assert h["magic"] == b"encrcdsa" and h["version"] == 2 and h["cipher"] == 0x80000001 and h["mode"] == 5
    for i in range(h["nr_keys"]):
        kind, at, length = struct.unpack_from(">IQQ", image, 76 + 20 * i)
        if kind != 1:
            continue
        kdf, prf, rounds, salt_size, salt, iv_size, iv, bits, cipher, padding, mode, size = struct.unpack_from(RECORD, image, at)
        assert (kdf, prf, iv_size, bits, cipher, padding, mode) == (103, 0, 8, 192, 17, 7, 6) and 104 + size <= length
        key = hashlib.pbkdf2_hmac("sha1", phrase, salt[:salt_size], rounds, bits // 8)
        blob = triple_des(key, image[at + 104:at + 104 + size], True, iv[:8])
        blob = blob[:-blob[-1]]
        if blob.endswith(b"CKIE\0"):
            n = h["key_bits"] // 8
            assert len(blob) == n + 25
            return blob[:n], blob[n:n + 20]
    raise ValueError("the pass phrase fits no key")


def decrypt(image, phrase):
    """What an encrypted image holds."""
    h = header(image)
    n = -(-h["length"] // h["block"]) * h["block"]
    data = image[h["data_offset"]:h["data_offset"] + n]
    assert len(data) == n
    return decrypt_blocks(unlock(image, phrase), data, h["block"])[:h["length"]]


def make_header(phrase, keys, block=512, length=0, rounds=1000, others=0, offset=DATA_OFFSET):
    """A header that the pass phrase opens, behind records for `others` certificates."""
    aes, hmac_key = keys
    salt, iv = hashlib.sha1(b"salt").digest(), b"initvect"
    wrap = hashlib.pbkdf2_hmac("sha1", phrase, salt, rounds, 24)
    blob = aes + hmac_key + b"CKIE\0"
    pad = 8 - len(blob) % 8
    blob = triple_des(wrap, blob + bytes([pad]) * pad, False, iv)
    record = struct.pack(RECORD, 103, 0, rounds, 20, salt, 8, iv, 192, 17, 7, 6, len(blob)) + blob
    out = struct.pack(HEADER, b"encrcdsa", 2, 16, 5, 0x80000001, len(aes) * 8, 91, 160, b"an UUID of image", block, length,
                      offset, 1 + others)
    at = 76 + 20 * (1 + others)
    for _ in range(others):
        out += struct.pack(">IQQ", 2, at, 616)
    out += struct.pack(">IQQ", 1, at, 616) + record
    return out.ljust(offset, b"\0")


def encrypt(plain, phrase, bits=128, block=4096, **how):
    """An encrypted image of some bytes."""
    keys = os.urandom(bits // 8), os.urandom(20)
    padded = plain + bytes(-len(plain) % block)
    return make_header(phrase, keys, block, len(plain), **how) + encrypt_blocks(keys, padded, block)
