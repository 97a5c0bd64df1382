// Raw IGMP: batch receive with ifindex into fixed slots, send with router alert. The socket that becomes the multicast
// routing socket also delivers the kernel's upcalls here (`struct igmpmsg`: byte 9 of the header is 0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fd.h"

namespace mgmd {

inline constexpr size_t kSlots = 8;
// The largest report of a host on a link with jumbo frames (IP header included): over 1,100 records.
inline constexpr size_t kPacketBytes = 9216;

inline constexpr uint32_t kSlotRouterAlert = 0x100;
inline constexpr uint32_t kSlotTruncated = 0x200;
inline constexpr uint32_t kSlotUpcall = 0x400;

// Describes the packet of a slot; all in host order.
struct SlotHeader {
  uint32_t length;  // of the bytes in the slot
  uint32_t ifindex;
  uint32_t source;
  uint32_t destination;
  uint32_t flags;   // kSlot* bits; the low byte is the TTL (0 with an upcall, which has none)
  uint32_t offset;  // of the IP payload in the packet; 0 with an upcall
};

struct Slot {
  SlotHeader header;
  std::byte packet[kPacketBytes];
};
static_assert(sizeof(SlotHeader) == 24, "SLOT_HEADER_BYTES in src/kernel/addon.ts");
static_assert(sizeof(Slot) == 24 + 9216, "SLOT_BYTES in src/kernel/addon.ts");

// Reads the IP header (RFC 791) that raw sockets deliver. Never reads past the packet: what a short or damaged header
// does not say stays 0, and its payload is empty.
SlotHeader DescribePacket(std::span<const std::byte> packet, uint32_t ifindex, bool truncated);

// Opens the socket, or adopts `adopt_fd` when it is not negative, and sets what send and receive below rely on: packet
// info, router alert, TOS 0xc0, TTL 1. 0 or a positive errno.
int OpenIgmp(int adopt_fd, UniqueFd& out);

// Takes what the socket holds, one packet per slot, at most kSlots. Returns the count, 0 when drained, or -errno.
int ReceiveBatch(int fd, std::span<Slot> slots);

// Sends one IGMP message out of an interface; `source` 0 lets the kernel choose. 0 or a positive errno.
int SendIgmp(int fd, int ifindex, uint32_t source, uint32_t destination, std::span<const std::byte> payload);

}  // namespace mgmd
