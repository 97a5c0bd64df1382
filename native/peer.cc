#include "peer.h"

#include <cerrno>

namespace mgmd {

int PeerCredentials(int fd, ucred& out) {
  socklen_t length = sizeof out;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &out, &length) == 0 ? 0 : errno;
}

}  // namespace mgmd
