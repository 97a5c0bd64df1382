#include "descriptor_bag.h"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "socket.h"

namespace mgmd {

namespace {

constexpr SocketKind kBag{AF_UNIX, SOCK_DGRAM, 0};
constexpr size_t kPerMessage = 253;  // SCM_MAX_FD

// The control buffer of one message.
struct Rights {
  alignas(cmsghdr) std::byte control[CMSG_SPACE(kPerMessage * sizeof(int))];
  std::byte filler{};  // a datagram needs a byte
  iovec part{&filler, 1};

  msghdr Message(size_t fds) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
    return message;
  }
};

int Put(int bag, std::span<const int> fds) {
  Rights rights;
  std::memset(rights.control, 0, sizeof rights.control);
  msghdr message = rights.Message(fds.size());
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  return ::sendmsg(bag, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

// Takes (or with MSG_PEEK looks at) one message. 0 or a positive errno, EAGAIN at the end.
int Take(int bag, int flags, std::vector<UniqueFd>& out) {
  Rights rights;
  msghdr message = rights.Message(kPerMessage);
  if (::recvmsg(bag, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) return errno;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::array<int, kPerMessage> fds{};
    const size_t count = std::min((c->cmsg_len - CMSG_LEN(0)) / sizeof(int), fds.size());
    std::memcpy(fds.data(), CMSG_DATA(c), count * sizeof(int));
    for (size_t i = 0; i < count; i++) out.emplace_back(fds[i]);
  }
  return (message.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : 0;  // the descriptor table is full
}

}  // namespace

int DescriptorBag::Create(DescriptorBag& out) {
  UniqueFd fd;
  if (const int error = OpenSocket(kBag, fd)) return error;
  sockaddr_un self{};
  self.sun_family = AF_UNIX;
  // With the family alone the kernel chooses a free abstract name. Once connected to itself, nobody else can send to it.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self.sun_family) != 0) return errno;
  socklen_t length = sizeof self;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&self), &length) != 0) return errno;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&self), length) != 0) return errno;
  out.fd_ = std::move(fd);
  return 0;
}

int DescriptorBag::Adopt(int fd, DescriptorBag& out) {
  // Only a bag is connected to its own name.
  sockaddr_un self{};
  sockaddr_un peer{};
  socklen_t self_length = sizeof self;
  socklen_t peer_length = sizeof peer;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&self), &self_length) != 0) return errno;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) != 0) return EINVAL;
  const bool named = self_length > sizeof self.sun_family;
  if (!named || self_length != peer_length || std::memcmp(&self, &peer, self_length) != 0) return EINVAL;
  return AdoptSocket(kBag, fd, out.fd_);
}

int DescriptorBag::List(std::vector<UniqueFd>& out) const {
  // Each look moves the offset on by the message's one byte; nothing leaves the queue.
  if (const int error = SetOption(fd_.get(), SOL_SOCKET, SO_PEEK_OFF, 0)) return error;
  int error = 0;
  do error = Take(fd_.get(), MSG_PEEK, out);
  while (error == 0);
  return error == EAGAIN ? 0 : error;
}

int DescriptorBag::Add(int fd) const { return Put(fd_.get(), std::span(&fd, 1)); }

int DescriptorBag::Repack(std::span<const int> fds) const {
  // What was in is let go message by message, so that few descriptors are needed; where even they are not free (EMFILE) the
  // kernel has let go of them by itself.
  for (;;) {
    std::vector<UniqueFd> before;
    const int error = Take(fd_.get(), 0, before);
    if (error == EAGAIN) break;
    if (error != 0 && error != EMFILE) return error;
  }
  for (size_t at = 0; at < fds.size(); at += kPerMessage) {
    if (const int refused = Put(fd_.get(), fds.subspan(at, std::min(kPerMessage, fds.size() - at)))) return refused;
  }
  return 0;
}

}  // namespace mgmd
