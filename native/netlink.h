// NETLINK_ROUTE: subscriptions, requests with their answers, notifications. Messages are built and read in TypeScript;
// here is only the framing (struct nlmsghdr) that says where an answer ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fd.h"

namespace mgmd {

// The kernel's largest dump datagram is 32 KiB.
inline constexpr size_t kNetlinkDatagramBytes = 32'768;
inline constexpr size_t kNetlinkSlabBytes = 4 * kNetlinkDatagramBytes;

enum class Answer { kMore, kDone, kError };

// How the answers to one request stand after a datagram.
struct AnswerScan {
  Answer state;
  int error;  // positive errno with kError
};

// Looks for the end of the answers to request `seq`: NLMSG_DONE, NLMSG_ERROR (0 is an acknowledgement), or a message that
// is no part of a dump when neither a dump nor an acknowledgement is due. Messages with other numbers are passed over. A
// malformed length ends the scan with EBADMSG.
AnswerScan ScanAnswers(std::span<const std::byte> datagram, uint32_t seq, bool has_end_mark);

int OpenNetlink(UniqueFd& out);
int Subscribe(int fd, int group);
int SendNetlink(int fd, std::span<const std::byte> message);

// Sends one request (a whole nlmsghdr at least) and collects its answers until the last one; blocks at most
// `timeout_ms` in all. 0 or a positive errno: ETIMEDOUT, ENOBUFS, or what the kernel answered.
int RequestNetlink(int fd, std::span<const std::byte> message, int timeout_ms, std::vector<std::byte>& answers);

// One batch of notifications: `length` bytes of whole messages, each datagram aligned to 4; `error` is ENOBUFS when
// notifications were lost (also a datagram too large for the slab), another errno when the socket failed, 0 otherwise.
struct Notifications {
  size_t length;
  int error;
  bool drained;
};
Notifications ReceiveNetlink(int fd, std::span<std::byte> slab);

}  // namespace mgmd
