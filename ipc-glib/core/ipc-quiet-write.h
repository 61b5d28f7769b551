/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing to a pipe whose reader may be gone, without the signal that kills the process: EPIPE, as any other error.
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

/* As writev(2). */
ssize_t ipc_quiet_writev (int fd, const struct iovec *iov, int n);

/* For tests: the way of kernels that cannot do it in one call. */
void    ipc_quiet_write_forget_flag (void);
