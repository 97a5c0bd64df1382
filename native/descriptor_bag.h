// One descriptor that keeps others alive: a Unix datagram socket connected to itself, with the others as SCM_RIGHTS
// messages in its own queue. A service manager or a child holds a growing set of sockets by this one number, and each
// message stays until the last holder has closed the bag.
#pragma once

#include <span>
#include <vector>

#include "fd.h"

namespace mgmd {

class DescriptorBag {
 public:
  static int Create(DescriptorBag& out);
  // Takes over the descriptor of a bag; EINVAL when it is something else. A refused descriptor stays the caller's.
  static int Adopt(int fd, DescriptorBag& out);

  // Duplicates of the descriptors inside, in the order they were put in; the bag keeps its own. 0 or a positive errno.
  [[nodiscard]] int List(std::vector<UniqueFd>& out) const;
  // Puts a duplicate in. EAGAIN: the queue is full; Repack() then.
  [[nodiscard]] int Add(int fd) const;
  // Replaces the content by duplicates of these, many to a message.
  [[nodiscard]] int Repack(std::span<const int> fds) const;

  [[nodiscard]] int get() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace mgmd
