/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.c - platter compare: do two disks hold the same bytes, and if not, where */
#include <errno.h>
#include <inttypes.h>

#include "commands.h"
#include "output.h"
#include "progress.h"

static void
say_difference(const char *a, const char *b, const struct platter_compare_result *r)
{
	uint64_t common = r->size_a < r->size_b ? r->size_a : r->size_b;
	const char *longer = r->size_a > r->size_b ? a : b;
	uint64_t more = r->size_a > r->size_b ? r->size_a - r->size_b : r->size_b - r->size_a;

	if (r->different_bytes)
		say(stdout,
		    "The disks differ: %s in %s, the first at byte %" PRIu64 " (0x%" PRIx64 ").",
		    count_text(r->different_bytes, "byte", "bytes").text,
		    count_text(r->different_extents, "place", "places").text, r->first_difference,
		    r->first_difference);
	else
		say(stdout, "The first %s are equal.", exact_size_text(common).text);
	if (more && r->nonzero_tail_offset == PLATTER_NO_OFFSET)
		say(stdout, "'%s' is longer by %s, all zeros.", longer, exact_size_text(more).text);
	else if (more)
		say(stdout,
		    "'%s' is longer by %s; its first byte there that is not zero is %" PRIu64
		    " (0x%" PRIx64 ").",
		    longer, exact_size_text(more).text, r->nonzero_tail_offset,
		    r->nonzero_tail_offset);
}

static void
say_result(const struct arguments *args, const struct platter_compare_result *r)
{
	if (r->equal)
		say(stdout, "The disks are equal: %s, in %s.", exact_size_text(r->size_a).text,
		    duration_text(r->seconds).text);
	else
		say_difference(args->operands[0], args->operands[1], r);
}

static void
print_json(const struct arguments *args, const struct platter_compare_result *r)
{
	json_t *answer = json_answer(args);

	json_put(answer, "a", json_text(args->operands[0]));
	json_put(answer, "b", json_text(args->operands[1]));
	json_put(answer, "equal", json_boolean(r->equal));
	json_put(answer, "equal_but_zero_tail", json_boolean(r->equal_but_zero_tail));
	json_put(answer, "size_a", json_number(r->size_a));
	json_put(answer, "size_b", json_number(r->size_b));
	json_put(answer, "first_difference", json_number(r->first_difference));
	json_put(answer, "different_bytes", json_number(r->different_bytes));
	json_put(answer, "different_extents", json_number(r->different_extents));
	json_put(answer, "nonzero_tail_offset", json_number(r->nonzero_tail_offset));
	json_put(answer, "seconds", json_real(r->seconds));
	json_print(answer, stdout);
}

static int
compare(const struct arguments *args, struct platter_disk *a, struct platter_disk *b)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_compare_result result = { 0 };
	struct progress progress;
	int r;

	progress_start(&progress, args);
	r = platter_compare(a, b, &progress.job, &result, &err);
	progress_end(&progress);
	if (r < 0)
		return report(args, &err, "cannot compare '%s' with '%s'", args->operands[0],
			      args->operands[1]);
	if (args->json)
		print_json(args, &result);
	else if (!args->option[OPT_QUIET].given)
		say_result(args, &result);
	if (result.equal ||
	    (result.equal_but_zero_tail && args->option[OPT_IGNORE_ZERO_TAIL].given))
		return STATUS_DONE;
	return STATUS_NO;
}

int
command_compare(const struct arguments *args)
{
	struct platter_disk *a, *b;
	int status = STATUS_FAILED;

	if (open_operand(args, args->operands[0], &a) < 0)
		return STATUS_FAILED;
	if (open_operand(args, args->operands[1], &b) == 0) {
		status = compare(args, a, b);
		platter_close(b);
	}
	platter_close(a);
	return status;
}
