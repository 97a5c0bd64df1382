#include "handover.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "peer.h"
#include "socket.h"

namespace mgmd {

namespace {

constexpr SocketKind kStream{AF_UNIX, SOCK_STREAM, 0};
constexpr size_t kMostDescriptors = 253;  // SCM_MAX_FD
constexpr size_t kMostNameBytes = 16384;

constexpr std::string_view kTake = "take\n";

struct Rights {
  alignas(cmsghdr) std::byte control[CMSG_SPACE(kMostDescriptors * sizeof(int))]{};
};

int Connect(const std::string& path, UniqueFd& out) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  if (const int error = OpenSocket(kStream, out)) return error;
  return ::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

int Say(int socket, std::string_view word) {
  const ssize_t sent = ::send(socket, word.data(), word.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno;
  return static_cast<size_t>(sent) == word.size() ? 0 : EMSGSIZE;
}

}  // namespace

int SendDescriptors(int socket, const std::string& names, std::span<const int> fds) {
  if (fds.empty() || fds.size() > kMostDescriptors || names.empty() || names.size() > kMostNameBytes) return EINVAL;
  Rights rights;
  iovec part{const_cast<char*>(names.data()), names.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = rights.control;
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  if (sent < 0) return errno;
  return static_cast<size_t>(sent) == names.size() ? 0 : EMSGSIZE;
}

int AskForDescriptors(const std::string& path, UniqueFd& out) {
  UniqueFd socket;
  if (const int error = Connect(path, socket)) return error;
  // Whoever may listen there without being root could give us any socket.
  ucred peer{};
  if (const int error = PeerCredentials(socket.get(), peer)) return error;
  if (peer.uid != 0 && peer.uid != ::geteuid()) return EPERM;
  if (const int error = Say(socket.get(), kTake)) return error;
  out = std::move(socket);
  return 0;
}

int ReceiveDescriptors(int socket, NamedDescriptors& out) {
  Rights rights;
  std::string names(kMostNameBytes, '\0');
  iovec part{names.data(), names.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = rights.control;
  message.msg_controllen = sizeof rights.control;
  const ssize_t received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (received < 0) return errno;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::vector<int> fds((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(fds.data(), CMSG_DATA(c), fds.size() * sizeof(int));
    for (const int fd : fds) out.fds.emplace_back(fd);
  }
  if (received == 0) return ECONNRESET;
  if ((message.msg_flags & MSG_CTRUNC) != 0) return EMFILE;  // the descriptor table is full
  names.resize(static_cast<size_t>(received));
  out.names = std::move(names);
  return 0;
}

}  // namespace mgmd
