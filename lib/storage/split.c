/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * split.c - the names of an image in parts
 *
 *	disk.img.001 .002 ... .999 .1000	most imaging programs; .000 first with some
 *	disk.img.aa .ab ... .zz, xaa xab ...	split(1), which without -a goes on from yz with
 *						zaaa ... zyzz, zzaaaa ...
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "leaf.h"
#include "text.h"

/* So many names past the end of a set are tried, to tell a lost part from the end. */
#define LOOK_AHEAD 20

/* Suffixes are short: a bound for names that are made to look like one. */
#define MAX_SUFFIX 16

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits at the end of `path`, if they follow a dot and number a first part; else 0. */
static size_t
digits_of_first(const char *path)
{
	size_t length = strlen(path), n = 0;

	while (n < length && is_digit(path[length - n - 1]))
		n++;
	if (n < 3 || n > MAX_SUFFIX || n + 2 > length || path[length - n - 1] != '.' ||
	    path[length - n - 2] == '/')
		return 0;
	for (size_t i = 1; i < n; i++)
		if (path[length - i - 1] != '0')
			return 0;
	return path[length - 1] <= '1' ? n : 0;
}

/* The letters "aa" (or more of them) at the end of `path`, else 0. */
static size_t
letters_of_first(const char *path)
{
	size_t length = strlen(path), n = 0;

	while (n < length && path[length - n - 1] == 'a')
		n++;
	return n >= 2 && n <= MAX_SUFFIX ? n : 0;
}

size_t
pl_split_base_length(const char *path)
{
	size_t n = digits_of_first(path);

	return n && path[strlen(path) - 1] == '1' ? strlen(path) - n - 1 : 0;
}

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* "az" -> "ba".  False after the last one. */
static bool
next_letters(char *suffix)
{
	for (size_t i = strlen(suffix); i-- > 0;) {
		if (suffix[i] != 'z') {
			suffix[i]++;
			return true;
		}
		suffix[i] = 'a';
	}
	return false;
}

/* "yz" -> "zaaa", "zyzz" -> "zzaaaa": the last letter is kept back to make suffixes longer. */
static bool
widen_letters(char *suffix, size_t room)
{
	size_t length = strlen(suffix), nr_z = strspn(suffix, "z");

	if (nr_z == length || suffix[nr_z] != 'y' || length + 2 >= room ||
	    strspn(suffix + nr_z + 1, "z") != length - nr_z - 1)
		return false;
	memset(suffix, 'z', nr_z + 1);
	memset(suffix + nr_z + 1, 'a', length - nr_z + 1);
	suffix[length + 2] = '\0';
	return true;
}

/* How a set counts on. */
struct naming {
	const char *path; /* of the first part */
	size_t base;      /* characters of it before the suffix */
	size_t digits;    /* 0: letters */
	uint64_t number;
	char letters[MAX_SUFFIX * 2];
};

static char *
name_now(const struct naming *n)
{
	return n->digits ? pl_format("%.*s%0*" PRIu64, (int)n->base, n->path, (int)n->digits,
				     n->number)
			 : pl_format("%.*s%s", (int)n->base, n->path, n->letters);
}

/* The next name in *ret, NULL if there can be none. */
static int
next_name(struct naming *n, char **ret, struct platter_error *err)
{
	char before[sizeof n->letters];
	bool more = true;

	*ret = NULL;
	if (n->digits) {
		n->number++;
	} else {
		strcpy(before, n->letters);
		more = next_letters(n->letters);
	}
	if (more && !(*ret = name_now(n)))
		return pl_no_memory(err);
	if (n->digits || (more && exists(*ret)) || !widen_letters(before, sizeof before))
		return 0;
	/* Only where it was written so: "za" is as good a name after "yz". */
	strcpy(n->letters, before);
	free(*ret);
	*ret = name_now(n);
	return *ret ? 0 : pl_no_memory(err);
}

/* `missing` is not there.  Is one that would come after it? */
static int
check_gap(struct naming *n, const char *missing, struct platter_error *err)
{
	for (int i = 0; i < LOOK_AHEAD; i++) {
		PL_AUTOFREE char *name = NULL;
		int r = next_name(n, &name, err);

		if (r < 0 || !name)
			return r;
		if (!exists(name))
			continue;
		r = pl_fail(err, -ENOENT,
			    "a part of the image is missing: there is '%s', but no '%s'", name,
			    missing);
		pl_hint(err, "copy the missing part beside the others");
		return r;
	}
	return 0;
}

void
pl_split_free_names(char **names, size_t nr)
{
	for (size_t i = 0; names && i < nr; i++)
		free(names[i]);
	free(names);
}

static int
collect(struct naming *n, char ***names, size_t *nr, struct platter_error *err)
{
	size_t room = 0;

	for (;;) {
		PL_AUTOFREE char *name = NULL;
		int r = 0;

		if (*nr == 0)
			name = strdup(n->path);
		else
			r = next_name(n, &name, err);
		if (r < 0 || (!name && *nr))
			return r;
		if (!name)
			return pl_no_memory(err);
		/* Letters by themselves prove nothing: two files must be there. */
		if (*nr && !exists(name))
			return n->digits || *nr > 1 ? check_gap(n, name, err) : 0;
		if (*nr >= PL_MAX_PARTS)
			return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d parts of '%s'",
					     PL_MAX_PARTS, n->path);
		if (*nr == room) {
			char **more;

			room = room ? room * 2 : 16;
			more = pl_realloc_array(*names, room, sizeof **names);
			if (!more)
				return pl_no_memory(err);
			*names = more;
		}
		(*names)[(*nr)++] = PL_STEAL(name);
	}
}

int
pl_split_find(const char *path, char ***ret_names, size_t *ret_nr, struct platter_error *err)
{
	struct naming n = { .path = path, .digits = digits_of_first(path) };
	size_t letters = n.digits ? 0 : letters_of_first(path);
	char **names = NULL;
	size_t nr = 0;
	int r;

	*ret_names = NULL;
	*ret_nr = 1;
	if (!n.digits && !letters)
		return 0;
	n.base = strlen(path) - n.digits - letters;
	n.number = (uint64_t)(path[strlen(path) - 1] - '0');
	memset(n.letters, 'a', letters);
	r = collect(&n, &names, &nr, err);
	if (r < 0 || nr < 2) {
		pl_split_free_names(names, nr);
		return r;
	}
	*ret_names = names;
	*ret_nr = nr;
	return 0;
}
