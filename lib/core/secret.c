/* SPDX-License-Identifier: GPL-3.0-or-later */
/* secret.c - pass phrases, asked of the provider that the program set, and wiped after use */
#include "secret.h"

#include <pthread.h>
#include <string.h>

/* A provider that never gives up must not keep an image from failing to open. */
#define MAX_ATTEMPTS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* lets one question be asked at a time */
static platter_passphrase_provider *provider;
static void *provider_closure;

void
pl_secret_set_provider(platter_passphrase_provider *new_provider, void *closure)
{
	pthread_mutex_lock(&lock);
	provider = new_provider;
	provider_closure = closure;
	pthread_mutex_unlock(&lock);
}

/* The answer's length, or negative errno. */
static int
ask(const struct platter_passphrase_request *request, char buf[static PLATTER_PASSPHRASE_MAX])
{
	int n = -ENOKEY;

	pthread_mutex_lock(&lock);
	if (provider)
		n = provider(request, buf, PLATTER_PASSPHRASE_MAX, provider_closure);
	pthread_mutex_unlock(&lock);
	return n;
}

static int
no_secret(const char *what, int code, struct platter_error *err)
{
	int r;

	if (code == -ECANCELED)
		return pl_fail(err, code, "stopped at the pass phrase of '%s'", what);
	if (code != -ENOKEY)
		return pl_fail_errno(err, code, "get the pass phrase of '%s'", what);
	r = pl_fail(err, code, "'%s' is encrypted, and there is no pass phrase for it", what);
	pl_hint(err, "give it in a file with --passphrase-file FILE, or in the environment"
		     " variable PLATTER_PASSPHRASE");
	return r;
}

static int
rejected(const char *what, struct platter_error *err)
{
	int r = pl_fail(err, -EKEYREJECTED, "this is not the pass phrase of '%s'", what);

	pl_hint(err, "look at how it is spelled: case, keyboard layout, blanks at its ends");
	return r;
}

int
pl_secret_try(const char *what,
	      int (*attempt)(void *closure, const char *secret, size_t n,
			     struct platter_error *err),
	      void *closure, struct platter_error *err)
{
	struct platter_passphrase_request request = { .what = what };
	char secret[PLATTER_PASSPHRASE_MAX];
	int n, r = -EKEYREJECTED;

	while (r == -EKEYREJECTED && request.attempt < MAX_ATTEMPTS) {
		request.attempt++;
		n = ask(&request, secret);
		if (n == -ENOKEY && request.attempt > 1)
			break;
		r = n < 0 || n > PLATTER_PASSPHRASE_MAX
			    ? no_secret(what, n < 0 ? n : -EOVERFLOW, err)
			    : attempt(closure, secret, (size_t)n, err);
		explicit_bzero(secret, sizeof secret);
	}
	return r == -EKEYREJECTED ? rejected(what, err) : r;
}

/* Most often a file or a variable that should hold one. */
static int
no_phrase(const char *what, struct platter_error *err)
{
	int r = pl_invalid(err, "the pass phrase for '%s' is empty", what);

	pl_hint(err, "look at the first line of its file, or at the variable PLATTER_PASSPHRASE");
	return r;
}

int
pl_secret_new(const char *what,
	      int (*use)(void *closure, const char *secret, size_t n, struct platter_error *err),
	      void *closure, struct platter_error *err)
{
	const struct platter_passphrase_request request = { .what = what,
							    .attempt = 1,
							    .is_new = true };
	char secret[PLATTER_PASSPHRASE_MAX];
	int n = ask(&request, secret), r;

	if (n < 0 || n > PLATTER_PASSPHRASE_MAX)
		r = no_secret(what, n < 0 ? n : -EOVERFLOW, err);
	else if (n == 0)
		r = no_phrase(what, err);
	else
		r = use(closure, secret, (size_t)n, err);
	explicit_bzero(secret, sizeof secret);
	return r;
}
