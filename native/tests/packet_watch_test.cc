// The filter, run by the kernel on sockets that need no privilege: which IP headers (RFC 791 section 3.1) pass.
#include "packet_watch.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "check.h"
#include "socket.h"

namespace {

constexpr uint32_t kOwn = 0x0a010001;
constexpr uint32_t kSecond = 0x0a010101;
constexpr uint32_t kHost = 0x0a010002;

std::vector<uint8_t> Packet(int words, int protocol, uint32_t source) {
  std::vector<uint8_t> bytes(static_cast<size_t>(words) * 4 + 8);
  bytes[0] = static_cast<uint8_t>(0x40 | words);
  bytes[9] = static_cast<uint8_t>(protocol);
  for (size_t i = 0; i < 4; i++) bytes[12 + i] = static_cast<uint8_t>(source >> (24 - 8 * i));
  return bytes;
}

// A pair of datagram sockets of which one filters what the other sends.
class Wire {
 public:
  explicit Wire(const std::vector<uint32_t>& addresses) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) return;
    from_ = mgmd::UniqueFd(pair[0]);
    to_ = mgmd::UniqueFd(pair[1]);
    std::vector<sock_filter> code = mgmd::WatchFilter(addresses);
    const sock_fprog filter{static_cast<uint16_t>(code.size()), code.data()};
    ready_ = mgmd::SetOption(to_.get(), SOL_SOCKET, SO_ATTACH_FILTER, filter) == 0;
  }

  [[nodiscard]] bool ready() const { return ready_; }

  // The bytes of it that arrive; -1: it does not.
  ssize_t Send(const std::vector<uint8_t>& packet) {
    ::send(from_.get(), packet.data(), packet.size(), 0);
    std::array<uint8_t, 256> bytes{};
    return ::recv(to_.get(), bytes.data(), bytes.size(), 0);
  }

 private:
  mgmd::UniqueFd from_;
  mgmd::UniqueFd to_;
  bool ready_ = false;
};

}  // namespace

TEST_CASE("IGMP from an own address passes, cut to its IP header, with options too") {
  Wire wire({kOwn, kSecond});
  REQUIRE(wire.ready());
  CHECK(wire.Send(Packet(5, IPPROTO_IGMP, kOwn)) == 20);
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, kOwn)) == 20);
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, kSecond)) == 20);
}

TEST_CASE("other protocols, other sources and what is no whole header do not pass") {
  Wire wire({kOwn, kSecond});
  REQUIRE(wire.ready());
  CHECK(wire.Send(Packet(5, IPPROTO_UDP, kOwn)) == -1);
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, kHost)) == -1);
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, 0)) == -1);
  CHECK(wire.Send({0x46, 0, 0, 0}) == -1);
}

TEST_CASE("of very many addresses the first ones are watched, and without any nothing passes") {
  std::vector<uint32_t> many(1000);
  std::iota(many.begin(), many.end(), kOwn);
  Wire wire(many);
  REQUIRE(wire.ready());
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, kOwn + mgmd::kWatchedAddresses - 1)) == 20);
  CHECK(wire.Send(Packet(6, IPPROTO_IGMP, kOwn + mgmd::kWatchedAddresses)) == -1);
  Wire none({});
  REQUIRE(none.ready());
  CHECK(none.Send(Packet(6, IPPROTO_IGMP, kOwn)) == -1);
}

TEST_CASE("a socket on an interface that does not exist is refused and left closed") {
  mgmd::UniqueFd fd;
  CHECK(mgmd::OpenPacketWatch(0x7ffffff0, std::vector<uint32_t>{kOwn}, fd) != 0);
  CHECK(fd.get() == -1);
}
