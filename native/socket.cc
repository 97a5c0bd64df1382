#include "socket.h"

#include <fcntl.h>

namespace mgmd {

namespace {

int GetInt(int fd, int option, int& value) {
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? 0 : errno;
}

}  // namespace

int OpenSocket(const SocketKind& kind, UniqueFd& out) {
  UniqueFd fd(::socket(kind.domain, kind.type | SOCK_CLOEXEC | SOCK_NONBLOCK, kind.protocol));
  if (!fd) return errno;
  out = std::move(fd);
  return 0;
}

int AdoptSocket(const SocketKind& kind, int fd, UniqueFd& out) {
  SocketKind seen{};
  if (const int error = GetInt(fd, SO_DOMAIN, seen.domain)) return error;
  if (const int error = GetInt(fd, SO_TYPE, seen.type)) return error;
  if (const int error = GetInt(fd, SO_PROTOCOL, seen.protocol)) return error;
  if (seen.domain != kind.domain || seen.type != kind.type || seen.protocol != kind.protocol) return EINVAL;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return errno;
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return errno;
  out = UniqueFd(fd);
  return 0;
}

int Duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return copy >= 0 ? copy : -errno;
}

int SetReceiveBuffer(int fd, int bytes) {
  if (SetOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) != 0) {
    if (const int error = SetOption(fd, SOL_SOCKET, SO_RCVBUF, bytes)) return -error;
  }
  int granted = 0;
  if (const int error = GetInt(fd, SO_RCVBUF, granted)) return -error;
  return granted;
}

}  // namespace mgmd
