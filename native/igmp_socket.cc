#include "igmp_socket.h"

#include <netinet/in.h>
#include <netinet/ip.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "socket.h"

namespace mgmd {

namespace {

constexpr SocketKind kIgmp{AF_INET, SOCK_RAW, IPPROTO_IGMP};
constexpr size_t kHeaderBytes = 20;
constexpr size_t kControlBytes = 128;  // packet info takes 32; an adopted socket may have more switched on
constexpr std::array<uint8_t, 4> kRouterAlert{0x94, 4, 0, 0};  // RFC 2113
constexpr int kInternetworkControl = 0xc0;

uint32_t ReadU32(std::span<const std::byte> bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return ntohl(value);
}

// Walks the options (RFC 791 section 3.1): 0 ends them, 1 is one byte, every other has a length.
bool HasRouterAlert(std::span<const std::byte> options) {
  while (!options.empty() && options[0] != std::byte{IPOPT_EOL}) {
    if (options[0] == std::byte{IPOPT_NOP}) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2) return false;
    const auto length = std::to_integer<size_t>(options[1]);
    if (length < 2 || length > options.size()) return false;
    if (options[0] == std::byte{kRouterAlert[0]} && length == kRouterAlert.size()) return true;
    options = options.subspan(length);
  }
  return false;
}

uint32_t InterfaceOf(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(c), sizeof info);
    return static_cast<uint32_t>(info.ipi_ifindex);
  }
  return 0;
}

int Configure(int fd) {
  if (const int error = SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1)) return error;
  if (const int error = SetOption(fd, IPPROTO_IP, IP_OPTIONS, kRouterAlert)) return error;
  if (const int error = SetOption(fd, IPPROTO_IP, IP_TOS, kInternetworkControl)) return error;
  if (const int error = SetOption(fd, IPPROTO_IP, IP_TTL, 1)) return error;
  return SetOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1);
}

}  // namespace

SlotHeader DescribePacket(std::span<const std::byte> packet, uint32_t ifindex, bool truncated) {
  const auto length = static_cast<uint32_t>(packet.size());
  SlotHeader header{.length = length, .ifindex = ifindex, .source = 0, .destination = 0, .flags = 0, .offset = length};
  if (truncated) header.flags |= kSlotTruncated;
  if (packet.size() < kHeaderBytes) return header;
  header.source = ReadU32(packet, 12);
  header.destination = ReadU32(packet, 16);
  if (packet[9] == std::byte{0}) {
    header.flags |= kSlotUpcall;
    header.offset = 0;
    return header;
  }
  header.flags |= std::to_integer<uint32_t>(packet[8]);
  const size_t header_bytes = std::to_integer<size_t>(packet[0] & std::byte{0x0f}) * 4;
  if (header_bytes < kHeaderBytes || header_bytes > packet.size()) return header;
  header.offset = static_cast<uint32_t>(header_bytes);
  if (HasRouterAlert(packet.subspan(kHeaderBytes, header_bytes - kHeaderBytes))) header.flags |= kSlotRouterAlert;
  return header;
}

int OpenIgmp(int adopt_fd, UniqueFd& out) {
  UniqueFd fd;
  if (const int error = adopt_fd >= 0 ? AdoptSocket(kIgmp, adopt_fd, fd) : OpenSocket(kIgmp, fd)) return error;
  if (const int error = Configure(fd.get())) return error;
  out = std::move(fd);
  return 0;
}

int ReceiveBatch(int fd, std::span<Slot> slots) {
  struct Scratch {
    alignas(cmsghdr) std::byte control[kControlBytes];
    iovec part;
  };
  std::array<Scratch, kSlots> scratch;
  std::array<mmsghdr, kSlots> messages{};
  const size_t wanted = std::min(slots.size(), kSlots);
  for (size_t i = 0; i < wanted; i++) {
    scratch[i].part = {slots[i].packet, kPacketBytes};
    msghdr& header = messages[i].msg_hdr;
    header.msg_iov = &scratch[i].part;
    header.msg_iovlen = 1;
    header.msg_control = scratch[i].control;
    header.msg_controllen = kControlBytes;
  }
  const int count = ::recvmmsg(fd, messages.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  for (size_t i = 0; i < static_cast<size_t>(count); i++) {
    mmsghdr& message = messages[i];
    const bool truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    slots[i].header =
        DescribePacket(std::span(slots[i].packet).first(message.msg_len), InterfaceOf(message.msg_hdr), truncated);
  }
  return count;
}

int SendIgmp(int fd, int ifindex, uint32_t source, uint32_t destination, std::span<const std::byte> payload) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(destination);
  iovec part{const_cast<std::byte*>(payload.data()), payload.size()};  // sendmsg does not write
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(in_pktinfo))]{};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = IPPROTO_IP;
  c->cmsg_type = IP_PKTINFO;
  c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_ifindex = ifindex;
  info.ipi_spec_dst.s_addr = htonl(source);
  std::memcpy(CMSG_DATA(c), &info, sizeof info);
  return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

}  // namespace mgmd
