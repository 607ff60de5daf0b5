/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * types.c - partition types in plain words
 *
 * A type says what whoever made the partition meant to put there, no more.  Where one
 * number was taken by several systems, all that a user may meet today are named.
 */
#include "types.h"

#include <stddef.h>
#include <string.h>

#include "bytes.h"

static const char unknown[] = "unknown type";

static const char *const mbr_types[256] = {
	[0x00] = "empty",
	[0x01] = "FAT12",
	[0x02] = "XENIX root",
	[0x03] = "XENIX /usr",
	[0x04] = "FAT16, under 32 MiB",
	[0x05] = "extended partition",
	[0x06] = "FAT16",
	[0x07] = "NTFS, exFAT or HPFS",
	[0x08] = "AIX",
	[0x09] = "AIX, bootable",
	[0x0a] = "OS/2 Boot Manager",
	[0x0b] = "FAT32",
	[0x0c] = "FAT32 (LBA)",
	[0x0e] = "FAT16 (LBA)",
	[0x0f] = "extended partition (LBA)",
	[0x10] = "OPUS",
	[0x11] = "hidden FAT12",
	[0x12] = "OEM diagnostics",
	[0x14] = "hidden FAT16, under 32 MiB",
	[0x16] = "hidden FAT16",
	[0x17] = "hidden NTFS, exFAT or HPFS",
	[0x18] = "AST SmartSleep",
	[0x1b] = "hidden FAT32",
	[0x1c] = "hidden FAT32 (LBA)",
	[0x1e] = "hidden FAT16 (LBA)",
	[0x24] = "NEC DOS",
	[0x27] = "Windows recovery environment (hidden NTFS)",
	[0x39] = "Plan 9",
	[0x3c] = "PartitionMagic recovery",
	[0x40] = "Venix 80286",
	[0x41] = "PowerPC PReP boot",
	[0x42] = "Windows dynamic disk (LDM)",
	[0x4d] = "QNX4",
	[0x4e] = "QNX4, second part",
	[0x4f] = "QNX4, third part",
	[0x50] = "OnTrack Disk Manager",
	[0x51] = "OnTrack Disk Manager, Aux1",
	[0x52] = "CP/M",
	[0x53] = "OnTrack Disk Manager, Aux3",
	[0x54] = "OnTrack Disk Manager 6",
	[0x55] = "EZ-Drive",
	[0x56] = "Golden Bow",
	[0x5c] = "Priam Edisk",
	[0x61] = "SpeedStor",
	[0x63] = "GNU Hurd or System V",
	[0x64] = "Novell NetWare 286",
	[0x65] = "Novell NetWare 386",
	[0x70] = "DiskSecure Multi-Boot",
	[0x75] = "PC/IX",
	[0x80] = "old Minix",
	[0x81] = "Minix or old Linux",
	[0x82] = "Linux swap or Solaris",
	[0x83] = "Linux",
	[0x84] = "hibernation",
	[0x85] = "Linux extended partition",
	[0x86] = "FAT16 volume set",
	[0x87] = "NTFS volume set",
	[0x88] = "Linux plain text table",
	[0x8e] = "Linux LVM",
	[0x93] = "Amoeba",
	[0x94] = "Amoeba bad block table",
	[0x9f] = "BSD/OS",
	[0xa0] = "laptop hibernation",
	[0xa5] = "FreeBSD",
	[0xa6] = "OpenBSD",
	[0xa7] = "NeXTSTEP",
	[0xa8] = "Darwin UFS",
	[0xa9] = "NetBSD",
	[0xab] = "Apple boot",
	[0xaf] = "Apple HFS or HFS+",
	[0xb7] = "BSDI file system",
	[0xb8] = "BSDI swap",
	[0xbb] = "Boot Wizard hidden",
	[0xbc] = "Acronis Secure Zone",
	[0xbe] = "Solaris boot",
	[0xbf] = "Solaris",
	[0xc1] = "DR-DOS secured FAT12",
	[0xc4] = "DR-DOS secured FAT16, under 32 MiB",
	[0xc6] = "DR-DOS secured FAT16",
	[0xc7] = "Syrinx",
	[0xda] = "data without a file system",
	[0xdb] = "CP/M or CTOS",
	[0xde] = "Dell utility",
	[0xdf] = "BootIt",
	[0xe1] = "DOS access",
	[0xe3] = "DOS read-only",
	[0xe4] = "SpeedStor, 16-bit FAT",
	[0xea] = "Linux extended boot",
	[0xeb] = "BeOS",
	[0xee] = "GPT protective",
	[0xef] = "EFI System",
	[0xf0] = "Linux/PA-RISC boot",
	[0xf1] = "SpeedStor",
	[0xf2] = "DOS secondary",
	[0xf4] = "SpeedStor, large",
	[0xf8] = "Arm EBBR protective",
	[0xfb] = "VMware VMFS",
	[0xfc] = "VMware core dump",
	[0xfd] = "Linux RAID",
	[0xfe] = "LANstep",
	[0xff] = "XENIX bad block table",
};

static const struct gpt_type {
	const char *guid, *name;
	enum pl_gpt_attributes attributes;
} gpt_types[] = {
#define MS       PL_GPT_ATTRIBUTES_MICROSOFT
#define LINUX    PL_GPT_ATTRIBUTES_LINUX
#define CHROMEOS PL_GPT_ATTRIBUTES_CHROMEOS
	{ "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EFI System", 0 },
	{ "21686148-6449-6E6F-744E-656564454649", "BIOS boot", 0 },
	{ "024DEE41-33E7-11D3-9D69-0008C781F39F", "MBR partition scheme", 0 },
	{ "D3BFE2DE-3DAF-11DF-BA40-E3A556D89593", "Intel Fast Flash", 0 },
	{ "9E1A2D38-C612-4316-AA26-8B49521E5A8B", "PowerPC PReP boot", 0 },

	{ "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "basic data", MS },
	{ "E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "Microsoft reserved", MS },
	{ "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "Windows recovery environment", MS },
	{ "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "Windows dynamic disk metadata (LDM)", MS },
	{ "AF9B60A0-1431-4F62-BC68-3311714A69AD", "Windows dynamic disk data (LDM)", MS },
	{ "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D", "Windows Storage Spaces", MS },
	{ "558D43C5-A1AC-43C0-AAC8-D1472B2923D1", "Windows Storage Replica", MS },
	{ "37AFFC90-EF7D-4E96-91C3-2D7AE055B174", "IBM GPFS", 0 },

	{ "48465300-0000-11AA-AA11-00306543ECAC", "Apple HFS or HFS+", 0 },
	{ "7C3457EF-0000-11AA-AA11-00306543ECAC", "Apple APFS", 0 },
	{ "426F6F74-0000-11AA-AA11-00306543ECAC", "Apple boot", 0 },
	{ "53746F72-6167-11AA-AA11-00306543ECAC", "Apple Core Storage", 0 },
	{ "52414944-0000-11AA-AA11-00306543ECAC", "Apple RAID", 0 },
	{ "52414944-5F4F-11AA-AA11-00306543ECAC", "Apple RAID, offline", 0 },
	{ "55465300-0000-11AA-AA11-00306543ECAC", "Apple UFS", 0 },
	{ "4C616265-6C00-11AA-AA11-00306543ECAC", "Apple label", 0 },
	{ "5265636F-7665-11AA-AA11-00306543ECAC", "Apple TV recovery", 0 },
	{ "69646961-6700-11AA-AA11-00306543ECAC", "Apple silicon boot", 0 },
	{ "52637672-7900-11AA-AA11-00306543ECAC", "Apple silicon recovery", 0 },

	{ "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "Linux file system", LINUX },
	{ "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "Linux swap", LINUX },
	{ "E6D6D379-F507-44C2-A23C-238F2A3DF928", "Linux LVM", 0 },
	{ "A19D880F-05FC-4D3B-A006-743F0F84911E", "Linux RAID", 0 },
	{ "CA7D7CCB-63ED-4C53-861C-1742536059CC", "Linux LUKS", 0 },
	{ "7FFEC5C9-2D00-49B7-8941-3EA10A5586B7", "Linux dm-crypt", 0 },
	{ "44479540-F297-41B2-9AF7-D131D5F0458A", "Linux root (x86)", LINUX },
	{ "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", "Linux root (x86-64)", LINUX },
	{ "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3", "Linux root (ARM)", LINUX },
	{ "B921B045-1DF0-41C3-AF44-4C6F280D3FAE", "Linux root (ARM-64)", LINUX },
	{ "72EC70A6-CF74-40E6-BD49-4BDA08E8F224", "Linux root (RISC-V-64)", LINUX },
	{ "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5", "Linux root verity (x86-64)", LINUX },
	{ "DF3300CE-D69F-4C92-978C-9BFB0F38D820", "Linux root verity (ARM-64)", LINUX },
	{ "8484680C-9521-48C6-9C11-B0720656F69E", "Linux /usr (x86-64)", LINUX },
	{ "B0E01050-EE5F-4390-949A-9101B17104E9", "Linux /usr (ARM-64)", LINUX },
	{ "933AC7E1-2EB4-4F13-B844-0E14E2AEF915", "Linux home", LINUX },
	{ "3B8F8425-20E0-4F3B-907F-1A25A76F98E8", "Linux server data", LINUX },
	{ "4D21B016-B534-45C2-A9FB-5C16E091FD2D", "Linux variable data", LINUX },
	{ "7EC6F557-3BC5-4ACA-B293-16EF5DF639D1", "Linux temporary data", LINUX },
	{ "BC13C2FF-59E6-4262-A352-B275FD6F7172", "Linux extended boot", LINUX },
	{ "8DA63339-0007-60C0-C436-083AC8230908", "Linux reserved", 0 },

	{ "83BD6B9D-7F41-11DC-BE0B-001560B84F0F", "FreeBSD boot", 0 },
	{ "516E7CB4-6ECF-11D6-8FF8-00022D09712B", "FreeBSD data", 0 },
	{ "516E7CB5-6ECF-11D6-8FF8-00022D09712B", "FreeBSD swap", 0 },
	{ "516E7CB6-6ECF-11D6-8FF8-00022D09712B", "FreeBSD UFS", 0 },
	{ "516E7CB8-6ECF-11D6-8FF8-00022D09712B", "FreeBSD Vinum", 0 },
	{ "516E7CBA-6ECF-11D6-8FF8-00022D09712B", "FreeBSD ZFS", 0 },
	{ "49F48D32-B10E-11DC-B99B-0019D1879648", "NetBSD swap", 0 },
	{ "49F48D5A-B10E-11DC-B99B-0019D1879648", "NetBSD FFS", 0 },
	{ "49F48D82-B10E-11DC-B99B-0019D1879648", "NetBSD LFS", 0 },
	{ "49F48DAA-B10E-11DC-B99B-0019D1879648", "NetBSD RAID", 0 },
	{ "824CC7A0-36A8-11E3-890A-952519AD3F61", "OpenBSD data", 0 },
	{ "6A82CB45-1DD2-11B2-99A6-080020736631", "Solaris boot", 0 },
	{ "6A85CF4D-1DD2-11B2-99A6-080020736631", "Solaris root", 0 },
	{ "6A87C46F-1DD2-11B2-99A6-080020736631", "Solaris swap", 0 },
	{ "6A898CC3-1DD2-11B2-99A6-080020736631", "ZFS or Solaris /usr", 0 },
	{ "6A945A3B-1DD2-11B2-99A6-080020736631", "Solaris reserved", 0 },

	{ "FE3A2A5D-4F32-41A7-B725-ACCC3285A309", "ChromeOS kernel", CHROMEOS },
	{ "3CB8E202-3B7E-47DD-8A3C-7FF2A13CFCEC", "ChromeOS root", 0 },
	{ "2E0A753D-9E48-43B0-8337-B15192CB1B5E", "ChromeOS reserved", 0 },
	{ "CAB6E88E-ABF3-4102-A07A-D4BB9BE3C1D3", "ChromeOS firmware", 0 },
	{ "AA31E02A-400F-11DB-9590-000C2911D1B8", "VMware VMFS", 0 },
	{ "9D275380-40AD-11DB-BF97-000C2911D1B8", "VMware diagnostic", 0 },
	{ "9198EFFC-31C0-11DB-8F78-000C2911D1B8", "VMware reserved", 0 },
	{ "42465331-3BA3-10F1-802A-4861696B7521", "Haiku BFS", 0 },
	{ "4FBD7E29-9D25-41B8-AFD0-062C0CEFF05D", "Ceph OSD", 0 },
	{ "45B0969E-9B03-4F30-B4C6-B4B80CEFF106", "Ceph journal", 0 },
#undef MS
#undef LINUX
#undef CHROMEOS
};

static const struct {
	const char *type, *name;
} apm_types[] = {
	{ "Apple_partition_map", "the partition map itself" },
	{ "Apple_Free", "free space" },
	{ "Apple_Extra", "free space" },
	{ "Apple_Void", "empty entry" },
	{ "Apple_Scratch", "empty entry" },
	{ "Apple_HFS", "Apple HFS or HFS+" },
	{ "Apple_HFSX", "Apple HFS+, case-sensitive" },
	{ "Apple_APFS", "Apple APFS" },
	{ "Apple_MFS", "Apple MFS" },
	{ "Apple_UFS", "Apple UFS" },
	{ "Apple_Rhapsody_UFS", "Apple Rhapsody UFS" },
	{ "Apple_PRODOS", "Apple ProDOS" },
	{ "Apple_UNIX_SVR2", "A/UX, Linux or NetBSD" },
	{ "Apple_Boot", "Apple boot" },
	{ "Apple_Bootstrap", "boot loader" },
	{ "Apple_Loader", "secondary loader" },
	{ "Apple_CoreStorage", "Apple Core Storage" },
	{ "Apple_RAID", "Apple RAID" },
	{ "Apple_Driver", "driver" },
	{ "Apple_Driver43", "SCSI Manager 4.3 driver" },
	{ "Apple_Driver43_CD", "SCSI CD driver" },
	{ "Apple_Driver_ATA", "ATA driver" },
	{ "Apple_Driver_ATAPI", "ATAPI driver" },
	{ "Apple_Driver_IOKit", "I/O Kit driver" },
	{ "Apple_Driver_OpenFirmware", "Open Firmware driver" },
	{ "Apple_FWDriver", "FireWire driver" },
	{ "Apple_Patches", "patches for drivers" },
	{ "Apple_ISO", "ISO 9660" },
	{ "DOS_FAT_12", "FAT12" },
	{ "DOS_FAT_16", "FAT16" },
	{ "DOS_FAT_16_S", "FAT16, under 32 MiB" },
	{ "DOS_FAT_32", "FAT32" },
	{ "Windows_FAT_16", "FAT16" },
	{ "Windows_FAT_32", "FAT32" },
	{ "Windows_NTFS", "NTFS or exFAT" },
	{ "CD_partition_scheme", "CD sessions" },
	{ "Be_BFS", "BeOS BFS" },
	{ "Linux_RAID", "Linux RAID" },
	{ "swap", "swap" },
};

static const char *const bsd_types[] = {
	[0] = "unused",
	[1] = "swap",
	[2] = "UNIX version 6",
	[3] = "UNIX version 7",
	[4] = "UNIX System V",
	[5] = "4.1BSD",
	[6] = "UNIX version 8",
	[7] = "4.2BSD fast file system (UFS)",
	[8] = "FAT",
	[9] = "4.4BSD LFS",
	[10] = "in use, unknown",
	[11] = "HPFS",
	[12] = "ISO 9660",
	[13] = "boot loader",
	[14] = "AmigaDOS or Vinum",
	[15] = "Apple HFS or RAID",
	[17] = "Linux ext2",
	[18] = "NTFS",
	[20] = "RAID",
	[27] = "ZFS",
};

static const char *const sun_types[] = {
	[0] = "unassigned", [1] = "boot",
	[2] = "root",       [3] = "swap",
	[4] = "/usr",       [5] = "whole disk",
	[6] = "stand",      [7] = "/var",
	[8] = "/home",      [9] = "alternate sectors",
	[10] = "cache",     [11] = "reserved",
};

static const char *const sgi_types[] = {
	[0] = "volume header",
	[1] = "replacement tracks",
	[2] = "replacement sectors",
	[3] = "raw data or swap",
	[4] = "BSD file system",
	[5] = "System V file system",
	[6] = "whole disk",
	[7] = "EFS",
	[8] = "logical volume",
	[9] = "raw logical volume",
	[10] = "XFS",
	[11] = "XFS log",
	[12] = "XLV volume",
	[13] = "XVM volume",
};

static const char *
or_unknown(const char *name)
{
	return name ? name : unknown;
}

const char *
pl_mbr_type_name(uint8_t type)
{
	return or_unknown(mbr_types[type]);
}

static const struct gpt_type *
find_gpt_type(const char *guid)
{
	for (size_t i = 0; i < ARRAY_SIZE(gpt_types); i++)
		if (!strcmp(gpt_types[i].guid, guid))
			return &gpt_types[i];
	return NULL;
}

const char *
pl_gpt_type_name(const char *guid)
{
	const struct gpt_type *type = find_gpt_type(guid);

	return type ? type->name : unknown;
}

enum pl_gpt_attributes
pl_gpt_type_attributes(const char *guid)
{
	const struct gpt_type *type = find_gpt_type(guid);

	return type ? type->attributes : PL_GPT_ATTRIBUTES_NONE;
}

const char *
pl_apm_type_name(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(apm_types); i++)
		if (!strcmp(apm_types[i].type, type))
			return apm_types[i].name;
	return unknown;
}

const char *
pl_bsd_type_name(uint8_t fstype)
{
	return or_unknown(fstype < ARRAY_SIZE(bsd_types) ? bsd_types[fstype] : NULL);
}

/* Linux puts MBR type bytes into Sun and SGI labels. */
static const char *
or_linux(uint32_t type)
{
	return type == 0x82 || type == 0x83 || type == 0x8e || type == 0xfd ? mbr_types[type]
									    : unknown;
}

const char *
pl_sun_type_name(uint16_t tag)
{
	return tag < ARRAY_SIZE(sun_types) ? sun_types[tag] : or_linux(tag);
}

const char *
pl_sgi_type_name(uint32_t type)
{
	return type < ARRAY_SIZE(sgi_types) ? sgi_types[type] : or_linux(type);
}
