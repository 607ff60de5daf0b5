/* SPDX-License-Identifier: GPL-3.0-or-later */
/* secret.c - platter/secret.h: pass phrases of encrypted images */
#include "secret.h"

void
platter_set_passphrase_provider(platter_passphrase_provider *provider, void *closure)
{
	pl_secret_set_provider(provider, closure);
}
