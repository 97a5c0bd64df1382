// What every kind of socket here needs: opening, adopting, duplicating, buffers. Results are 0 or a positive errno, or a
// value with a negative errno, as each function says.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>

#include "fd.h"

namespace mgmd {

struct SocketKind {
  int domain;
  int type;
  int protocol;
};

// Opens a socket of this kind, non-blocking and not inherited. 0 or a positive errno.
int OpenSocket(const SocketKind& kind, UniqueFd& out);

// Takes over a descriptor if it is a socket of this kind, and makes it non-blocking and not inherited. 0 or a positive
// errno: EBADF, ENOTSOCK, or EINVAL for a socket of another kind. A refused descriptor stays the caller's.
int AdoptSocket(const SocketKind& kind, int fd, UniqueFd& out);

// A new number (3 or higher) for the same descriptor; the caller owns it. Negative errno on failure.
int Duplicate(int fd);

// SO_RCVBUFFORCE, or SO_RCVBUF (bounded by net.core.rmem_max) without the privilege. Returns what the kernel granted, in
// bytes as the kernel counts them (twice what was asked for), or a negative errno.
int SetReceiveBuffer(int fd, int bytes);

// setsockopt of one plain struct. 0 or a positive errno.
template <typename T>
int SetOption(int fd, int level, int option, const T& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

}  // namespace mgmd
