/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-secret.c - pass phrases: who is asked, how often, and what becomes of the answer */
#include "secret.h"

#include "test.h"

static struct platter_error err;

/* What the provider answers, one after the other; NULL: there is none. */
static const char *const *answers;
static unsigned asked;
static char *seen_buffer;

static int
answer(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	const char *text = answers[asked];

	EXPECT_STR(request->what, "secret.dmg");
	EXPECT_EQ(request->attempt, ++asked);
	EXPECT_EQ(room, PLATTER_PASSPHRASE_MAX);
	EXPECT(closure == &asked);
	if (!text)
		return -ENOKEY;
	seen_buffer = buf;
	memcpy(buf, text, strlen(text));
	return (int)strlen(text);
}

static int
is_right(void *closure, const char *secret, size_t n, struct platter_error *e)
{
	const char *right = closure;

	(void)e;
	return n == strlen(right) && !memcmp(secret, right, n) ? 0 : -EKEYREJECTED;
}

static int
try_answers(const char *const *list, char *right)
{
	int r;

	answers = list;
	asked = 0;
	pl_secret_set_provider(answer, &asked);
	r = pl_secret_try("secret.dmg", is_right, right, &err);
	pl_secret_set_provider(NULL, NULL);
	return r;
}

TEST(it_is_asked_until_the_pass_phrase_fits)
{
	char right[] = "right";

	EXPECT_OK(try_answers((const char *const[]){ "right", NULL }, right));
	EXPECT_EQ(asked, 1);
	EXPECT_OK(try_answers((const char *const[]){ "wrong", "", "right", NULL }, right));
	EXPECT_EQ(asked, 3);
}

TEST(a_provider_that_has_nothing_else_leaves_a_wrong_one_rejected)
{
	char right[] = "right";

	EXPECT_EQ(try_answers((const char *const[]){ "Right", NULL }, right), -EKEYREJECTED);
	EXPECT_EQ(asked, 2);
	EXPECT_EQ(err.code, -EKEYREJECTED);
	EXPECT(strstr(err.message, "secret.dmg"));
	EXPECT(err.hint[0]);
}

TEST(without_a_source_the_error_says_where_one_could_be)
{
	char right[] = "right";

	EXPECT_EQ(try_answers((const char *const[]){ NULL }, right), -ENOKEY);
	EXPECT(strstr(err.hint, "--passphrase-file"));
	EXPECT_EQ(pl_secret_try("x", is_right, right, &err), -ENOKEY);
	EXPECT_EQ(pl_secret_new("x", is_right, right, &err), -ENOKEY);
}

static int
never_ends(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	(void)request, (void)buf, (void)room;
	++*(unsigned *)closure;
	return 0;
}

TEST(a_provider_that_never_gives_up_is_given_up)
{
	char right[] = "right";
	unsigned times = 0;

	pl_secret_set_provider(never_ends, &times);
	EXPECT_EQ(pl_secret_try("x", is_right, right, &err), -EKEYREJECTED);
	EXPECT(times > 10);
	pl_secret_set_provider(NULL, NULL);
}

static int
too_long(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	(void)request, (void)buf, (void)closure;
	return (int)room + 1;
}

static int
stops(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	(void)request, (void)buf, (void)room, (void)closure;
	return -ECANCELED;
}

TEST(an_answer_that_cannot_be_is_an_error)
{
	char right[] = "right";

	pl_secret_set_provider(too_long, NULL);
	EXPECT_EQ(pl_secret_try("x", is_right, right, &err), -EOVERFLOW);
	pl_secret_set_provider(stops, NULL);
	EXPECT_EQ(pl_secret_try("x", is_right, right, &err), -ECANCELED);
	EXPECT_EQ(pl_secret_new("x", is_right, right, &err), -ECANCELED);
	pl_secret_set_provider(NULL, NULL);
}

/* Where the answer was, while it is still ours to look at. */
static const char *used_secret;
static size_t used_n;
static char copy[PLATTER_PASSPHRASE_MAX];

static int
remember(void *closure, const char *secret, size_t n, struct platter_error *e)
{
	(void)closure, (void)e;
	used_secret = secret;
	used_n = n;
	memcpy(copy, secret, n);
	return 0;
}

TEST(a_new_one_is_used_once_as_it_was_given)
{
	answers = (const char *const[]){ "new one", NULL };
	asked = 0;
	pl_secret_set_provider(answer, &asked);
	EXPECT_OK(pl_secret_new("secret.dmg", remember, NULL, &err));
	pl_secret_set_provider(NULL, NULL);
	EXPECT_EQ(used_n, strlen("new one"));
	EXPECT_MEM(copy, "new one", used_n);
	EXPECT(used_secret == seen_buffer);
}

/* Nobody means an image to be opened by whoever presses the return key. */
TEST(a_new_one_that_is_empty_is_refused)
{
	answers = (const char *const[]){ "", NULL };
	asked = 0;
	used_secret = NULL;
	pl_secret_set_provider(answer, &asked);
	EXPECT_EQ(pl_secret_new("secret.dmg", remember, NULL, &err), -EINVAL);
	pl_secret_set_provider(NULL, NULL);
	EXPECT(!used_secret);
}
