// The gate of a pause: a program in the kernel that refuses the membership calls of every process of the host, IPv4, for
// the keys in its map. It is attached at the root of the cgroup2 hierarchy for as long as this object lives and nowhere else:
// when the process dies, the kernel drops it and everything passes again.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fd.h"

namespace mgmd {

// What a membership call names in place of an interface, beside the network namespace of its socket: an ifindex, or (with
// ifindex 0) an address of the interface, or nothing, which leaves the choice to the routing table.
struct GateKey {
  uint64_t netns_cookie;
  uint32_t ifindex;
  uint32_t address;  // network order
};
static_assert(sizeof(GateKey) == 16, "the program builds it on its stack");

// For every setsockopt of the host: level and option are looked at first. Sockets with `exempt_mark` (SO_MARK) pass.
std::vector<bpf_insn> GateProgram(int map_fd, uint32_t exempt_mark);

class PauseGate {
 public:
  struct Refusal {
    const char* step = "";
    int error = 0;       // positive errno
    std::string detail;  // the verifier's words, or empty
  };

  // Loads and attaches. An error of 0 is success. The keys are about the network namespace of the calling thread.
  Refusal Open();

  // The mark that exempts a socket: a random number of this gate, so that nobody else passes by accident.
  [[nodiscard]] uint32_t mark() const { return mark_; }

  // Begin and end to refuse calls that name this interface, or with ifindex 0 this address (host order; 0: calls that name
  // nothing). Both harmless twice. 0 or a positive errno; EBADF after Close().
  int Refuse(uint32_t ifindex, uint32_t address);
  int Allow(uint32_t ifindex, uint32_t address);

  // Detaches it. Harmless twice.
  void Close();

 private:
  [[nodiscard]] GateKey Key(uint32_t ifindex, uint32_t address) const;

  UniqueFd map_;
  UniqueFd link_;  // keeps the program, which keeps the map
  uint64_t netns_cookie_ = 0;
  uint32_t mark_ = 0;
};

}  // namespace mgmd
