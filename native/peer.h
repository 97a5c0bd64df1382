// Who is at the other end of a Unix socket.
#pragma once

#include <sys/socket.h>

namespace mgmd {

// SO_PEERCRED: the credentials the peer had when it connected. 0 or a positive errno.
int PeerCredentials(int fd, ucred& out);

}  // namespace mgmd
