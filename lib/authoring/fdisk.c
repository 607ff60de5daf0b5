/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fdisk.h"

#include <stdio.h>
#include <strings.h>

#include <libfdisk/libfdisk.h>

#include "bytes.h"
#include "epoch.h"
#include "text.h"

/* UEFI 2.10, table 5.7; the Discoverable Partitions Specification; as Linux, Apple and Microsoft use MBRs. */
static const struct {
	const char *name, *guid, *mbr;
} types[] = {
	{ "efi", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ef" },
	{ "bios", "21686148-6449-6E6F-744E-656564454649", NULL },
	{ "linux", "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "83" },
	{ "swap", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "82" },
	{ "lvm", "E6D6D379-F507-44C2-A23C-238F2A3DF928", "8e" },
	{ "raid", "A19D880F-05FC-4D3B-A006-743F0F84911E", "fd" },
	{ "home", "933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "83" },
	{ "srv", "3B8F8425-20E0-4F3B-907F-1A25A76F98E8", "83" },
	{ "var", "4D21B016-B534-45C2-A9FB-5C16E091FD2D", "83" },
	{ "xbootldr", "BC13C2FF-59E6-4262-A352-B275FD6F7172", "ea" },
	{ "root-x86-64", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "83" },
	{ "root-x86", "44479540-F297-41B2-9AF7-D131D5F0458A", "83" },
	{ "root-arm64", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE", "83" },
	{ "root-arm", "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3", "83" },
	{ "root-riscv64", "72EC70A6-CF74-40E6-BD49-4BDA08E8F224", "83" },
	{ "msdata", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "07" },
	{ "msreserved", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE", NULL },
	{ "recovery", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "27" },
	{ "fat", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "0c" },
	{ "hfs+", "48465300-0000-11AA-AA11-00306543ECAC", "af" },
	{ "apfs", "7C3457EF-0000-11AA-AA11-00306543ECAC", NULL },
};

const char *
pl_partition_type(const char *name, bool gpt)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcasecmp(types[i].name, name))
			return gpt ? types[i].guid : types[i].mbr;
	return name;
}

static int
failed(struct platter_error *err, int code, const char *what)
{
	return pl_fail_errno(err, code < 0 ? code : -EIO, "%s", what);
}

/* A GUID as text, for `what` and a number. */
static int
derive_text(int64_t epoch, const char *what, size_t number, char ret[static PL_UUID_TEXT],
	    struct platter_error *err)
{
	char seed[32];
	uint8_t guid[16];
	int r;

	snprintf(seed, sizeof seed, "%s %zu", what, number);
	r = pl_derive_guid(epoch, seed, guid, err);
	if (r == 0)
		pl_guid_text(guid, ret);
	return r;
}

static int
set_disk_id(struct fdisk_context *fdisk, bool gpt, int64_t epoch, struct platter_error *err)
{
	char id[PL_UUID_TEXT];
	int r, code;

	if (epoch < 0)
		return 0;
	r = derive_text(epoch, "disk", 0, id, err);
	if (r < 0)
		return r;
	if (!gpt)
		snprintf(id, sizeof id, "0x%08x", (unsigned)epoch);
	code = fdisk_set_disklabel_id_from_string(fdisk, id);
	return code < 0 ? failed(err, code, "set the identifier of the disk") : 0;
}

static int
set_type(struct fdisk_context *fdisk, struct fdisk_partition *to, bool gpt, const char *name,
	 struct platter_error *err)
{
	const char *text = pl_partition_type(name, gpt);
	struct fdisk_parttype *type;
	uint8_t guid[16];
	int r;

	if (!text)
		return pl_invalid(err, "an MBR has no type '%s'", name);
	type = !gpt || (strlen(text) == PL_UUID_TEXT - 1 && pl_guid_parse(text, guid))
		       ? fdisk_label_parse_parttype(fdisk_get_label(fdisk, NULL), text)
		       : NULL;
	if (!type) {
		r = pl_invalid(err, "'%s' is no type of a partition", name);
		pl_hint(err, "a name as efi, linux, swap, msdata or home; else %s",
			gpt ? "a GUID" : "two hexadecimal digits");
		return r;
	}
	fdisk_partition_set_type(to, type);
	fdisk_unref_parttype(type);
	return 0;
}

static int
add(struct fdisk_context *fdisk, bool gpt, const struct pl_new_partition *p, size_t index,
    int64_t epoch, struct platter_error *err)
{
	struct fdisk_partition *partition = fdisk_new_partition();
	unsigned long sector = fdisk_get_sector_size(fdisk);
	char id[PL_UUID_TEXT];
	int r, code;

	if (!partition)
		return pl_no_memory(err);
	fdisk_partition_set_partno(partition, index);
	fdisk_partition_set_start(partition, p->offset / sector);
	fdisk_partition_set_size(partition, p->length / sector);
	r = set_type(fdisk, partition, gpt, p->type, err);
	if (r == 0 && gpt && p->name)
		fdisk_partition_set_name(partition, p->name);
	if (r == 0 && gpt && epoch >= 0) {
		r = derive_text(epoch, "partition", index, id, err);
		if (r == 0)
			fdisk_partition_set_uuid(partition, id);
	}
	code = r == 0 ? fdisk_add_partition(fdisk, partition, NULL) : 0;
	if (code < 0)
		r = failed(err, code, "add a partition");
	fdisk_unref_partition(partition);
	return r;
}

static int
write_table(struct fdisk_context *fdisk, bool gpt, const struct pl_new_partition *partitions,
	    size_t nr, int64_t epoch, struct platter_error *err)
{
	int code = fdisk_create_disklabel(fdisk, gpt ? "gpt" : "dos"), r;

	if (code < 0)
		return failed(err, code, "begin a partition table");
	r = set_disk_id(fdisk, gpt, epoch, err);
	for (size_t i = 0; r == 0 && i < nr; i++)
		r = add(fdisk, gpt, &partitions[i], i, epoch, err);
	code = r == 0 ? fdisk_write_disklabel(fdisk) : 0;
	return code < 0 ? failed(err, code, "write the partition table") : r;
}

int
pl_fdisk_write(const char *image, bool gpt, const struct pl_new_partition *partitions, size_t nr,
	       int64_t epoch, struct platter_error *err)
{
	struct fdisk_context *fdisk = fdisk_new_context();
	int code, r;

	if (!fdisk)
		return pl_no_memory(err);
	fdisk_disable_dialogs(fdisk, 1);
	code = fdisk_assign_device(fdisk, image, 0);
	if (code < 0) {
		fdisk_unref_context(fdisk);
		return failed(err, code, "open the disk for its partition table");
	}
	r = write_table(fdisk, gpt, partitions, nr, epoch, err);
	fdisk_deassign_device(fdisk, 1);
	fdisk_unref_context(fdisk);
	return r;
}

/* The first number that is free, from `from` on. */
static size_t
free_number(struct fdisk_context *fdisk, size_t from)
{
	while (fdisk_is_partition_used(fdisk, from))
		from++;
	return from;
}

/* An extended partition for all logical ones, with room for the record before the first. */
static int
add_extended(struct fdisk_context *fdisk, size_t number, const struct pl_new_partition *logical,
	     size_t nr, struct platter_error *err)
{
	struct pl_new_partition extended = { .type = "0f" };
	uint64_t before = PL_MIN(logical[0].offset, PL_ALIGNMENT);

	extended.offset = logical[0].offset - before;
	extended.length = logical[nr - 1].offset + logical[nr - 1].length - extended.offset;
	return add(fdisk, false, &extended, number, -1, err);
}

static int
add_all(struct fdisk_context *fdisk, bool gpt, const struct pl_new_partition *partitions, size_t nr,
	struct platter_error *err)
{
	size_t primary = nr, i = 0;
	int r = 0;

	if (!gpt) {
		size_t room = 0;

		for (size_t k = 0; k < 4; k++)
			room += !fdisk_is_partition_used(fdisk, k);
		primary = nr <= room ? nr : room ? room - 1 : 0;
		if (nr > room && !room)
			return pl_invalid(err, "the MBR has no entry left for %zu partitions", nr);
	}
	for (; i < primary && r == 0; i++)
		r = add(fdisk, gpt, &partitions[i], free_number(fdisk, 0), -1, err);
	if (r == 0 && primary < nr)
		r = add_extended(fdisk, free_number(fdisk, 0), partitions + primary, nr - primary,
				 err);
	for (; i < nr && r == 0; i++)
		r = add(fdisk, gpt, &partitions[i], free_number(fdisk, 4), -1, err);
	return r;
}

int
pl_fdisk_add(const char *image, bool gpt, bool keep, uint32_t sector_size,
	     const struct pl_new_partition *partitions, size_t nr, struct platter_error *err)
{
	struct fdisk_context *fdisk = fdisk_new_context();
	int code, r = 0;

	if (!fdisk)
		return pl_no_memory(err);
	fdisk_disable_dialogs(fdisk, 1);
	fdisk_save_user_sector_size(fdisk, sector_size, sector_size);
	code = fdisk_assign_device(fdisk, image, 0);
	if (code < 0) {
		fdisk_unref_context(fdisk);
		return failed(err, code, "open the disk for its partition table");
	}
	if (!keep)
		code = fdisk_create_disklabel(fdisk, gpt ? "gpt" : "dos");
	if (code < 0)
		r = failed(err, code, "begin a partition table");
	else if (!fdisk_is_labeltype(fdisk, gpt ? FDISK_DISKLABEL_GPT : FDISK_DISKLABEL_DOS))
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "the partition table is too damaged for libfdisk to be added to");
	if (r == 0)
		r = add_all(fdisk, gpt, partitions, nr, err);
	code = r == 0 ? fdisk_write_disklabel(fdisk) : 0;
	if (code < 0)
		r = failed(err, code, "write the partition table");
	fdisk_deassign_device(fdisk, 1);
	fdisk_unref_context(fdisk);
	return r;
}
