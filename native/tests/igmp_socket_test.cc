// Slots from hand-made IP headers (RFC 791 section 3.1), byte by byte.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "check.h"

#include "igmp_socket.h"

namespace {

using Bytes = std::vector<std::byte>;

Bytes Make(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// Header of `words` 32-bit words: TTL 1, the protocol given, 10.0.0.1 to 224.0.0.22.
Bytes Header(int words, int protocol) {
  return Make({0x40 | words, 0xc0, 0, 0, 0, 0, 0, 0, 1, protocol, 0, 0, 10, 0, 0, 1, 224, 0, 0, 22});
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Bytes kPayload = Make({0x22, 0, 0, 0, 0, 0, 0, 0});

}  // namespace

TEST_CASE("a report with router alert: addresses, TTL, flag and the payload behind the options") {
  const auto slot = mgmd::DescribePacket(Header(6, 2) + Make({0x94, 4, 0, 0}) + kPayload, 7, false);
  CHECK(slot.length == 32);
  CHECK(slot.ifindex == 7);
  CHECK(slot.source == 0x0a000001);
  CHECK(slot.destination == 0xe0000016);
  CHECK(slot.flags == (1 | mgmd::kSlotRouterAlert));
  CHECK(slot.offset == 24);
}

TEST_CASE("a message without options has its payload at 20 and no router alert") {
  const auto slot = mgmd::DescribePacket(Header(5, 2) + kPayload, 1, false);
  CHECK(slot.flags == 1);
  CHECK(slot.offset == 20);
}

TEST_CASE("router alert is found behind other options") {
  const auto slot =
      mgmd::DescribePacket(Header(8, 2) + Make({1, 7, 4, 0, 1, 0x94, 4, 0, 0, 1, 0, 0}) + kPayload, 1, false);
  CHECK((slot.flags & mgmd::kSlotRouterAlert) != 0);
  CHECK(slot.offset == 32);
}

TEST_CASE("no router alert: behind the end of the options, of another length, cut off, or in the payload") {
  const auto alert = [](const Bytes& packet) {
    return (mgmd::DescribePacket(packet, 1, false).flags & mgmd::kSlotRouterAlert) != 0;
  };
  CHECK_FALSE(alert(Header(7, 2) + Make({0, 0, 0, 0, 0x94, 4, 0, 0}) + kPayload));
  CHECK_FALSE(alert(Header(6, 2) + Make({0x94, 3, 0, 0}) + kPayload));
  CHECK_FALSE(alert(Header(6, 2) + Make({1, 1, 0x94, 4}) + kPayload));
  CHECK_FALSE(alert(Header(6, 2) + Make({1, 1, 1, 0x94}) + kPayload));
  CHECK_FALSE(alert(Header(6, 2) + Make({7, 0, 0x94, 4}) + kPayload));
  CHECK_FALSE(alert(Header(5, 2) + Make({0x94, 4, 0, 0})));
}

TEST_CASE("an upcall keeps the whole message: offset 0 and no TTL, whatever the other bytes are") {
  auto message = Header(5, 0);
  message[8] = std::byte{2};  // im_msgtype, where a TTL would be
  const auto slot = mgmd::DescribePacket(message, 3, false);
  CHECK(slot.flags == mgmd::kSlotUpcall);
  CHECK(slot.offset == 0);
  CHECK(slot.length == 20);
  CHECK(slot.source == 0x0a000001);
  CHECK(slot.destination == 0xe0000016);
}

TEST_CASE("a header that claims too little or too much has an empty payload") {
  for (const int words : {0, 1, 4, 15}) {
    CAPTURE(words);
    const auto slot = mgmd::DescribePacket(Header(words, 2) + kPayload, 1, false);
    CHECK(slot.offset == slot.length);
    CHECK(slot.flags == 1);
  }
}

TEST_CASE("less than a header says nothing and claims nothing") {
  for (size_t length = 0; length < 20; length++) {
    CAPTURE(length);
    auto packet = Header(5, 0);
    packet.resize(length);
    const auto slot = mgmd::DescribePacket(packet, 9, false);
    CHECK(slot.length == length);
    CHECK(slot.offset == length);
    CHECK(slot.flags == 0);
    CHECK(slot.source == 0);
    CHECK(slot.ifindex == 9);
  }
}

TEST_CASE("a packet that did not fit its slot is marked") {
  CHECK((mgmd::DescribePacket(Header(5, 2) + kPayload, 1, true).flags & mgmd::kSlotTruncated) != 0);
  CHECK(mgmd::DescribePacket({}, 1, true).flags == mgmd::kSlotTruncated);
}

TEST_CASE("random bytes of every length never lead past the packet") {
  uint32_t state = 20'240'101;  // a linear congruential generator: the same bytes in every run
  const auto next = [&state] { return static_cast<std::byte>((state = state * 1'664'525 + 1'013'904'223) >> 24); };
  for (int run = 0; run < 20'000; run++) {
    // an allocation of exactly this size, so that the address sanitizer sees one byte too many
    Bytes packet(static_cast<size_t>(run) % 80);
    for (std::byte& byte : packet) byte = next();
    const auto slot = mgmd::DescribePacket(packet, 1, false);
    REQUIRE(slot.length == packet.size());
    REQUIRE(slot.offset <= slot.length);
  }
}

TEST_CASE("receiving from what is no socket tells the errno, negative") {
  std::vector<mgmd::Slot> slots(2);
  CHECK(mgmd::ReceiveBatch(-1, slots) == -EBADF);
  CHECK(mgmd::SendIgmp(-1, 1, 0, 0xe0000001, kPayload) == EBADF);
}
