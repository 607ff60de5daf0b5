/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-inventory.c - computers of several kinds are told of as they are, and what is in use is refused */
#include "guard.h"
#include "identity.h"
#include "inventory.h"
#include "recorded.h"

static struct platter_error err;
static struct pl_inventory inventory;

static const struct platter_device *
device(const char *name)
{
	size_t index = pl_blocks_by_name(inventory.blocks, name);

	if (index == PL_NO_BLOCK)
		pl_test_fail(__FILE__, __LINE__, "there is no device '%s'", name);
	return &inventory.list[index];
}

static void
look(void)
{
	EXPECT_OK(pl_inventory_read(recorded, &inventory, &err));
}

/* The words of what refuses a device, or "" if nothing does. */
static const char *
refusal(const char *name)
{
	size_t index = pl_blocks_by_name(inventory.blocks, name);
	struct pl_users users;

	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_OK(pl_users_of_block(inventory.blocks, index, &users, &err));
	pl_users_refuse(&users, inventory.blocks->list[index].path, &err);
	pl_users_done(&users);
	return err.message;
}

static void
expect_words(const char *text, const char *words)
{
	if (!strstr(text, words))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", text, words);
}

#define SATA "sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda"

/* A SATA disk with Windows, as SCSI names it, and as udev knows it better. */
static void
windows_computer(void)
{
	static const uint8_t serial[] = "\0\x80\0\x14     WD-WCC4J1234567";

	new_computer();
	add_disk(SATA, 8, 0, 1953525168);
	attribute(SATA, "queue/rotational", "1");
	attribute(SATA, "queue/physical_block_size", "4096");
	attribute(SATA, "device/vendor", "ATA     ");
	attribute(SATA, "device/model", "WDC WD10EZEX-08W");
	attribute(SATA, "device/rev", "1A01");
	record_bytes(SATA "/device/vpd_pg80", serial, sizeof serial - 1);
	add_partition(SATA, "sda1", 1, 8, 1, 2048, 204800);
	add_partition(SATA, "sda2", 2, 8, 2, 206848, 32768);
	add_partition(SATA, "sda10", 10, 8, 10, 239616, 1000000);
	record("run/udev/data/b8:0", "S:disk/by-id/wwn-0x50014ee2b1234567\n"
				     "S:disk/by-id/ata-WDC_WD10EZEX-08WN4A0_WD-WCC4J1234567\n"
				     "E:ID_BUS=ata\n"
				     "E:ID_MODEL=WDC_WD10EZEX-08WN4A0\n"
				     "E:ID_MODEL_ENC=WDC\\x20WD10EZEX-08WN4A0\\x20\\x20\\x20\n"
				     "E:ID_REVISION=01.01A01\n"
				     "E:ID_SERIAL_SHORT=WD-WCC4J1234567\n"
				     "E:ID_WWN=0x50014ee2b1234567");
}

TEST(sata_disk_is_named_as_people_know_it)
{
	const struct platter_device *d;

	windows_computer();
	look();
	d = device("sda");
	EXPECT_EQ(d->kind, PLATTER_DEVICE_DRIVE);
	EXPECT_EQ(d->nature, PLATTER_NATURE_PHYSICAL);
	EXPECT_STR(d->path, "/dev/sda");
	EXPECT_STR(d->bus, "sata");
	EXPECT_STR(d->vendor, "");
	EXPECT_STR(d->model, "WDC WD10EZEX-08WN4A0");
	EXPECT_STR(d->serial, "WD-WCC4J1234567");
	EXPECT_STR(d->wwn, "0x50014ee2b1234567");
	EXPECT_STR(d->firmware, "01.01A01");
	EXPECT_STR(d->by_id, "/dev/disk/by-id/ata-WDC_WD10EZEX-08WN4A0_WD-WCC4J1234567");
	EXPECT(d->rotational && d->rotational_known);
	EXPECT_EQ(d->physical_sector_size, 4096);
	EXPECT_EQ(d->size, UINT64_C(1000204886016));
	EXPECT_EQ(d->nr_children, 3);
	EXPECT_STR(inventory.list[d->children[1]].path, "/dev/sda2");
	EXPECT_STR(inventory.list[d->children[2]].path, "/dev/sda10");
	d = device("sda2");
	EXPECT_EQ(d->kind, PLATTER_DEVICE_PARTITION);
	EXPECT_EQ(d->partition, 2);
	EXPECT_EQ(d->start, MIB(101));
	EXPECT_STR(inventory.list[d->parents[0]].name, "sda");
	EXPECT_STR(refusal("sda"), "");
	pl_inventory_done(&inventory);
}

TEST(serial_number_comes_from_the_kernel_without_udev)
{
	char path[512];

	windows_computer();
	snprintf(path, sizeof path, "%s/run/udev/data/b8:0", recorded);
	EXPECT_EQ(unlink(path), 0);
	look();
	EXPECT_STR(device("sda")->serial, "WD-WCC4J1234567");
	EXPECT_STR(device("sda")->model, "WDC WD10EZEX-08W");
	EXPECT_STR(device("sda")->by_id, "");
	pl_inventory_done(&inventory);
}

#define NVME "sys/devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1"

/* An NVMe drive with LVM on LUKS: root and swap, as installers make it. */
static void
linux_computer(void)
{
	const char *crypt, *root, *swap;

	new_computer();
	add_disk(NVME, 259, 0, 1000215216);
	attribute(NVME, "wwid", "eui.0025385791b2c3d4");
	attribute(NVME, "device/model", "Samsung SSD 970 EVO Plus 500GB          ");
	attribute(NVME, "device/serial", "S4EVNX0N123456      ");
	attribute(NVME, "device/firmware_rev", "2B2QEXM7");
	add_partition(NVME, "nvme0n1p1", 1, 259, 1, 2048, 1048576);
	add_partition(NVME, "nvme0n1p2", 2, 259, 2, 1050624, 999000000);
	crypt = add_mapping(0, 998967232, "nvme0n1p2_crypt",
			    "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-nvme0n1p2_crypt");
	root = add_mapping(1, 900000000, "vg-root", "LVM-abcdefghijklmnopqrstuvwxyzABCDEF");
	swap = add_mapping(2, 16000000, "vg-swap_1", "LVM-zbcdefghijklmnopqrstuvwxyzABCDEF");
	stack(NVME "/nvme0n1p2", crypt);
	stack(crypt, root);
	stack(crypt, swap);
	record("proc/self/mountinfo",
	       "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n"
	       "23 22 0:5 / /dev rw - devtmpfs udev rw\n"
	       "40 22 259:1 / /boot/efi rw,relatime shared:30 - vfat /dev/nvme0n1p1 rw");
	record("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"
			     "/dev/dm-2                               partition\t7999996\t0\t-2");
}

TEST(running_system_is_found_through_lvm_and_luks)
{
	const struct platter_device *d;

	linux_computer();
	look();
	d = device("nvme0n1");
	EXPECT_STR(d->bus, "nvme");
	EXPECT_STR(d->model, "Samsung SSD 970 EVO Plus 500GB");
	EXPECT_STR(d->serial, "S4EVNX0N123456");
	EXPECT_STR(d->firmware, "2B2QEXM7");
	EXPECT_STR(device("dm-0")->type, "dm-crypt (LUKS2)");
	EXPECT_STR(device("dm-1")->type, "LVM logical volume");
	EXPECT_STR(device("dm-1")->path, "/dev/mapper/vg-root");
	EXPECT_STR(device("dm-1")->mounts[0], "/");
	EXPECT(device("dm-2")->swap);
	EXPECT_EQ(device("dm-0")->nature, PLATTER_NATURE_DERIVED);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "nvme0n1", "nvme0n1p2", "dm-0" };

		expect_words(refusal(names[i]), "'/dev/mapper/vg-root' is mounted on '/'");
		expect_words(err.message, "'/dev/mapper/vg-swap_1' is swap space");
		EXPECT_STR(err.hint, "it holds the running system");
	}
	expect_words(refusal("nvme0n1p1"), "it is mounted on '/boot/efi'");
	EXPECT_STR(err.hint, "it holds the running system");
	pl_inventory_done(&inventory);
}

TEST(uses_are_listed_in_the_order_in_which_they_end)
{
	static const char *const order[] = { "umount /srv/data", "lvchange -an /dev/mapper/vg-data",
					     "cryptsetup close vault", "mdadm --stop /dev/md0" };
	const char *crypt, *data;
	struct pl_users users;
	size_t at = 0;

	new_computer();
	add_disk(SATA, 8, 0, 1000);
	add_disk("sys/devices/virtual/block/md0", 9, 0, 900);
	attribute("sys/devices/virtual/block/md0", "md/level", "raid1");
	attribute("sys/devices/virtual/block/md0", "md/raid_disks", "2");
	attribute("sys/devices/virtual/block/md0", "md/degraded", "1");
	attribute("sys/devices/virtual/block/md0", "md/array_state", "clean");
	crypt = add_mapping(0, 800, "vault", "CRYPT-LUKS1-0-vault");
	data = add_mapping(1, 700, "vg-data", "LVM-0");
	stack(SATA, "sys/devices/virtual/block/md0");
	stack("sys/devices/virtual/block/md0", crypt);
	stack(crypt, data);
	record("proc/self/mountinfo", "22 1 253:1 / /srv/data rw - ext4 /dev/mapper/vg-data rw");
	look();
	EXPECT_STR(device("md0")->type, "raid1");
	EXPECT_STR(device("md0")->state, "degraded, 1 of 2 members missing");
	EXPECT_OK(pl_users_of_block(inventory.blocks, pl_blocks_by_name(inventory.blocks, "sda"),
				    &users, &err));
	for (size_t i = 0; i < users.nr; i++)
		if (*users.list[i].release) {
			EXPECT(at < ARRAY_SIZE(order));
			EXPECT_STR(users.list[i].release, order[at++]);
		}
	EXPECT_EQ(at, ARRAY_SIZE(order));
	pl_users_done(&users);
	expect_words(refusal("md0"), "it is part of 'vault' (/dev/dm-0)");
	expect_words(err.hint, "free it first: umount /srv/data; lvchange");
	pl_inventory_done(&inventory);
}

#define USB   "sys/devices/pci0000:00/0000:00:14.0/usb1/1-4"
#define STICK USB "/1-4:1.0/host6/target6:0:0/6:0:0:0/block/sdb"

TEST(usb_stick_has_the_number_of_its_bridge)
{
	const struct platter_device *d;

	new_computer();
	add_disk(STICK, 8, 16, 60437492);
	attribute(STICK, "removable", "1");
	attribute(STICK, "queue/rotational", "1");
	make_folders(USB "/1-4:1.0/host6/target6:0:0/6:0:0:0");
	record_link(STICK "/device", "../../../6:0:0:0");
	attribute(USB "/1-4:1.0/host6/target6:0:0/6:0:0:0", "vendor", "SanDisk ");
	attribute(USB "/1-4:1.0/host6/target6:0:0/6:0:0:0", "model", "Ultra Fit       ");
	attribute(USB "/1-4:1.0/host6/target6:0:0/6:0:0:0", "rev", "1.00");
	attribute(USB, "idVendor", "0781");
	attribute(USB, "serial", "4C530001230704116512");
	add_partition(STICK, "sdb1", 1, 8, 17, 2048, 60435444);
	record("proc/self/mountinfo",
	       "90 22 8:17 / /media/anna/MY\\040STICK rw,nosuid shared:50 - vfat /dev/sdb1 rw");
	look();
	d = device("sdb");
	EXPECT_STR(d->bus, "usb");
	EXPECT_STR(d->vendor, "SanDisk");
	EXPECT_STR(d->model, "Ultra Fit");
	EXPECT_STR(d->serial, "4C530001230704116512");
	EXPECT(d->removable && !d->rotational_known);
	EXPECT_EQ(d->nature, PLATTER_NATURE_PHYSICAL);
	EXPECT_STR(device("sdb1")->mounts[0], "/media/anna/MY STICK");
	expect_words(refusal("sdb"), "'/dev/sdb1' is mounted on '/media/anna/MY STICK'");
	EXPECT_STR(err.hint, "unmount it first: umount '/media/anna/MY STICK'");
	pl_inventory_done(&inventory);
}

TEST(drive_with_several_paths_is_one)
{
	static const char *const paths[] = {
		"sys/devices/pci0000:00/0000:03:00.0/host1/rport-1:0-0/target1:0:0/1:0:0:0/block/"
		"sda",
		"sys/devices/pci0000:00/0000:03:00.1/host2/rport-2:0-0/target2:0:0/2:0:0:0/block/"
		"sdb",
	};
	const char *joined, *part;

	new_computer();
	joined = add_mapping(0, 1000, "mpatha", "mpath-360014051234567890abcdef");
	part = add_mapping(1, 900, "mpatha-part1", "part1-mpath-360014051234567890abcdef");
	for (unsigned i = 0; i < 2; i++) {
		add_disk(paths[i], 8, 16 * i, 1000);
		attribute(paths[i], "device/vendor", "NETAPP  ");
		attribute(paths[i], "device/model", "LUN C-Mode      ");
		attribute(paths[i], "device/wwid", "naa.60014051234567890abcdef");
		stack(paths[i], joined);
	}
	stack(joined, part);
	look();
	EXPECT_STR(device("sda")->bus, "fc");
	EXPECT_EQ(device("sda")->nature, PLATTER_NATURE_REMOTE);
	EXPECT_STR(device("sdb")->wwn, "naa.60014051234567890abcdef");
	EXPECT_STR(device("dm-0")->type, "multipath");
	EXPECT_EQ(device("dm-0")->nr_parents, 2);
	EXPECT_STR(device("dm-1")->type, "partition 1 of a mapping");
	expect_words(refusal("sdb"), "it is part of 'mpatha' (/dev/dm-0)");
	pl_inventory_done(&inventory);
}

TEST(btrfs_of_several_devices_keeps_each)
{
	new_computer();
	add_disk(SATA, 8, 0, 1000);
	add_disk("sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sdb", 8,
		 16, 1000);
	record_link("sys/fs/btrfs/01234567-89ab-cdef-0123-456789abcdef/devices/sda", "nowhere");
	record_link("sys/fs/btrfs/01234567-89ab-cdef-0123-456789abcdef/devices/sdb", "nowhere");
	record("proc/self/mountinfo", "22 1 0:30 /@ / rw - btrfs /dev/sda rw,subvol=/@");
	look();
	expect_words(refusal("sda"), "it is mounted on '/'");
	expect_words(refusal("sdb"), "it is part of the mounted Btrfs file system");
	EXPECT_STR(err.hint, "it holds the running system");
	pl_inventory_done(&inventory);
}

TEST(images_and_virtual_disks_are_told_from_drives)
{
	static const char command[] = "qemu-nbd\0-c\0/dev/nbd0\0a.qcow2",
			  loop[] = "sys/devices/virtual/block/loop0",
			  empty[] = "sys/devices/virtual/block/loop1",
			  nbd[] = "sys/devices/virtual/block/nbd0",
			  zram[] = "sys/devices/virtual/block/zram0",
			  virtio[] = "sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda",
			  qemu[] = "sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/"
				   "0:0:0:0/block/sda",
			  optical[] = "sys/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/"
				      "2:0:0:0/block/sr0";

	new_computer();
	add_disk(loop, 7, 0, 1000);
	attribute(loop, "loop/backing_file", "/home/anna/disk.img");
	add_disk(empty, 7, 1, 0);
	add_disk(nbd, 43, 0, 1000);
	attribute(nbd, "pid", "4711");
	record_bytes("proc/4711/cmdline", command, sizeof command);
	add_disk(zram, 252, 0, 1000);
	add_disk(virtio, 254, 0, 1000);
	attribute(virtio, "serial", "disk-1");
	attribute(virtio, "device/vendor", "0x1af4");
	add_disk(qemu, 8, 0, 1000);
	attribute(qemu, "device/vendor", "ATA     ");
	attribute(qemu, "device/model", "QEMU HARDDISK   ");
	add_disk(optical, 11, 0, 2097151);
	attribute(optical, "device/vendor", "HL-DT-ST");
	attribute(optical, "device/model", "DVDRAM GH24NSD1 ");
	look();
	EXPECT_EQ(device("loop0")->nature, PLATTER_NATURE_IMAGE);
	EXPECT_STR(device("loop0")->backing, "/home/anna/disk.img");
	EXPECT(device("loop0")->attached && !device("loop1")->attached);
	EXPECT_EQ(device("nbd0")->kind, PLATTER_DEVICE_NBD);
	EXPECT_STR(device("nbd0")->backing, "qemu-nbd -c /dev/nbd0 a.qcow2");
	EXPECT_EQ(device("zram0")->nature, PLATTER_NATURE_MEMORY);
	EXPECT_EQ(device("vda")->nature, PLATTER_NATURE_VIRTUAL);
	EXPECT_STR(device("vda")->serial, "disk-1");
	EXPECT_STR(device("vda")->vendor, "");
	EXPECT_EQ(device("sda")->nature, PLATTER_NATURE_VIRTUAL);
	EXPECT_EQ(device("sr0")->kind, PLATTER_DEVICE_OPTICAL);
	EXPECT_EQ(device("sr0")->nature, PLATTER_NATURE_PHYSICAL);
	pl_inventory_done(&inventory);
}

TEST(disk_used_as_a_whole_keeps_its_partitions)
{
	new_computer();
	add_disk(SATA, 8, 0, 1000);
	add_partition(SATA, "sda1", 1, 8, 1, 10, 100);
	add_partition(SATA, "sda2", 2, 8, 2, 200, 100);
	stack(SATA, add_mapping(0, 1000, "whole", ""));
	record("proc/self/mountinfo", "22 1 8:2 / /two rw - ext4 /dev/sda2 rw");
	look();
	expect_words(refusal("sda1"), "'/dev/sda' is part of 'whole' (/dev/dm-0)");
	EXPECT(!strstr(err.message, "/two"));
	pl_inventory_done(&inventory);
}

TEST(identity_is_of_drive_and_partition)
{
	struct pl_identity disk, part;

	windows_computer();
	look();
	pl_identity_of_block(inventory.blocks, pl_blocks_by_name(inventory.blocks, "sda"), &disk);
	pl_identity_of_block(inventory.blocks, pl_blocks_by_name(inventory.blocks, "sda2"), &part);
	EXPECT_STR(pl_identity_word(&disk), "WD-WCC4J1234567");
	EXPECT_STR(pl_identity_word(&part), "WD-WCC4J1234567");
	EXPECT_EQ(disk.sequence, part.sequence);
	EXPECT(disk.sequence != 0);
	EXPECT_EQ(part.start, MIB(101));
	pl_inventory_done(&inventory);
}

TEST(computer_without_sysfs_is_an_error)
{
	new_computer();
	EXPECT_EQ(pl_inventory_read(recorded, &inventory, &err), -ENOENT);
}
