/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/secret.h - pass phrases of encrypted images
 *
 * The library asks nobody for a pass phrase by itself: a program gives it a provider, once,
 * which is called whenever an encrypted image is opened or made.  What the provider answers is
 * wiped from the library's memory as soon as it was used.
 *
 *	static int
 *	from_environment(const struct platter_passphrase_request *request, char *buf, size_t room,
 *			 void *closure)
 *	{
 *		const char *text = getenv("MY_PASSPHRASE");
 *
 *		if (!text || request->attempt > 1 || strlen(text) > room)
 *			return -ENOKEY;
 *		memcpy(buf, text, strlen(text));
 *		return (int)strlen(text);
 *	}
 *	...
 *	platter_set_passphrase_provider(from_environment, NULL);
 *
 * Opening an encrypted image fails with -ENOKEY if there is no provider or it has nothing to
 * say, and with -EKEYREJECTED if it said the wrong thing and has nothing else.
 */
#ifndef PLATTER_SECRET_H
#define PLATTER_SECRET_H

#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that a pass phrase may have. */
#define PLATTER_PASSPHRASE_MAX 1024

struct platter_passphrase_request {
	const char *what; /* name of the image; valid during the call */
	unsigned attempt; /* 1; 2: what was answered first is wrong; and so on */
	bool is_new;      /* of an image to be made: anything will do, so have it repeated */
};

/*
 * Write the pass phrase, UTF-8 without a NUL, into the `room` bytes of `buf`
 * (PLATTER_PASSPHRASE_MAX) and return its length; or a negative errno, -ENOKEY: there is none,
 * or none but those that were tried, -ECANCELED: whoever was asked wants to stop.
 * Called on the thread that opens or makes the image, never on two at once, and may take
 * as long as it likes; it may not call the library.
 */
typedef int platter_passphrase_provider(const struct platter_passphrase_request *request, char *buf,
					size_t room, void *closure);

/*
 * From now on ask `provider` for pass phrases, in the whole process; NULL: nobody.  May not be
 * called while another thread opens or makes an image.
 */
PLATTER_API void platter_set_passphrase_provider(platter_passphrase_provider *provider,
						 void *closure);

#ifdef __cplusplus
}
#endif
#endif
