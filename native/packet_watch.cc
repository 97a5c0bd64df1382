#include "packet_watch.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "socket.h"

namespace mgmd {

namespace {

// Protocol 0: nothing arrives before the filter is there and bind() names the interface.
constexpr SocketKind kPackets{AF_PACKET, SOCK_DGRAM, 0};
constexpr uint32_t kEthertype = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL);
constexpr uint32_t kPacketType = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE);
constexpr uint32_t kVlanTag = static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG);
constexpr uint32_t kVlanId = 0xfff;
constexpr uint32_t kProtocolAt = 9;
constexpr uint32_t kSourceAt = 12;
constexpr uint32_t kHeaderBytes = 20;
constexpr int kLeastBuffer = 1;  // the kernel makes its minimum of it

constexpr sock_filter Load(int size, uint32_t at) { return BPF_STMT(static_cast<uint16_t>(BPF_LD | BPF_ABS | size), at); }
constexpr sock_filter And(uint32_t mask) { return BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask); }
constexpr sock_filter Return(uint32_t bytes) { return BPF_STMT(BPF_RET | BPF_K, bytes); }
// Goes over so many instructions when the value loaded last does, or does not, fit.
constexpr sock_filter Jump(int condition, uint32_t value, uint8_t if_true, uint8_t if_false) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | BPF_K | condition), value, if_true, if_false);
}

}  // namespace

std::vector<sock_filter> WatchFilter(std::span<const uint32_t> addresses) {
  std::vector<sock_filter> code{
      // First what almost every packet fails at.
      Load(BPF_B, kProtocolAt),
      Jump(BPF_JEQ, IPPROTO_IGMP, 1, 0),
      Return(0),
      Load(BPF_W, kEthertype),
      Jump(BPF_JEQ, ETH_P_IP, 1, 0),
      Return(0),
      // Frames for other machines, which a promiscuous interface sees, and what this machine sends.
      Load(BPF_W, kPacketType),
      Jump(BPF_JGE, PACKET_OTHERHOST, 0, 1),
      Return(0),
      // A VLAN is another interface; its number 0 is none.
      Load(BPF_W, kVlanTag),
      And(kVlanId),
      Jump(BPF_JEQ, 0, 1, 0),
      Return(0),
      Load(BPF_W, kSourceAt),
  };
  for (const uint32_t address : addresses.first(std::min(addresses.size(), kWatchedAddresses))) {
    code.push_back(Jump(BPF_JEQ, address, 0, 1));
    code.push_back(Return(kHeaderBytes));
  }
  code.push_back(Return(0));
  return code;
}

int OpenPacketWatch(int ifindex, std::span<const uint32_t> addresses, UniqueFd& out) {
  UniqueFd fd;
  if (const int error = OpenSocket(kPackets, fd)) return error;
  if (const int error = SetOption(fd.get(), SOL_SOCKET, SO_RCVBUF, kLeastBuffer)) return error;
  std::vector<sock_filter> code = WatchFilter(addresses);
  const sock_fprog filter{static_cast<uint16_t>(code.size()), code.data()};
  if (const int error = SetOption(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, filter)) return error;
  // Of all protocols, though it wants IPv4 alone: such a socket is asked before IP is. The other kind is asked after it, for
  // which the kernel copies each packet that it forwards.
  if (const int error = SetOption(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) return error;
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_protocol = htons(ETH_P_ALL);
  where.sll_ifindex = ifindex;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) return errno;
  out = std::move(fd);
  return 0;
}

int ReceiveWatched(int fd, WatchedPacket& out) {
  std::array<std::byte, kHeaderBytes> header{};
  sockaddr_ll from{};
  socklen_t from_bytes = sizeof from;
  const ssize_t got = ::recvfrom(fd, header.data(), header.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &from_bytes);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  uint32_t source = 0;
  std::memcpy(&source, header.data() + kSourceAt, sizeof source);
  out.source = ntohl(source);
  out.sender_bytes = std::min<size_t>(from.sll_halen, out.sender.size());
  std::copy_n(from.sll_addr, out.sender_bytes, out.sender.begin());
  return 1;
}

}  // namespace mgmd
