/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sums.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <platter/disk.h>

#include "output.h"

/* Of one file: in the order of the hashes that were asked for. */
struct file_sums {
	char *path;
	struct platter_hash hashes[PLATTER_MAX_HASHES];
};

struct image_files {
	struct file_sums *files;
	size_t nr;
};

static int
fail(struct platter_error *err, int code, const char *what, const char *path)
{
	*err = (struct platter_error){ .code = code, .offset = PLATTER_NO_OFFSET };
	snprintf(err->message, sizeof err->message, "cannot %s '%.512s': %s", what, path,
		 strerror(-code));
	return code;
}

static bool
is_regular(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int
sums_check(const struct platter_create_options *options, const char *target,
	   struct platter_error *err)
{
	const char *name = options->hashes;

	if (!name || options->overwrite || options->resume || !strcmp(target, "-"))
		return 0;
	while (*name) {
		size_t n = strcspn(name, ",");
		AUTOFREE char *path = text_of("%s.%.*s", target, (int)n, name);

		if (is_regular(path)) {
			fail(err, -EEXIST, "write", path);
			strcpy(err->hint, "--force replaces it");
			return -EEXIST;
		}
		name += n + (name[n] == ',');
	}
	return 0;
}

static void
add_file(struct image_files *image, char *path)
{
	image->files = grown(image->files, image->nr + 1, sizeof *image->files);
	image->files[image->nr++] = (struct file_sums){ .path = path };
}

/* The file, or the parts .001, .002, ... that a split image was written in. */
static void
find_files(const char *target, bool split, struct image_files *ret)
{
	size_t n = strlen(target);
	int stem = n > 4 && !strcmp(target + n - 4, ".001") ? (int)n - 4 : (int)n;

	*ret = (struct image_files){ 0 };
	for (unsigned i = 1; split; i++) {
		char *path = text_of("%.*s.%03u", stem, target, i);

		if (!is_regular(path)) {
			free(path);
			break;
		}
		add_file(ret, path);
	}
	if (ret->nr == 0 && is_regular(target))
		add_file(ret, text_of("%s", target));
}

static void
free_files(struct image_files *image)
{
	for (size_t i = 0; i < image->nr; i++)
		free(image->files[i].path);
	free(image->files);
}

/* Hash the bytes of a file, whatever they are. */
static int
hash_file(struct file_sums *file, const char *names, struct platter_progress *progress,
	  struct platter_error *err)
{
	struct platter_open_options raw = { .size = sizeof raw, .format = "raw" };
	struct platter_verify_result result = { 0 };
	struct platter_disk *disk = NULL;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC), r;
	char place[32];

	if (fd < 0)
		return fail(err, -errno, "open", file->path);
	/* By its descriptor: under its own name a first part would open as the whole image. */
	snprintf(place, sizeof place, "/dev/fd/%d", fd);
	r = platter_open(place, &raw, &disk, err);
	if (r == 0)
		r = platter_verify(disk, names, NULL, NULL, progress, &result, err);
	platter_close(disk);
	close(fd);
	if (r == 0)
		memcpy(file->hashes, result.hashes, sizeof file->hashes);
	return r;
}

/* "HEX  NAME"; names with a newline or backslash are escaped as sha256sum does it. */
static void
put_line(FILE *to, const char *hex, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (strpbrk(name, "\\\n\r"))
		putc('\\', to);
	fprintf(to, "%s  ", hex);
	for (; *name; name++) {
		switch (*name) {
		case '\\': fputs("\\\\", to); break;
		case '\n': fputs("\\n", to); break;
		case '\r': fputs("\\r", to); break;
		default: putc(*name, to); break;
		}
	}
	putc('\n', to);
}

/* Write the file of one hash, under its name only when it is whole. */
static int
write_sums(const char *path, const struct image_files *image, size_t index,
	   const struct platter_copy_result *result, bool is_disk, bool sync,
	   struct platter_error *err)
{
	AUTOFREE char *part = text_of("%s.part", path);
	FILE *to = fopen(part, "we");
	bool failed;

	if (!to)
		return fail(err, -errno, "write", part);
	if (!is_disk)
		fprintf(to, "# disk contents: %s (%" PRIu64 " bytes)\n", result->hashes[index].hex,
			result->size);
	for (size_t i = 0; i < image->nr; i++)
		put_line(to, image->files[i].hashes[index].hex, image->files[i].path);
	errno = 0;
	failed = fflush(to) != 0 || ferror(to) || (sync && fsync(fileno(to)) != 0);
	failed |= fclose(to) != 0;
	if (failed || rename(part, path) != 0) {
		int code = errno ? -errno : -EIO;

		unlink(part);
		return fail(err, code, "write", path);
	}
	return 0;
}

/* The disk's own bytes: then the disk's hash is the file's, and nothing is read again. */
static bool
is_raw_file(const char *path, bool split, uint64_t size)
{
	struct platter_disk *disk;
	struct stat st;
	bool raw;

	if (split || stat(path, &st) < 0 || (uint64_t)st.st_size != size ||
	    platter_open(path, NULL, &disk, NULL) < 0)
		return false;
	raw = !strcmp(platter_format_name(disk), "raw");
	platter_close(disk);
	return raw;
}

static int
hash_files(struct image_files *image, const struct platter_create_options *options,
	   const struct platter_copy_result *result, bool is_disk,
	   struct platter_progress *progress, struct platter_error *err)
{
	for (size_t i = 0; i < image->nr; i++) {
		int r = 0;

		if (is_disk)
			memcpy(image->files[i].hashes, result->hashes, sizeof result->hashes);
		else
			r = hash_file(&image->files[i], options->hashes, progress, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
sums_write(const struct platter_create_options *options, const char *target,
	   const struct platter_copy_result *result, struct platter_progress *progress,
	   struct sums *ret, struct platter_error *err)
{
	struct image_files image;
	bool is_disk;
	int r = 0;

	*ret = (struct sums){ 0 };
	if (result->nr_hashes == 0 || !strcmp(target, "-"))
		return 0;
	find_files(target, options->split != 0, &image);
	if (image.nr == 0)
		goto done;
	is_disk = image.nr == 1 &&
		  is_raw_file(image.files[0].path, options->split != 0, result->size);
	ret->files = grown(NULL, result->nr_hashes, sizeof *ret->files);
	r = hash_files(&image, options, result, is_disk, progress, err);
	for (size_t i = 0; r == 0 && i < result->nr_hashes; i++) {
		char *path = text_of("%s.%s", target, result->hashes[i].name);

		r = write_sums(path, &image, i, result, is_disk, !options->no_sync, err);
		ret->files[ret->nr_files++] = path;
	}
done:
	free_files(&image);
	return r;
}

void
sums_done(struct sums *sums)
{
	for (size_t i = 0; i < sums->nr_files; i++)
		free(sums->files[i]);
	free(sums->files);
}
