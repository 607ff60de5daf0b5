/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain-rules.c - what partitions and disks are for
 *
 * The special stands before the general: the first rule that holds is taken.  A rule that asks for
 * a path makes platter look for that path in every file system that it explains.
 */
#include "explain.h"

#define APPLE_BOOT       "426F6F74-0000-11AA-AA11-00306543ECAC|0xab|Apple_Boot"
#define APPLE_HFS        "48465300-0000-11AA-AA11-00306543ECAC|0xaf|Apple_HFS|Apple_HFSX"
#define APPLE_APFS       "7C3457EF-0000-11AA-AA11-00306543ECAC|Apple_APFS"
#define APPLE_STORAGE    "53746F72-6167-11AA-AA11-00306543ECAC|Apple_CoreStorage"
#define APPLE_SILICON    "69646961-6700-11AA-AA11-00306543ECAC|52637672-7900-11AA-AA11-00306543ECAC"
#define ANY_APPLE        APPLE_BOOT "|" APPLE_HFS "|" APPLE_APFS "|" APPLE_STORAGE
#define EFI_SYSTEM       "C12A7328-F81F-11D2-BA4B-00A0C93EC93B|0xef"
#define BIOS_BOOT        "21686148-6449-6E6F-744E-656564454649"
#define MS_RESERVED      "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
#define WINDOWS_RECOVERY "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC|0x27"
#define WINDOWS_DYNAMIC \
	"5808C8AA-7E8F-42E0-85D2-E1E90434CFB3|AF9B60A0-1431-4F62-BC68-3311714A69AD|0x42"
#define STORAGE_SPACES "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D"
/* Diagnostics, Dell, Lenovo, Sony. */
#define MAKERS_OWN \
	"0x12|0xde|BFBFAFE7-A34F-448A-9A5B-6213EB736C22|F4019732-066E-4E12-8273-346C5641494F"
#define LINUX_SWAP "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
#define LINUX_BOOT "BC13C2FF-59E6-4262-A352-B275FD6F7172|0xea"
#define LINUX_HOME "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"
#define PREP_BOOT  "9E1A2D38-C612-4316-AA26-8B49521E5A8B|0x41"

#define RECOVERY_PURPOSE                                                                    \
	"Recovery HD: the hidden partition from which a Mac starts to repair or reinstall " \
	"its system. In it is the image BaseSystem.dmg, whose volume is the OS X Base System."
#define RECOVERY_DATA "it holds what Apple's installer put there to start Recovery"
#define RECOVERY_REMOVAL                                                                  \
	"The Mac starts no Recovery from this disk any more, FileVault cannot be turned " \
	"on, and the system can be reinstalled only over the Internet or from an "        \
	"installer. Your data stays."

const struct pl_purpose_rule pl_purpose_rules[] = {
	{
		.id = "apple-base-system",
		.when = { { PL_CLUE_LABEL, "*OS X Base System|macOS Base System*" } },
		.purpose =
			"The small system from which a Mac repairs, reinstalls and erases itself "
			"(Recovery). While a Mac has its image open, Disk Utility shows it as a "
			"disk called 'Apple disk image Media' with this volume on it.",
		.data = PLATTER_DATA_NONE,
		.data_because = "it is a copy of Apple's system, the same on every Mac of its "
				"version, and it is opened for reading only",
		.removal =
			"Ejecting it only closes the image: it comes back when Recovery or an "
			"installer runs. Deleting the file that it is in takes away that Recovery "
			"or installer, and nothing of yours.",
	},
	{
		.id = "apple-recovery",
		.when = { { PL_CLUE_TYPE, APPLE_BOOT },
			  { PL_CLUE_PATH, "com.apple.recovery.boot" } },
		.purpose = RECOVERY_PURPOSE,
		.data = PLATTER_DATA_NONE,
		.data_because = RECOVERY_DATA,
		.removal = RECOVERY_REMOVAL,
		.inside = "com.apple.recovery.boot/BaseSystem.dmg",
	},
	{
		.id = "apple-recovery",
		.when = { { PL_CLUE_PATH, "com.apple.recovery.boot" } },
		.purpose = RECOVERY_PURPOSE,
		.data = PLATTER_DATA_NONE,
		.data_because = RECOVERY_DATA,
		.removal = RECOVERY_REMOVAL,
		.inside = "com.apple.recovery.boot/BaseSystem.dmg",
	},
	{
		.id = "apple-boot",
		.when = { { PL_CLUE_TYPE, APPLE_BOOT } },
		.purpose = "Apple's boot partition (Recovery HD): it starts the volume before it "
			   "where the firmware cannot read that itself (Core Storage, FileVault, "
			   "RAID), and Recovery.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold only what starts a Mac",
		.removal = "The Mac may not start from this disk any more, and starts no Recovery "
			   "from it.",
	},
	{
		.id = "apple-installer",
		.when = { { PL_CLUE_ENTRY,
			    "Install OS X*.app|Install Mac OS X*.app|Install macOS*.app" } },
		.purpose = "An installer of Apple's system, on a volume of its own.",
		.how = PL_DATA_FIXED,
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "installers are made by erasing the volume that they are put on",
		.removal = "The system cannot be installed from it any more.",
		.inside = "BaseSystem/BaseSystem.dmg|.IABootFiles/BaseSystem.dmg",
	},
	{
		.id = "apple-backups",
		.when = { { PL_CLUE_PATH, "Backups.backupdb" } },
		.purpose = "Backups of Time Machine.",
		.data = PLATTER_DATA_LIKELY,
		.data_because = "backups of a Mac are made of what people have on it",
		.removal = "The backups are lost.",
	},
	{
		.id = "macos-system",
		.when = { { PL_CLUE_PATH, "System/Library/CoreServices/SystemVersion.plist" } },
		.purpose = "Apple's system (Mac OS X, macOS), with its programs and the folders of "
			   "its users.",
		.how = PL_DATA_FILES,
		.removal = "The Mac does not start from it any more, and what its users have in it "
			   "is lost.",
	},
	{
		.id = "apfs-container",
		.when = { { PL_CLUE_CONTENT, "apfs" } },
		.purpose =
			"A container of APFS, Apple's file system: its volumes are the system, the "
			"data of its users, Recovery and what starts it.",
		.how = PL_DATA_FILES,
		.removal = "All volumes in it are lost: the system, and the data of its users.",
	},
	{
		.id = "apfs-container",
		.when = { { PL_CLUE_TYPE, APPLE_APFS } },
		.purpose = "A container of APFS, Apple's file system.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "what is in it cannot be read",
		.removal = "All volumes in it are lost.",
	},
	{
		.id = "apple-core-storage",
		.when = { { PL_CLUE_TYPE, APPLE_STORAGE } },
		.purpose =
			"Core Storage, Apple's volume manager: the main volume of a Mac, encrypted "
			"by FileVault, or a part of a Fusion drive that is two disks.",
		.data = PLATTER_DATA_SEALED,
		.data_because = "Core Storage is where Macs of its time keep the system and all "
				"files of their users, and it may be encrypted",
		.removal = "The volume is lost, also that on the other disk of a Fusion drive.",
	},
	{
		.id = "apple-silicon",
		.when = { { PL_CLUE_TYPE, APPLE_SILICON } },
		.purpose = "What starts, or recovers, a Mac with a processor of Apple's.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold what Apple puts there",
		.removal = "The Mac has to be restored from another one before it starts again.",
	},
	{
		.id = "boot-camp",
		.when = { { PL_CLUE_PATH, "Windows/System32" }, { PL_CLUE_BESIDE, ANY_APPLE } },
		.purpose = "Boot Camp: Windows on a Mac.",
		.how = PL_DATA_FILES,
		.removal = "Windows, and what its users have in it, is lost. The Mac's own system "
			   "stays; Apple's Boot Camp Assistant removes it and gives the room back.",
	},
	{
		.id = "windows-system",
		.when = { { PL_CLUE_PATH, "Windows/System32" } },
		.purpose = "Windows, with its programs and the folders of its users.",
		.how = PL_DATA_FILES,
		.removal =
			"Windows does not start any more, and what its users have in it is lost.",
	},
	{
		.id = "windows-installer",
		.when = { { PL_CLUE_PATH,
			    "sources/install.wim|sources/install.esd|sources/boot.wim" } },
		.purpose = "An installer of Windows.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "installers are made by erasing the volume that they are put on",
		.removal = "Windows cannot be installed from it any more.",
	},
	{
		.id = "windows-recovery",
		.when = { { PL_CLUE_TYPE, WINDOWS_RECOVERY } },
		.purpose =
			"Windows Recovery Environment: Windows starts from it to repair or reset "
			"itself.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold what Windows or the computer's maker "
				"put there",
		.removal = "Windows runs on, but cannot repair or reset itself without a medium.",
	},
	{
		.id = "windows-recovery",
		.when = { { PL_CLUE_PATH,
			    "Recovery/WindowsRE/Winre.wim|Recovery/WindowsRE/ReAgent.xml" } },
		.purpose =
			"Windows Recovery Environment: Windows starts from it to repair or reset "
			"itself.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "Windows hides such a volume from its users",
		.removal = "Windows runs on, but cannot repair or reset itself without a medium.",
	},
	{
		.id = "windows-boot",
		.when = { { PL_CLUE_PATH, "bootmgr" }, { PL_CLUE_CONTENT, "ntfs" } },
		.purpose = "The System Reserved partition: it starts Windows, which is on another "
			   "partition.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "Windows hides such a volume from its users",
		.removal = "Windows does not start any more.",
	},
	{
		.id = "efi-system",
		.when = { { PL_CLUE_TYPE, EFI_SYSTEM } },
		.purpose = "EFI system partition: the computer's firmware starts the operating "
			   "systems from it.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "systems hide it, and keep boot loaders in it",
		.removal = "The systems on this disk do not start any more.",
	},
	{
		.id = "microsoft-reserved",
		.when = { { PL_CLUE_TYPE, MS_RESERVED } },
		.purpose = "Microsoft reserved: room that Windows keeps to itself on disks with a "
			   "GPT. "
			   "It has no file system.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold no files",
		.removal = "Nothing is lost; Windows may not turn the disk into a dynamic one.",
	},
	{
		.id = "bios-boot",
		.when = { { PL_CLUE_TYPE, BIOS_BOOT } },
		.purpose = "BIOS boot: the core of GRUB, which starts a system from a GPT on "
			   "computers "
			   "without EFI. It has no file system.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold no files",
		.removal = "A computer that starts by BIOS does not start from this disk any more.",
	},
	{
		.id = "prep-boot",
		.when = { { PL_CLUE_TYPE, PREP_BOOT } },
		.purpose = "PReP boot: what a computer with a POWER processor starts.",
		.data = PLATTER_DATA_NONE,
		.data_because = "partitions of this type hold no files of people",
		.removal = "The computer does not start from this disk any more.",
	},
	{
		.id = "oem-restore",
		.when = { { PL_CLUE_TYPE, MAKERS_OWN } },
		.purpose = "A partition of the computer's maker: diagnostics, or what brings the "
			   "computer back to how it was sold.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "makers fill it before the computer is sold",
		.removal = "The maker's diagnostics or restoring do not work any more.",
	},
	{
		.id = "oem-restore",
		.when = { { PL_CLUE_LABEL,
			    "RECOVERY|HP_RECOVERY|PQSERVICE|Factory*|FACTORY*|"
			    "LENOVO_PART|Lenovo_Recovery|HP_TOOLS|OS_TOOLS|WINRETOOLS|"
			    "DellUtility|DELLSUPPORT|DELLRESTORE|Push Button Reset|Image" },
			  { PL_CLUE_CONTENT, "ntfs|vfat" } },
		.purpose =
			"A partition of the computer's maker: tools, or what brings the computer "
			"back to how it was sold.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "makers fill it before the computer is sold",
		.removal = "The maker's tools or restoring do not work any more.",
	},
	{
		.id = "windows-dynamic",
		.when = { { PL_CLUE_TYPE, WINDOWS_DYNAMIC } },
		.purpose = "A dynamic disk of Windows: its volumes may go over several disks.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "which volumes it holds is told by Windows alone",
		.removal = "The volumes with a part on it are lost.",
	},
	{
		.id = "storage-spaces",
		.when = { { PL_CLUE_TYPE, STORAGE_SPACES } },
		.purpose = "A member of Windows Storage Spaces: a part of disks that are made of "
			   "several.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "what is on it is told by Windows alone",
		.removal = "Spaces without another copy are lost.",
	},
	{
		.id = "encrypted",
		.when = { { PL_CLUE_CONTENT, "crypto_LUKS|BitLocker|encrcdsa" } },
		.purpose = "Encrypted: what is in it can be read only with its pass phrase or key.",
		.data = PLATTER_DATA_SEALED,
		.data_because =
			"nobody can tell without its key, but what is encrypted was worth it",
		.removal = "What is in it is lost, whatever keys are kept.",
	},
	{
		.id = "swap",
		.when = { { PL_CLUE_CONTENT, "swap|swsuspend" } },
		.purpose =
			"Swap space: memory that was moved out to the disk, and while the computer "
			"hibernates, all of its memory.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "it holds no files, but pieces of what was in memory, also pass "
				"phrases",
		.removal =
			"The system runs with less memory, and cannot hibernate; it may wait for "
			"the swap space when it starts until its /etc/fstab is changed.",
	},
	{
		.id = "swap",
		.when = { { PL_CLUE_TYPE, LINUX_SWAP } },
		.purpose = "Room for swap space, which was not made on it, or was overwritten.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "partitions of this type hold no files",
		.removal = "Nothing is lost.",
	},
	{
		.id = "lvm-member",
		.when = { { PL_CLUE_CONTENT, "LVM2_member|LVM1_member" } },
		.purpose =
			"A physical volume of LVM: logical volumes are made of it, maybe together "
			"with other disks.",
		.how = PL_DATA_PARTS,
		.removal = "Every logical volume with a part on it is lost.",
	},
	{
		.id = "array-member",
		.when = { { PL_CLUE_CONTENT,
			    "linux_raid_member|isw_raid_member|ddf_raid_member" } },
		.purpose = "A member of a disk array (RAID): with others it is one disk.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "the array tells, not one of its members",
		.removal = "The array loses a member; if it has none to spare, all on it is lost.",
	},
	{
		.id = "pool-member",
		.when = { { PL_CLUE_CONTENT, "zfs_member|bcache|ceph_bluestore" } },
		.purpose = "A part of storage that is made of several disks.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "what is on it is told by the whole alone",
		.removal = "What is stored there without another copy is lost.",
	},
	{
		.id = "linux-home",
		.when = { { PL_CLUE_TYPE, LINUX_HOME } },
		.purpose = "The folders of the users of a Linux system (/home).",
		.how = PL_DATA_FILES,
		.removal = "What the users have in their folders is lost.",
	},
	{
		.id = "linux-home",
		.when = { { PL_CLUE_LABEL, "home" }, { PL_CLUE_USAGE, "filesystem" } },
		.purpose = "The folders of the users of a Linux system (/home).",
		.how = PL_DATA_FILES,
		.removal = "What the users have in their folders is lost.",
	},
	{
		.id = "linux-system",
		.when = { { PL_CLUE_PATH, "etc/fstab|etc/os-release|usr/lib/os-release" },
			  { PL_CLUE_PATH, "usr|bin|sbin" } },
		.purpose =
			"A Linux system: its programs, its settings, and if they have no partition "
			"of their own, the folders of its users.",
		.how = PL_DATA_FILES,
		.removal = "The system does not start any more, and what its users have in it is "
			   "lost.",
	},
	{
		.id = "linux-boot",
		.when = { { PL_CLUE_TYPE, LINUX_BOOT } },
		.purpose = "Linux extended boot: the kernels that a boot loader starts.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "systems keep kernels and boot loaders in it",
		.removal = "The Linux system does not start any more.",
	},
	{
		.id = "linux-boot",
		.when = { { PL_CLUE_ENTRY, "vmlinuz*|vmlinux*|grub|grub2|extlinux|syslinux" },
			  { PL_CLUE_ENTRY,
			    "initrd*|initramfs*|config-*|grub|grub2|extlinux|loader" } },
		.purpose = "Linux boot (/boot): the kernels that a boot loader starts.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "systems keep kernels and boot loaders in it",
		.removal = "The Linux system does not start any more.",
	},
	{
		.id = "live-system",
		.when = { { PL_CLUE_PATH,
			    "casper|live/filesystem.squashfs|LiveOS/squashfs.img|.disk/info|"
			    "isolinux/isolinux.bin|arch/boot" } },
		.purpose = "A system that starts from this medium, or its installer.",
		.data = PLATTER_DATA_UNLIKELY,
		.data_because = "such media are written as a whole image",
		.removal = "The system cannot be started or installed from it any more.",
	},
	{
		.id = "empty-volume",
		.when = { { PL_CLUE_CONTENT, "*" },
			  { PL_CLUE_USAGE, "filesystem" },
			  { PL_CLUE_EMPTY, "" } },
		.purpose = "A file system with no files.",
		.how = PL_DATA_FILES,
		.removal = "Nothing is lost but the label and what was deleted.",
	},
	{
		.id = "files",
		.when = { { PL_CLUE_CONTENT, "*" }, { PL_CLUE_USAGE, "filesystem" } },
		.purpose = "A file system: files of any kind.",
		.how = PL_DATA_FILES,
		.removal = "The files on it are lost.",
	},
	{
		.id = "image-on-device",
		.when = { { PL_CLUE_CONTENT, "*" }, { PL_CLUE_USAGE, "image" } },
		.purpose = "The file of a disk image, as it is.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "the image tells, when it is opened",
		.removal = "The image is lost.",
	},
	{
		.id = "apple-disk",
		.when = { { PL_CLUE_TABLE, "hybrid" } },
		.purpose = "A disk with two partition tables that tell of the same partitions, as "
			   "Boot Camp makes them: a Mac reads the GPT, Windows the MBR.",
		.how = PL_DATA_PARTS,
		.removal = "Everything on its partitions is lost. Erasing one table alone leaves a "
			   "disk "
			   "of which systems see different things.",
	},
	{
		.id = "disk",
		.when = { { PL_CLUE_TABLE, "*" } },
		.purpose = "A disk with partitions.",
		.how = PL_DATA_PARTS,
		.removal = "Everything on its partitions is lost.",
	},
	{
		.id = "other",
		.when = { { PL_CLUE_CONTENT, "*" } },
		.purpose = "Something that platter recognises, but not what it is for.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "platter does not read what is in it",
		.removal = "What is in it is lost.",
	},
	{
		.id = "partition",
		.when = { { PL_CLUE_TYPE, "*" } },
		.purpose =
			"A partition with nothing on it that platter knows: empty, or of another "
			"kind.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "there is no file system on it that platter knows",
		.removal = "What is on it, if anything, is lost.",
	},
	{
		.id = "unknown",
		.purpose = "Nothing that platter knows: empty, or of another kind.",
		.data = PLATTER_DATA_UNKNOWN,
		.data_because = "there is no file system on it that platter knows",
		.removal = "What is on it, if anything, is lost.",
	},
};
const size_t pl_nr_purpose_rules = ARRAY_SIZE(pl_purpose_rules);

/* Of Windows before Vista too, in which "Documents and Settings" is the folder itself. */
const char *const pl_people_folders[] = { "Users", "home", "Documents and Settings", NULL };

const char *const pl_nobodies[] = {
	"Shared",         "Public",        "Default",     "Default User", "All Users",
	"Guest",          "defaultuser0",  "desktop.ini", "lost+found",   "LocalService",
	"NetworkService", "Deleted Users", "TEMP",        ".*",           NULL,
};

/* Put there by file systems and systems, not by people. */
const char *const pl_system_entries[] = {
	"lost+found", ".*",         "System Volume Information",
	"$*",         "Thumbs.db",  "desktop.ini",
	"RECYCLER",   "RECYCLED",   "*HFS+ Private D*",
	"Desktop DB", "Desktop DF", NULL,
};
