/* SPDX-License-Identifier: GPL-3.0-or-later */
/* types.h - partition types in plain words */
#ifndef PL_TYPES_H
#define PL_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* Each returns a literal; "unknown type" for what is not in its list. */
const char *pl_mbr_type_name(uint8_t type);
const char *pl_gpt_type_name(const char *guid);
const char *pl_apm_type_name(const char *type);
const char *pl_bsd_type_name(uint8_t fstype);
const char *pl_sun_type_name(uint16_t tag);
const char *pl_sgi_type_name(uint32_t type);

/* Whose meaning the type-specific attribute bits 48 to 63 of a GPT entry have. */
enum pl_gpt_attributes {
	PL_GPT_ATTRIBUTES_NONE,
	PL_GPT_ATTRIBUTES_MICROSOFT,
	PL_GPT_ATTRIBUTES_LINUX,
	PL_GPT_ATTRIBUTES_CHROMEOS,
};
enum pl_gpt_attributes pl_gpt_type_attributes(const char *guid);

#endif
