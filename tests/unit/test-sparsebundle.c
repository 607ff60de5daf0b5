/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-sparsebundle.c - sparse bundles in view, with one thing broken, made, and changed */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cdsa-images.h"
#include "change.h"
#include "create.h"
#include "writes.h"

#define BAND 65536u
#define SIZE (100 * BAND + 1024)

static const char list[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			   "<plist version=\"1.0\"><dict>\n"
			   "<key>band-size</key>%s\n"
			   "<key>bundle-backingstore-version</key><integer>%s</integer>\n"
			   "<key>diskimage-bundle-type</key><string>%s</string>\n"
			   "<key>size</key>%s\n"
			   "<key>kept</key><string>as it is</string>\n"
			   "</dict></plist>\n";

static void
write_list(const char *name, const char *band, const char *version, const char *type,
	   const char *size)
{
	PL_AUTOFREE char *text = pl_format(list, band, version, type, size);

	write_file(name, text, strlen(text));
}

#define TYPE "com.apple.diskimage.sparsebundle"

/* Bands 0 (whole), 2 (short) and 100 (the last, short); 1 and 3 to 99 are not there. */
static uint8_t *
make_bundle(void)
{
	uint8_t *bytes = calloc(1, SIZE + BAND);

	EXPECT(bytes);
	run("rm -rf b && mkdir -p b/bands && : >b/token");
	write_list("b/Info.plist", "<integer>65536</integer>", "1", TYPE,
		   "<string>6554624</string>");
	run("cp b/Info.plist b/Info.bckup");
	memset(bytes, 'a', BAND);
	memset(bytes + 2 * BAND, 'c', 1000);
	memset(bytes + 100 * BAND, 'z', 1024);
	write_file("b/bands/0", bytes, BAND);
	write_file("b/bands/2", bytes + 2 * BAND, 1000);
	write_file("b/bands/64", bytes + 100 * BAND, 1024);
	run("echo other >b/bands/.DS_Store; echo other >b/bands/0A; echo other >b/lock");
	return bytes;
}

TEST(bands_that_are_not_there_and_what_follows_short_ones_read_as_zeros)
{
	PL_AUTOFREE uint8_t *bytes = make_bundle();
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	enum platter_kind kind;
	uint64_t length;

	EXPECT_OK(try_open("b/Info.plist", 0, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "sparsebundle");
	expect_equal(disk, bytes, SIZE);
	EXPECT_OK(pl_span(disk, 0, SIZE, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, BAND);
	EXPECT_OK(pl_span(disk, BAND, SIZE, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_ZERO);
	EXPECT_EQ(length, BAND);
	EXPECT_OK(pl_span(disk, 3 * BAND, SIZE, &kind, &length, &err));
	EXPECT_EQ(length, 97 * BAND);
	expect_findings(disk, 0, 0);
}

static void
expect_no_bundle(int code)
{
	struct pl_disk *disk = NULL;
	PL_AUTOFREE char *path = pl_format("%s/b/Info.plist", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r;

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	r = pl_image_open(file, path, "sparsebundle", NULL, 0, &disk, &err);
	pl_disk_unref(disk);
	EXPECT_EQ(r, code);
	EXPECT(err.message[0]);
}

TEST(a_property_list_that_says_something_else_is_refused)
{
	static const struct {
		const char *band, *version, *type, *size;
		int code;
	} lists[] = {
		{ "<integer>0</integer>", "1", TYPE, "<integer>512</integer>", -EUCLEAN },
		{ "<integer>513</integer>", "1", TYPE, "<integer>512</integer>", -EUCLEAN },
		{ "<integer>17179869184</integer>", "1", TYPE, "<integer>512</integer>", -EUCLEAN },
		{ "<string>8m</string>", "1", TYPE, "<integer>512</integer>", -EUCLEAN },
		{ "<true/>", "1", TYPE, "<integer>512</integer>", -EUCLEAN },
		{ "<integer>65536</integer>", "2", TYPE, "<integer>512</integer>", -ENOTSUP },
		{ "<integer>65536</integer>", "1", "com.apple.other", "<integer>512</integer>",
		  -EUCLEAN },
		{ "<integer>65536</integer>", "1", TYPE, "<string>-1</string>", -EUCLEAN },
		{ "<integer>65536</integer>", "1", TYPE, "<integer>9223372036854775808</integer>",
		  -EUCLEAN },
		{ "<integer>65536</integer>", "1", TYPE, "<string></string>", -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		free(make_bundle());

		printf("# list %zu\n", i);
		run("rm b/Info.bckup");
		write_list("b/Info.plist", lists[i].band, lists[i].version, lists[i].type,
			   lists[i].size);
		expect_no_bundle(lists[i].code);
	}
	write_file("b/Info.plist", "", 0);
	expect_no_bundle(-EUCLEAN);
	run("rm -r b/bands; printf '" TYPE "' >b/Info.plist");
	expect_no_bundle(-EUCLEAN);
	run("head -c 1048577 /dev/zero >b/Info.plist");
	expect_no_bundle(-EFBIG);
}

TEST(the_backup_stands_in_for_a_damaged_list)
{
	PL_AUTOFREE uint8_t *bytes = make_bundle();
	PL_AUTOFREE char *path = pl_format("%s/b/Info.plist", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;

	run("printf damaged >b/Info.plist");
	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_image_open(file, path, "sparsebundle", NULL, 0, &disk, &err));
	expect_equal(disk, bytes, SIZE);
	EXPECT(warns_of(disk, "Info.bckup"));
	expect_findings(disk, 1, 0);
}

TEST(bands_that_cannot_be_are_told_and_not_followed)
{
	free(make_bundle());
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t byte;

	run("head -c 65537 /dev/zero >b/bands/5; ln -s /etc/passwd b/bands/6; mkdir b/bands/7;"
	    " echo >b/bands/65; head -c 2000 /dev/zero >b/bands/64; mkfifo b/bands/8");
	EXPECT_OK(try_open("b/Info.plist", 0, &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, 5 * BAND, &err), -EUCLEAN);
	EXPECT(strstr(err.message, "65537"));
	EXPECT(pl_read(disk, &byte, 1, 6 * BAND, &err) < 0);
	EXPECT(pl_read(disk, &byte, 1, 7 * BAND, &err) < 0);
	EXPECT(pl_read(disk, &byte, 1, 8 * BAND, &err) < 0);
	EXPECT_OK(pl_read(disk, &byte, 1, 9 * BAND, &err));
	expect_findings(disk, 4, 2);
}

/* What is found inside another disk cannot choose what its host opens. */
TEST(bands_beside_a_list_that_is_no_file_are_not_reached)
{
	PL_AUTOFREE char *text = pl_format(list, "<integer>65536</integer>", "1", TYPE,
					   "<integer>6554624</integer>");
	struct pl_disk *disk;

	EXPECT_EQ(try_bytes(text, strlen(text), NULL, &disk), -ENOTSUP);
}

TEST(exabytes_cost_nothing)
{
	free(make_bundle());
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_piece p;

	write_list("b/Info.plist", "<integer>512</integer>", "1", TYPE,
		   "<integer>9223372036854775807</integer>");
	run("rm b/bands/*; head -c 512 /dev/zero >b/bands/3fffffffffffff");
	EXPECT_OK(try_open("b/Info.plist", 0, &disk));
	EXPECT_EQ(disk->size, INT64_MAX);
	EXPECT_OK(pl_resolve(disk, 0, INT64_MAX, PL_RESOLVE_LEAF_HOLES, &p, &err));
	EXPECT_EQ(p.kind, PLATTER_HOLE);
	EXPECT_EQ(p.length, UINT64_C(0x3fffffffffffff) * 512);
	expect_findings(disk, 0, 1); /* the last byte of the band is behind the end */
}

static void
make_ours(uint64_t size, const char *encryption)
{
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	struct platter_key_value options[] = { { "band_size", "64K" },
					       { "encryption", encryption } };
	struct platter_create_options o = { .size = sizeof o,
					    .format = "sparsebundle",
					    .options = options,
					    .nr_options = encryption ? 2 : 1,
					    .overwrite = true,
					    .no_sync = true };

	EXPECT_OK(pl_create_empty(path, size, &o, &err));
}

static void
expect_model(const uint8_t *model, size_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(try_open("i/Info.plist", 0, &disk));
	expect_equal(disk, model, size);
	expect_findings(disk, 0, 0);
}

static void
change(struct pl_disk *disk, uint8_t *model, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct operation o = random_operation(disk->size);

		apply(disk, &o);
		apply_to_model(model, &o);
	}
	EXPECT_OK(pl_flush(disk, &err));
	expect_equal(disk, model, (size_t)disk->size);
}

/* More bands than may be open at once, changed and made longer and shorter. */
TEST(what_is_written_is_read)
{
	static const char *const kinds[] = { NULL, "AES-128", "AES-256" };
	static const size_t sizes[] = { 9 << 20, 12345856, 3000320, 8 << 20 };

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		PL_AUTOFREE uint8_t *model = calloc(1, 13 << 20);
		size_t size = 9 << 20;

		seed = 0x9e3779b97f4a7c15u + k;
		make_ours(size, kinds[k]);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			PL_AUTOUNREF struct pl_disk *disk = NULL;

			EXPECT_OK(try_open("i/Info.plist", PLATTER_OPEN_WRITE, &disk));
			EXPECT_OK(pl_resize(disk, sizes[i], &err));
			if (sizes[i] > size)
				memset(model + size, 0, sizes[i] - size);
			size = sizes[i];
			expect_equal(disk, model, size);
			change(disk, model, 300);
			pl_disk_unref(PL_STEAL(disk));
			expect_model(model, size);
		}
		run("cmp i/Info.plist i/Info.bckup && ! ls i | grep part");
	}
}

/* Pieces that begin and end anywhere, in any order, zeros among them, from several threads. */
#define PIECE  3001
#define PIECES 700
struct piecewise {
	struct pl_disk *disk;
	const uint8_t *model;
	unsigned first, step;
};

static void *
write_pieces(void *with)
{
	const struct piecewise *p = with;

	for (unsigned i = p->first; i < PIECES; i += p->step) {
		uint64_t at = (uint64_t)(i * 271 % PIECES) * PIECE;
		const uint8_t *bytes = p->model + at;

		if (pl_is_zero(bytes, PIECE))
			EXPECT_OK(pl_zero(p->disk, at, PIECE, PL_ZERO_MAY_UNMAP, NULL));
		else
			EXPECT_OK(pl_write(p->disk, bytes, PIECE, at, NULL));
	}
	return NULL;
}

TEST(many_threads_write_encrypted_bands)
{
	PL_AUTOFREE uint8_t *model = malloc(PIECES * PIECE);
	struct piecewise p[4];
	pthread_t threads[4];

	for (int round = 0; round < 2; round++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		for (unsigned i = 0; i < PIECES; i++)
			memset(model + i * PIECE, rnd(5) ? (int)(1 + rnd(255)) : 0, PIECE);
		make_ours(PIECES * PIECE / 512 * 512 + 512, "AES-128");
		EXPECT_OK(try_open("i/Info.plist", PLATTER_OPEN_WRITE, &disk));
		for (unsigned i = 0; i < 4; i++) {
			p[i] = (struct piecewise){ disk, model, i, 4 };
			EXPECT_EQ(pthread_create(&threads[i], NULL, write_pieces, &p[i]), 0);
		}
		for (unsigned i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		EXPECT_OK(pl_flush(disk, &err));
		pl_disk_unref(PL_STEAL(disk));
		EXPECT_OK(try_open("i/Info.plist", 0, &disk));
		for (unsigned i = 0; i < PIECES; i++) {
			uint8_t piece[PIECE];

			EXPECT_OK(pl_read(disk, piece, PIECE, i * PIECE, &err));
			EXPECT_MEM(piece, model + i * PIECE, PIECE);
		}
		expect_findings(disk, 0, 0);
	}
}

/* As hdiutil makes them with blocks that are larger than a sector. */
TEST(an_encrypted_disk_may_end_within_a_block)
{
	static uint8_t token[CDSA_DATA];
	PL_AUTOFREE uint8_t *bytes = make_bundle(), *model = calloc(1, SIZE + 4096);
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	cdsa_header(token, 128, 4096, SIZE);
	write_file("b/token", token, sizeof token);
	run("rm b/bands/*");
	for (uint64_t at = 0; at < BAND; at += 4096)
		cdsa_block(128, 1, (uint32_t)(at / 4096), bytes + at, 4096, model + at);
	write_file("b/bands/0", model, BAND);
	cdsa_block(128, 1, 0, bytes + 100 * BAND, 4096, model);
	write_file("b/bands/64", model, 4096);
	memset(bytes + 2 * BAND, 0, BAND);
	EXPECT_OK(try_open("b/Info.plist", PLATTER_OPEN_WRITE, &disk));
	expect_equal(disk, bytes, SIZE);
	memset(bytes + SIZE - 500, 'n', 500);
	EXPECT_OK(pl_write(disk, bytes + SIZE - 500, 500, SIZE - 500, &err));
	expect_equal(disk, bytes, SIZE);
	expect_findings(disk, 0, 0);
	EXPECT_OK(pl_resize(disk, SIZE + 1024, &err));
	expect_equal(disk, bytes, SIZE + 1024);
	EXPECT_OK(pl_zero(disk, 100 * BAND, 2048, PL_ZERO_MAY_UNMAP, &err));
	run("! test -e b/bands/64");
	memset(bytes + 100 * BAND, 0, 2048);
	expect_equal(disk, bytes, SIZE + 1024);
}

TEST(what_is_discarded_takes_no_files)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *model = calloc(1, 4 << 20);

	for (int encrypted = 0; encrypted < 2; encrypted++) {
		make_ours(4 << 20, encrypted ? "AES-128" : NULL);
		pl_disk_unref(PL_STEAL(disk));
		EXPECT_OK(try_open("i/Info.plist", PLATTER_OPEN_WRITE, &disk));
		memset(model, 'd', 4 << 20);
		EXPECT_OK(pl_write(disk, model, 4 << 20, 0, &err));
		run("test $(ls i/bands | wc -l) = 64");
		EXPECT_OK(pl_discard(disk, BAND / 2, 10 * BAND, &err));
		memset(model + BAND / 2, 0, 10 * BAND);
		EXPECT_OK(pl_flush(disk, &err));
		run("test $(ls i/bands | wc -l) = 55");
		expect_model(model, 4 << 20);
	}
}

/* Bands are larger than what is read at once, and zeros of one may be stored in part. */
TEST(bands_of_zeros_go_when_it_is_compacted)
{
	const struct platter_compact_options options = { .size = sizeof options };
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	struct platter_create_options o = {
		.size = sizeof o, .format = "sparsebundle", .overwrite = true, .no_sync = true
	};
	struct platter_change_result result;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *bytes = calloc(1, 40 << 20);

	EXPECT_OK(pl_create_empty(path, 40 << 20, &o, &err));
	EXPECT_OK(try_open("i/Info.plist", PLATTER_OPEN_WRITE, &disk));
	bytes[39 << 20] = 1;
	EXPECT_OK(pl_write(disk, bytes + (8 << 20), 8 << 20, 8 << 20, &err));
	EXPECT_OK(pl_write(disk, bytes, 5000, 17 << 20, &err));
	EXPECT_OK(pl_write(disk, bytes + (39 << 20), 4096, 39 << 20, &err));
	EXPECT_OK(pl_flush(disk, &err));
	pl_disk_unref(PL_STEAL(disk));
	run("test \"$(echo $(ls i/bands))\" = '1 2 4'");
	EXPECT_OK(pl_compact(path, &options, NULL, &result, &err));
	run("test \"$(echo $(ls i/bands))\" = 4");
	EXPECT_OK(try_open("i/Info.plist", 0, &disk));
	expect_equal(disk, bytes, 40 << 20);
}

/* What is not there is neither read nor given up. */
TEST(an_empty_bundle_of_terabytes_is_compacted_at_once)
{
	const struct platter_compact_options options = { .size = sizeof options };
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	struct platter_change_result result;

	make_ours(UINT64_C(8) << 40, NULL);
	EXPECT_OK(pl_compact(path, &options, NULL, &result, &err));
}

/* Keys of the list that are none of ours are kept. */
TEST(another_size_leaves_the_rest_of_the_list)
{
	PL_AUTOFREE uint8_t *bytes = make_bundle();
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(try_open("b/Info.plist", PLATTER_OPEN_WRITE, &disk));
	EXPECT_OK(pl_resize(disk, SIZE + BAND - 1024, &err));
	expect_equal(disk, bytes, SIZE + BAND - 1024);
	run("grep -q 'as it is' b/Info.plist && grep -q '<string>6619136</string>' b/Info.plist");
}

TEST(only_a_folder_that_is_a_bundle_is_replaced)
{
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	struct pl_storage_create how = { .inside = "Info.plist", .also = "bands" };
	struct pl_disk *file = NULL;

	run("rm -rf i; mkdir i; echo precious >i/file");
	how.overwrite = true;
	EXPECT_EQ(pl_storage_create(path, &how, &file, &err), -EISDIR);
	/* As programs have it. */
	run("echo >i/Info.plist");
	EXPECT_EQ(pl_storage_create(path, &how, &file, &err), -EISDIR);
	run("test -f i/file");
	run("rm -rf i; echo old >i");
	make_ours(1 << 20, NULL);
	run("test -f i/Info.plist && ! ls -a | grep part");
	make_ours(2 << 20, NULL);
	run("! ls -a | grep part");
	how.overwrite = false;
	EXPECT_EQ(pl_storage_create(path, &how, &file, &err), -EEXIST);
}

/* What renameat2() is answered with, in this process from now on. */
static void
forbid_exchange(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
}

/* As on network file systems; what an earlier run left between two names is no obstacle. */
TEST(a_bundle_is_replaced_where_folders_cannot_be_exchanged)
{
	int status;
	pid_t child;

	run("rm -rf i*; mkdir -p i.part.old/bands; echo old >i.part.old/Info.plist");
	make_ours(1 << 20, NULL);
	run("test \"$(echo i*)\" = i && cp -r i i.part.old");
	fflush(stdout);
	child = fork();
	EXPECT(child >= 0);
	if (!child) {
		forbid_exchange();
		make_ours(2 << 20, NULL);
		_exit(0);
	}
	EXPECT_EQ(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP("system calls cannot be filtered here");
	EXPECT_EQ(status, 0);
	run("test \"$(echo i*)\" = i && grep -q '>2097152<' i/Info.plist");
}

/* Nothing of what somebody put there in the meantime goes. */
TEST(a_folder_that_took_the_place_of_a_bundle_meanwhile_is_not_replaced)
{
	PL_AUTOFREE char *path = pl_format("%s/i", pl_test_folder());
	const struct pl_storage_create how = { .inside = "Info.plist",
					       .also = "bands",
					       .overwrite = true };
	PL_AUTOUNREF struct pl_disk *file = NULL;

	run("rm -rf i*");
	make_ours(1 << 20, NULL);
	EXPECT_OK(pl_storage_create(path, &how, &file, &err));
	run("rm -r i; mkdir i; echo precious >i/file");
	EXPECT_EQ(pl_storage_commit(file, false, &err), -EISDIR);
	pl_storage_abandon(file, false);
	run("test -f i/file && test \"$(echo i*)\" = i");
}

struct flusher {
	struct pl_disk *disk;
	atomic_bool stop;
};

static void *
flush_and_read(void *with)
{
	struct flusher *f = with;
	uint8_t buf[4096];

	while (!atomic_load(&f->stop))
		for (uint64_t at = 0; at < 70 * BAND; at += BAND) {
			EXPECT_OK(pl_flush(f->disk, NULL));
			EXPECT_OK(pl_read_once(f->disk, buf, sizeof buf, at, NULL));
		}
	return NULL;
}

/* More bands than are open at once come and go while others flush, read and count them. */
TEST(bands_may_go_while_they_are_flushed_and_read)
{
	PL_AUTOFREE char *path = pl_format("%s/i/bands", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct flusher f = { 0 };
	pthread_t thread;

	run("rm -rf i; mkdir -p i/bands");
	EXPECT_OK(pl_storage_bands(path, BAND, 70 * BAND, true, &disk, &err));
	f.disk = disk;
	EXPECT_EQ(pthread_create(&thread, NULL, flush_and_read, &f), 0);
	for (int i = 0; i < 8; i++) {
		for (uint64_t at = 0; at < 70 * BAND; at += BAND)
			EXPECT_OK(pl_write(disk, "x", 1, at, &err));
		EXPECT(pl_storage_allocated(disk) > 0);
		EXPECT_OK(pl_discard(disk, 0, 70 * BAND, &err));
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	run("test -z \"$(ls i/bands)\"");
}

/* Zeros over what is not there make no files, also where zeros have to be written. */
TEST(zeros_where_the_file_system_cannot_zero_are_written_only_over_what_is_there)
{
	char folder[] = "/dev/shm/platter-XXXXXX";
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *model = calloc(1, 10 * BAND);

	if (access("/dev/shm", W_OK) < 0)
		SKIP("there is no tmpfs in /dev/shm");
	EXPECT(mkdtemp(folder));
	EXPECT_OK(pl_storage_bands(folder, BAND, 10 * BAND, true, &disk, &err));
	memset(model + 5 * BAND, 'x', BAND);
	EXPECT_OK(pl_write(disk, model + 5 * BAND, BAND, 5 * BAND, &err));
	memset(model + 5 * BAND + 100, 0, BAND - 200);
	EXPECT_OK(pl_zero(disk, 0, 5 * BAND, 0, &err));
	EXPECT_OK(pl_zero(disk, 5 * BAND + 100, BAND - 200, 0, &err));
	EXPECT_OK(pl_zero(disk, 6 * BAND, 4 * BAND, 0, &err));
	expect_equal(disk, model, 10 * BAND);
	EXPECT_OK(pl_zero(disk, 0, 10 * BAND, 0, &err));
	memset(model, 0, 10 * BAND);
	expect_equal(disk, model, 10 * BAND);
	run("set -- %s/*; rm -r %s; test $# = 1", folder, folder);
}

TEST(what_is_abandoned_leaves_nothing_and_what_is_left_is_cleared)
{
	PL_AUTOFREE char *path = pl_format("%s/n", pl_test_folder());
	struct pl_storage_create how = { .inside = "Info.plist" };
	struct pl_disk *file = NULL, *bands = NULL;

	run("mkdir -p n.part/bands/x; echo >n.part/bands/0; ln -s /etc n.part/etc");
	EXPECT_OK(pl_storage_create(path, &how, &file, &err));
	run("test \"$(ls n.part)\" = Info.plist && test -d /etc/ssl");
	EXPECT_OK(pl_storage_create_bands(file, "bands", BAND, SIZE, &bands, &err));
	EXPECT_OK(pl_write(bands, "x", 1, SIZE - 1, &err));
	pl_disk_unref(bands);
	run("test -f n.part/bands/64");
	pl_storage_abandon(file, false);
	pl_disk_unref(file);
	run("! ls | grep n");
}
