// Host memberships by ifindex. The kernel allows a socket only net.ipv4.igmp_max_memberships of them (20 by default) and
// says ENOBUFS beyond: the pool then opens another socket. A membership lives as long as one descriptor of its socket.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "descriptor_bag.h"
#include "fd.h"

namespace mgmd {

// Addresses are host-order numbers; results are 0 or the positive errno of the system call. What no socket of the pool
// holds is answered like the kernel does: EADDRNOTAVAIL to leave, EINVAL to leave a source or to set a filter.
class MembershipPool {
 public:
  // Opens the pool, or adopts what Duplicate() gave (also a single UDP socket) when `adopt_fd` is not negative. The
  // memberships of adopted sockets count as the pool's own. Sockets opened here get `mark` (SO_MARK) unless it is 0.
  // 0 or a positive errno.
  int Open(int adopt_fd, uint32_t mark = 0);

  int Join(int ifindex, uint32_t group);
  int Leave(int ifindex, uint32_t group);
  int JoinSource(int ifindex, uint32_t group, uint32_t source);
  int LeaveSource(int ifindex, uint32_t group, uint32_t source);
  // Replaces the whole filter of a joined group. More than net.ipv4.igmp_max_msf sources (10 by default): ENOBUFS.
  int SetFilter(int ifindex, uint32_t group, bool include, std::span<const uint32_t> sources);

  // A descriptor that holds all sockets of the pool, also those opened later, as one number: the caller owns it. While
  // it is open anywhere, no membership that was not left is left. Negative errno on failure.
  int Duplicate();

  // Closes all sockets; the kernel leaves what only they held. Afterwards every call answers EBADF.
  void Close();

  // Sockets that are open now. One whose memberships have all been left is closed, but for a spare one.
  [[nodiscard]] size_t socket_count() const { return sockets_.size() - vacant_.size(); }

 private:
  struct Member {
    UniqueFd fd;        // invalid: its place is vacant
    uint32_t held = 0;  // memberships known to be on it
  };

  template <typename Call>
  int AddNew(uint64_t key, Call call, bool from_reserve = false);
  // Opens one more socket, in a vacant place where there is one; of the last descriptors only `from_reserve`.
  int Grow(bool from_reserve = true);
  int PutIntoBag(int fd);
  void GiveBack(size_t socket);
  [[nodiscard]] std::vector<int> OpenSockets() const;
  std::optional<size_t> Find(uint64_t key, int ifindex, uint32_t group);
  void Forget(uint64_t key, size_t socket);

  std::vector<Member> sockets_;
  std::unordered_map<uint64_t, size_t> socket_of_;  // (ifindex, group) -> index in sockets_
  std::set<size_t> room_;    // sockets that may have room
  std::set<size_t> vacant_;  // places whose socket has been given back
  size_t in_bag_ = 0;        // sockets in the bag, those given back since it was packed among them
  size_t adopted_ = 0;  // the first so many sockets may hold memberships that socket_of_ does not know yet
  std::optional<DescriptorBag> bag_;
  uint32_t mark_ = 0;
  bool open_ = false;
};

}  // namespace mgmd
