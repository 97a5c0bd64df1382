// Sees IGMP that comes from the wire with an address of this machine as its source. The kernel drops such packets before
// any socket of IP gets them (a "martian source"), so a packet socket looks at what arrives on one interface.
#pragma once

#include <linux/filter.h>  // classic BPF

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fd.h"

namespace mgmd {

// More addresses of an interface are not watched.
inline constexpr size_t kWatchedAddresses = 64;

// The socket filter (classic BPF over the IP header): lets IGMP of any type pass that came in for this interface from one of
// `addresses`.
std::vector<sock_filter> WatchFilter(std::span<const uint32_t> addresses);

// A packet socket on one interface that gets nothing but what the filter lets pass; its buffer holds a few packets, so a
// flood is dropped in the kernel. 0 or a positive errno.
int OpenPacketWatch(int ifindex, std::span<const uint32_t> addresses, UniqueFd& out);

struct WatchedPacket {
  uint32_t source;  // host order
  std::array<uint8_t, 8> sender;  // link-layer address
  size_t sender_bytes;            // 0 where the link has no such addresses
};

// Takes one packet. 1, 0 when there is none, or -errno (ENETDOWN once when the interface went down).
int ReceiveWatched(int fd, WatchedPacket& out);

}  // namespace mgmd
