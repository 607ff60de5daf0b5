/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * secret.h - pass phrases, asked of the provider that the program set, and wiped after use
 */
#ifndef PL_SECRET_H
#define PL_SECRET_H

#include <platter/secret.h>

#include "error.h"

/* As platter_set_passphrase_provider() says. */
void pl_secret_set_provider(platter_passphrase_provider *provider, void *closure);

/*
 * Ask for the pass phrase of the image `what` and hand it to `attempt`, which returns 0 if it
 * fits, -EKEYREJECTED if not, and is then called with the next one, or another error, which ends
 * it.  `secret` has n bytes, no NUL, and is wiped when the call returns.
 * Errors: -ENOKEY: nobody knows one; -EKEYREJECTED; -ECANCELED; those of `attempt`.
 */
int pl_secret_try(const char *what,
		  int (*attempt)(void *closure, const char *secret, size_t n,
				 struct platter_error *err),
		  void *closure, struct platter_error *err);

/*
 * The same for an image to be made, which takes any but an empty one (-EINVAL): `use` is called
 * once.
 */
int pl_secret_new(const char *what,
		  int (*use)(void *closure, const char *secret, size_t n,
			     struct platter_error *err),
		  void *closure, struct platter_error *err);

#endif
