#include "netlink.h"

#include <poll.h>

#include <linux/netlink.h>

#include <cstring>
#include <ctime>

#include "socket.h"

namespace mgmd {

namespace {

constexpr SocketKind kRoute{AF_NETLINK, SOCK_RAW, NETLINK_ROUTE};

int64_t NowMs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// The errno of NLMSG_ERROR and NLMSG_DONE: a negative int after the header, 0 or absent for success.
int ErrorOf(std::span<const std::byte> message) {
  int32_t error = 0;
  if (message.size() >= NLMSG_HDRLEN + sizeof error) std::memcpy(&error, message.data() + NLMSG_HDRLEN, sizeof error);
  return error < 0 ? -error : 0;
}

AnswerScan Judge(const nlmsghdr& header, std::span<const std::byte> message, bool has_end_mark) {
  if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
    const int error = ErrorOf(message);
    return {error == 0 ? Answer::kDone : Answer::kError, error};
  }
  const bool alone = (header.nlmsg_flags & NLM_F_MULTI) == 0;
  return {alone && !has_end_mark ? Answer::kDone : Answer::kMore, 0};
}

// One datagram from the kernel. Bytes, 0 for a datagram from somebody else, or -errno; EMSGSIZE when it did not fit.
ssize_t ReceiveDatagram(int fd, std::span<std::byte> into) {
  sockaddr_nl from{};
  iovec part{into.data(), into.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t got = ::recvmsg(fd, &message, MSG_DONTWAIT);
  if (got < 0) return -errno;
  if (from.nl_pid != 0) return 0;
  return (message.msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : got;
}

int WaitReadable(int fd, int64_t until_ms) {
  for (;;) {
    const int64_t left = until_ms - NowMs();
    if (left <= 0) return ETIMEDOUT;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
  }
}

}  // namespace

AnswerScan ScanAnswers(std::span<const std::byte> datagram, uint32_t seq, bool has_end_mark) {
  while (datagram.size() >= NLMSG_HDRLEN) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > datagram.size()) return {Answer::kError, EBADMSG};
    if (header.nlmsg_seq == seq) {
      const AnswerScan scan = Judge(header, datagram.first(header.nlmsg_len), has_end_mark);
      if (scan.state != Answer::kMore) return scan;
    }
    const size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= datagram.size()) break;
    datagram = datagram.subspan(step);
  }
  return {Answer::kMore, 0};
}

int OpenNetlink(UniqueFd& out) {
  UniqueFd fd;
  if (const int error = OpenSocket(kRoute, fd)) return error;
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) return errno;
  out = std::move(fd);
  return 0;
}

int Subscribe(int fd, int group) { return SetOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group); }

int SendNetlink(int fd, std::span<const std::byte> message) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = ::sendto(fd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  return sent >= 0 ? 0 : errno;
}

int RequestNetlink(int fd, std::span<const std::byte> message, int timeout_ms, std::vector<std::byte>& answers) {
  if (message.size() < NLMSG_HDRLEN) return EINVAL;
  nlmsghdr request{};
  std::memcpy(&request, message.data(), sizeof request);
  const bool has_end_mark =
      (request.nlmsg_flags & NLM_F_ACK) != 0 || (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const int64_t until_ms = NowMs() + timeout_ms;
  if (const int error = SendNetlink(fd, message)) return error;
  for (;;) {
    const size_t have = answers.size();
    answers.resize(have + kNetlinkDatagramBytes);
    const ssize_t got = ReceiveDatagram(fd, std::span(answers).subspan(have));
    answers.resize(have + static_cast<size_t>(got > 0 ? got : 0));
    if (got == -EAGAIN || got == -EINTR) {
      if (const int error = WaitReadable(fd, until_ms)) return error;
      continue;
    }
    if (got < 0) return static_cast<int>(-got);
    const AnswerScan scan = ScanAnswers(std::span(answers).subspan(have), request.nlmsg_seq, has_end_mark);
    if (scan.state == Answer::kError) return scan.error;
    if (scan.state == Answer::kDone) return 0;
    answers.resize(have + NLMSG_ALIGN(answers.size() - have));
  }
}

Notifications ReceiveNetlink(int fd, std::span<std::byte> slab) {
  Notifications batch{.length = 0, .error = 0, .drained = false};
  while (slab.size() - batch.length >= kNetlinkDatagramBytes) {
    const ssize_t got = ReceiveDatagram(fd, slab.subspan(batch.length));
    if (got == -EINTR) continue;
    if (got < 0) {
      batch.drained = got == -EAGAIN;
      if (!batch.drained) batch.error = got == -EMSGSIZE ? ENOBUFS : static_cast<int>(-got);
      return batch;
    }
    batch.length = NLMSG_ALIGN(batch.length + static_cast<size_t>(got));
  }
  return batch;
}

}  // namespace mgmd
