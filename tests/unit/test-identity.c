/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-identity.c - a device that was replaced under its name is not written to */
#include <fcntl.h>
#include <sys/stat.h>

#include "devices.h"
#include "identity.h"

static struct platter_error err;

static const char *
make_image(const char *name, uint64_t size)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];
	int fd;

	snprintf(path, sizeof paths[0], "%s/%s", pl_test_folder(), name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	close(fd);
	return path;
}

static void
expect_replaced(const struct pl_identity *taken, const char *path, const char *words)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_EQ(pl_identity_check_path(taken, path, &err), -ENODEV);
	if (!strstr(err.message, words))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message, words);
}

TEST(device_attached_anew_under_its_name_is_another)
{
	const char *first = make_image("first", MIB(1)), *second = make_image("second", MIB(1)),
		   *loop = loop_on(first, "");
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_identity taken;

	EXPECT_OK(pl_identity_take(loop, &taken, &err));
	EXPECT_OK(pl_identity_check_path(&taken, loop, &err));
	EXPECT_STR(pl_identity_word(&taken), loop);
	if (!taken.sequence)
		SKIP("the kernel does not number what is attached");
	EXPECT_EQ(run("losetup -d %s && losetup %s %s", loop, loop, second), 0);
	expect_replaced(&taken, loop, "attached anew");
	EXPECT_OK(pl_storage_open(loop, PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE, &disk, &err));
	EXPECT_EQ(pl_identity_check(&taken, disk, &err), -ENODEV);
	EXPECT_OK(pl_identity_take(loop, &taken, &err));
	EXPECT_OK(pl_identity_check(&taken, disk, &err));
}

TEST(file_put_in_place_of_another_is_another)
{
	const char *path = make_image("disk", MIB(1)), *other = make_image("other", MIB(1));
	struct pl_identity taken;

	EXPECT_OK(pl_identity_take(path, &taken, &err));
	EXPECT_STR(pl_identity_word(&taken), "");
	EXPECT_EQ(truncate(path, (off_t)MIB(2)), 0);
	EXPECT_OK(pl_identity_check_path(&taken, path, &err));
	EXPECT_EQ(rename(other, path), 0);
	expect_replaced(&taken, path, "another file");
}

/* What may be different of two devices of one name, and the words for it. */
TEST(each_sign_of_another_device_counts)
{
	static const struct pl_identity disk = {
		.path = "/dev/sdb",
		.is_device = true,
		.file = { .device = 0x810 },
		.size = 1000204886016,
		.sequence = 12,
		.names = { .model = "CT1000MX500SSD1",
			   .serial = "1919E2005CE2",
			   .wwn = "0x500a0751e2005ce2" },
	};
	struct pl_identity serial = disk, model = disk, wwn = disk, size = disk, sequence = disk,
			   number = disk, start = disk;
	const struct {
		const struct pl_identity *now;
		const char *words;
	} others[] = {
		{ &serial, "serial number" },
		{ &model, "model" },
		{ &wwn, "world-wide" },
		{ &size, "size" },
		{ &sequence, "attached anew" },
		{ &number, "name leads" },
		{ &start, "size" },
	};

	strcpy(serial.names.serial, "1919E2005CE3");
	strcpy(model.names.model, "CT500MX500SSD1");
	strcpy(wwn.names.wwn, "");
	size.size += 512;
	sequence.sequence++;
	number.file.device = 0x820;
	start.start = 1048576;
	EXPECT_OK(pl_identity_compare(&disk, &disk, &err));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		EXPECT_EQ(pl_identity_compare(&disk, others[i].now, &err), -ENODEV);
		if (!strstr(err.message, others[i].words))
			pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message,
				     others[i].words);
	}
}

TEST(word_is_serial_number_else_model_else_path)
{
	struct pl_identity disk = {
		.path = "/dev/sdb",
		.is_device = true,
		.names = { .model = "Flash Disk", .serial = "20140410" },
	};

	EXPECT_STR(pl_identity_word(&disk), "20140410");
	*disk.names.serial = '\0';
	EXPECT_STR(pl_identity_word(&disk), "Flash Disk");
	*disk.names.model = '\0';
	EXPECT_STR(pl_identity_word(&disk), "/dev/sdb");
}

TEST(what_is_no_disk_has_no_identity)
{
	struct pl_identity taken;

	EXPECT_EQ(pl_identity_take("/nonexistent", &taken, &err), -ENOENT);
	EXPECT_EQ(pl_identity_take("/dev/null", &taken, &err), -EINVAL);
	EXPECT_EQ(pl_identity_take("/", &taken, &err), -EINVAL);
}
