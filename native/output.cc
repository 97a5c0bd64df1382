#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace mgmd {

namespace {

bool Writable(int fd, int wait_ms) {
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&waiting, 1, wait_ms) > 0;
}

// A stream socket of journald is not ours to change, but each call can say that it does not wait.
ssize_t WriteOnce(int fd, std::span<const std::byte> bytes) {
  const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0 || errno != ENOTSOCK) return sent;
  // A pipe or terminal that polls as writable takes this much without waiting.
  return ::write(fd, bytes.data(), std::min(bytes.size(), size_t{PIPE_BUF}));
}

}  // namespace

int WriteSome(int fd, std::span<const std::byte> bytes, int wait_ms) {
  size_t written = 0;
  while (written < bytes.size()) {
    if (!Writable(fd, written == 0 ? wait_ms : 0)) break;
    const ssize_t count = WriteOnce(fd, bytes.subspan(written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return written > 0 ? static_cast<int>(written) : -errno;
    written += static_cast<size_t>(count);
  }
  return written > 0 ? static_cast<int>(written) : -EAGAIN;
}

}  // namespace mgmd
