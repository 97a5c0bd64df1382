// The filter, interpreted here: which IP headers (RFC 791 section 3.1) pass.
#include "packet_watch.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "check.h"
#include "socket.h"

namespace {

constexpr uint32_t kOwn = 0x0a010001;
constexpr uint32_t kSecond = 0x0a010101;
constexpr uint32_t kHost = 0x0a010002;

struct Frame {
  int words = 6;
  int protocol = IPPROTO_IGMP;
  uint32_t source = kOwn;
  uint32_t ethertype = ETH_P_IP;
  uint32_t type = PACKET_MULTICAST;
  uint32_t vlan_tag = 0;
};

std::vector<uint8_t> Bytes(const Frame& frame) {
  std::vector<uint8_t> bytes(static_cast<size_t>(frame.words) * 4 + 8);
  bytes[0] = static_cast<uint8_t>(0x40 | frame.words);
  if (bytes.size() > 9) bytes[9] = static_cast<uint8_t>(frame.protocol);
  for (size_t i = 0; i < 4; i++) {
    if (bytes.size() > 12 + i) bytes[12 + i] = static_cast<uint8_t>(frame.source >> (24 - 8 * i));
  }
  return bytes;
}

// As much of classic BPF as the filter uses. A load behind the end of the packet ends it with 0, as in the kernel.
class Machine {
 public:
  explicit Machine(const std::vector<uint32_t>& addresses) : code_(mgmd::WatchFilter(addresses)) {}

  // The bytes that pass.
  [[nodiscard]] uint32_t Run(const Frame& frame) const {
    const std::vector<uint8_t> bytes = Bytes(frame);
    uint32_t a = 0;
    for (size_t at = 0; at < code_.size(); at++) {
      const sock_filter& step = code_[at];
      switch (step.code) {
        case BPF_LD | BPF_ABS | BPF_W:
        case BPF_LD | BPF_ABS | BPF_B:
          if (!Load(frame, bytes, step, a)) return 0;
          break;
        case BPF_ALU | BPF_AND | BPF_K:
          a &= step.k;
          break;
        case BPF_JMP | BPF_JEQ | BPF_K:
          at += a == step.k ? step.jt : step.jf;
          break;
        case BPF_JMP | BPF_JGE | BPF_K:
          at += a >= step.k ? step.jt : step.jf;
          break;
        case BPF_RET | BPF_K:
          return step.k;
        default:
          return 0xffffffff;
      }
    }
    return 0xffffffff;
  }

 private:
  static bool Load(const Frame& frame, const std::vector<uint8_t>& bytes, const sock_filter& step, uint32_t& a) {
    if (step.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL)) return a = frame.ethertype, true;
    if (step.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)) return a = frame.type, true;
    if (step.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG)) return a = frame.vlan_tag, true;
    const size_t size = BPF_SIZE(step.code) == BPF_W ? 4 : 1;
    if (bytes.size() < step.k + size) return false;
    a = 0;
    for (size_t i = 0; i < size; i++) a = a << 8 | bytes[step.k + i];
    return true;
  }

  std::vector<sock_filter> code_;
};

}  // namespace

TEST_CASE("IGMP from an own address passes, cut to its IP header, with and without options") {
  const Machine filter({kOwn, kSecond});
  CHECK(filter.Run({.words = 5}) == 20);
  CHECK(filter.Run({.words = 6}) == 20);
  CHECK(filter.Run({.source = kSecond}) == 20);
  CHECK(filter.Run({.type = PACKET_HOST}) == 20);
}

TEST_CASE("other protocols, other sources and what is no whole header do not pass") {
  const Machine filter({kOwn, kSecond});
  CHECK(filter.Run({.protocol = IPPROTO_UDP}) == 0);
  CHECK(filter.Run({.source = kHost}) == 0);
  CHECK(filter.Run({.source = 0}) == 0);
  CHECK(filter.Run({.ethertype = ETH_P_ARP}) == 0);
  CHECK(filter.Run({.words = 0}) == 0);
  CHECK(filter.Run({.words = 1}) == 0);
}

TEST_CASE("what is for other machines, what this machine sends, and what is of a VLAN do not pass") {
  const Machine filter({kOwn});
  for (const uint32_t type : {PACKET_OTHERHOST, PACKET_OUTGOING, PACKET_LOOPBACK}) CHECK(filter.Run({.type = type}) == 0);
  CHECK(filter.Run({.vlan_tag = 0x600a}) == 0);
  // a priority and no VLAN
  CHECK(filter.Run({.vlan_tag = 0x6000}) == 20);
}

TEST_CASE("of very many addresses the first ones are watched, and without any nothing passes") {
  std::vector<uint32_t> many(1000);
  std::iota(many.begin(), many.end(), kOwn);
  const Machine filter(many);
  CHECK(filter.Run({.source = kOwn + mgmd::kWatchedAddresses - 1}) == 20);
  CHECK(filter.Run({.source = kOwn + mgmd::kWatchedAddresses}) == 0);
  CHECK(Machine({}).Run({}) == 0);
}

TEST_CASE("the kernel takes the longest filter") {
  mgmd::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(fd);
  std::vector<sock_filter> code = mgmd::WatchFilter(std::vector<uint32_t>(mgmd::kWatchedAddresses, kOwn));
  const sock_fprog filter{static_cast<uint16_t>(code.size()), code.data()};
  CHECK(mgmd::SetOption(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, filter) == 0);
}

TEST_CASE("a socket on an interface that does not exist is refused and left closed") {
  mgmd::UniqueFd fd;
  CHECK(mgmd::OpenPacketWatch(0x7ffffff0, std::vector<uint32_t>{kOwn}, fd) != 0);
  CHECK(fd.get() == -1);
}
