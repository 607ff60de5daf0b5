/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * passphrase.h - where the command takes pass phrases from: a file, the environment, or whoever
 * sits at the terminal; never from an argument, which every user of the machine can read
 */
#ifndef PASSPHRASE_H
#define PASSPHRASE_H

#include "options.h"

/*
 * Answer the library's questions for pass phrases as the arguments, which are borrowed until
 * passphrase_end(), and the environment say.  Returns 0, or -1 after telling what is wrong with
 * them (STATUS_USAGE).  Nothing is read before an image asks for it.
 */
int passphrase_begin(const struct arguments *args);

/* Wipe what was remembered. */
void passphrase_end(void);

#endif
