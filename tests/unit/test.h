/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test.h - unit tests that register themselves
 *
 * TEST(name_as_a_claim) { EXPECT_EQ(a, b); ... }  A failed expectation prints both
 * sides, ends the test and counts; SKIP("why") ends it as skipped.  A test program runs all of
 * its tests, or those whose names contain its first argument, and prints a line "ok NAME",
 * "not ok NAME" or "skip NAME: why" for each.
 */
#ifndef PL_TEST_H
#define PL_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct pl_test {
	const char *name;
	void (*run)(void);
	struct pl_test *next;
};
void pl_test_register(struct pl_test *test);
_Noreturn void pl_test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void pl_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How often to try what chance decides: `n` times in a long run, else a quarter of that. */
unsigned pl_test_rounds(unsigned n);
/* An empty folder for this test's files, removed afterwards. */
const char *pl_test_folder(void);

#define TEST(claim)                                                                \
	static void test_##claim(void);                                            \
	static struct pl_test test_entry_##claim = { #claim, test_##claim, NULL }; \
	__attribute__((constructor)) static void test_register_##claim(void)       \
	{                                                                          \
		pl_test_register(&test_entry_##claim);                             \
	}                                                                          \
	static void test_##claim(void)

#define SKIP(...) pl_test_skip(__VA_ARGS__)

#define EXPECT(cond)                                                           \
	do {                                                                   \
		if (!(cond))                                                   \
			pl_test_fail(__FILE__, __LINE__, "not so: %s", #cond); \
	} while (0)
#define EXPECT_EQ(a, b)                                                                          \
	do {                                                                                     \
		intmax_t a_ = (intmax_t)(a), b_ = (intmax_t)(b);                                 \
		if (a_ != b_)                                                                    \
			pl_test_fail(__FILE__, __LINE__, "%s is %jd, expected %s = %jd", #a, a_, \
				     #b, b_);                                                    \
	} while (0)
#define EXPECT_STR(a, b)                                                                           \
	do {                                                                                       \
		const char *a_ = (a), *b_ = (b);                                                   \
		if (strcmp(a_, b_) != 0)                                                           \
			pl_test_fail(__FILE__, __LINE__, "%s is '%s', expected '%s'", #a, a_, b_); \
	} while (0)
#define EXPECT_MEM(a, b, n)                                                                      \
	do {                                                                                     \
		const unsigned char *a_ = (const void *)(a), *b_ = (const void *)(b);            \
		for (size_t i_ = 0; i_ < (size_t)(n); i_++)                                      \
			if (a_[i_] != b_[i_])                                                    \
				pl_test_fail(__FILE__, __LINE__,                                 \
					     "%s and %s differ at byte %zu: %02x, %02x", #a, #b, \
					     i_, a_[i_], b_[i_]);                                \
	} while (0)
/* A call that fills in `err` succeeds. */
#define EXPECT_OK(call)                                                                      \
	do {                                                                                 \
		int r_ = (call);                                                             \
		if (r_ < 0)                                                                  \
			pl_test_fail(__FILE__, __LINE__, "%s failed with %d: %s", #call, r_, \
				     err.message);                                           \
	} while (0)

#endif
