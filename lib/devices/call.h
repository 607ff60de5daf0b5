/* SPDX-License-Identifier: GPL-3.0-or-later */
/* call.h - calls into the kernel that may never come back */
#ifndef PL_CALL_H
#define PL_CALL_H

/*
 * ioctl(2) with SG_IO or NVME_IOCTL_ADMIN_CMD, whose own time-out some drivers do not keep: those
 * of emulated host adapters wait for ever.  Nothing ends such a call, not even the end of the
 * process, so that a process of its own makes it, which is left alone when it is late.
 * Returns what ioctl(2) returned, or a negative errno: -ETIMEDOUT, half a minute after it should
 * have come back.
 */
int pl_call_drive(int fd, unsigned long request, void *argument);

#endif
