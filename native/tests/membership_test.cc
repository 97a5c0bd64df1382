// Memberships on the loopback device, which every namespace has (ifindex 1) and which sends no IGMP.
#include "membership.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "check.h"

#include "descriptor_bag.h"

namespace {

constexpr int kLoopback = 1;
constexpr uint32_t kGroup = 0xeffe0000;   // 239.254.0.0
constexpr uint32_t kSsm = 0xe8fe0001;     // 232.254.0.1
constexpr uint32_t kSource = 0x0a000001;  // 10.0.0.1

}  // namespace

TEST_CASE("joins beyond a socket's limit go to further sockets, which are used again after a leave") {
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  for (uint32_t i = 0; i < 100; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
  const size_t sockets = pool.socket_count();
  CHECK(sockets > 1);
  CHECK(pool.Join(kLoopback, kGroup) == EADDRINUSE);
  for (uint32_t i = 0; i < 100; i++) REQUIRE(pool.Leave(kLoopback, kGroup + i) == 0);
  CHECK(pool.Leave(kLoopback, kGroup) == EADDRNOTAVAIL);
  for (uint32_t i = 0; i < 100; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
  CHECK(pool.socket_count() == sockets);
}

TEST_CASE("sockets are given back when their groups are left, and places that are free are used before new sockets (A5)") {
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  const mgmd::UniqueFd keeper(pool.Duplicate());
  REQUIRE(keeper.get() >= 0);
  for (uint32_t i = 0; i < 1000; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
  const size_t most = pool.socket_count();
  CHECK(most == 50);
  for (uint32_t i = 0; i < 1000; i++) {
    if (i % 20 != 0) REQUIRE(pool.Leave(kLoopback, kGroup + i) == 0);
  }
  CHECK(pool.socket_count() == most);  // one group on each
  for (uint32_t i = 1000; i < 1950; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
  CHECK(pool.socket_count() == most);
  for (uint32_t i = 0; i < 1950; i++) pool.Leave(kLoopback, kGroup + i);
  CHECK(pool.socket_count() == 1);
  // what keeps the sockets alive for a successor lets go of them as well
  mgmd::MembershipPool successor;
  REQUIRE(successor.Open(pool.Duplicate()) == 0);
  CHECK(successor.socket_count() < most / 2);
  for (uint32_t i = 0; i < 100; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
  mgmd::MembershipPool second;
  REQUIRE(second.Open(pool.Duplicate()) == 0);
  for (uint32_t i = 0; i < 100; i++) CHECK(second.Join(kLoopback, kGroup + i) == EADDRINUSE);
}

TEST_CASE("when descriptors run out a join is refused, what is held stays, and there is room again afterwards (A5)") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{.rlim_cur = 128, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  uint32_t joined = 0;
  int error = 0;
  while (joined < 10000 && (error = pool.Join(kLoopback, kGroup + joined)) == 0) joined++;
  CHECK(error == EMFILE);
  CHECK(joined >= 20 * 60);
  CHECK(pool.Join(kLoopback, kGroup + joined) == EMFILE);
  const mgmd::UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));  // not the last descriptors
  CHECK(other.get() >= 0);
  CHECK(pool.Leave(kLoopback, kGroup) == 0);
  CHECK(pool.Join(kLoopback, kGroup + joined) == 0);
  CHECK(pool.Join(kLoopback, kGroup) == EMFILE);
  CHECK(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(pool.Join(kLoopback, kGroup) == 0);
}

TEST_CASE("the last source to be left leaves the group") {
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  CHECK(pool.JoinSource(kLoopback, kSsm, kSource) == 0);
  CHECK(pool.JoinSource(kLoopback, kSsm, kSource + 1) == 0);
  CHECK(pool.LeaveSource(kLoopback, kSsm, kSource) == 0);
  CHECK(pool.LeaveSource(kLoopback, kSsm, kSource) == EADDRNOTAVAIL);
  CHECK(pool.LeaveSource(kLoopback, kSsm, kSource + 1) == 0);
  CHECK(pool.LeaveSource(kLoopback, kSsm, kSource + 1) == EINVAL);
  CHECK(pool.Join(kLoopback, kSsm) == 0);
}

TEST_CASE("a filter needs a join, has the kernel's limit, and without sources in include mode leaves") {
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  const std::array<uint32_t, 2> two{kSource, kSource + 1};
  const std::array<uint32_t, 300> many{};
  CHECK(pool.SetFilter(kLoopback, kSsm, true, two) == EINVAL);
  CHECK(pool.Join(kLoopback, kSsm) == 0);
  CHECK(pool.SetFilter(kLoopback, kSsm, false, two) == 0);
  CHECK(pool.SetFilter(kLoopback, kSsm, true, two) == 0);
  CHECK(pool.SetFilter(kLoopback, kSsm, true, many) == ENOBUFS);
  CHECK(pool.SetFilter(kLoopback, kSsm, true, {}) == 0);
  CHECK(pool.Leave(kLoopback, kSsm) == EADDRNOTAVAIL);
}

TEST_CASE("a successor adopts every socket of the pool by one descriptor, also those opened after it was made") {
  mgmd::MembershipPool successor;
  {
    mgmd::MembershipPool pool;
    REQUIRE(pool.Open(-1) == 0);
    REQUIRE(pool.Join(kLoopback, kGroup) == 0);
    const int fd = pool.Duplicate();
    REQUIRE(fd >= 0);
    for (uint32_t i = 1; i < 100; i++) REQUIRE(pool.Join(kLoopback, kGroup + i) == 0);
    REQUIRE(successor.Open(fd) == 0);
    CHECK(successor.socket_count() == pool.socket_count());
  }
  CHECK(successor.Join(kLoopback, kGroup + 99) == EADDRINUSE);
  for (uint32_t i = 0; i < 100; i++) CHECK(successor.Leave(kLoopback, kGroup + i) == 0);
  CHECK(successor.Leave(kLoopback, kGroup) == EADDRNOTAVAIL);
  // and it can be handed on once more
  REQUIRE(successor.Join(kLoopback, kGroup) == 0);
  mgmd::MembershipPool third;
  REQUIRE(third.Open(successor.Duplicate()) == 0);
  successor.Close();
  CHECK(third.Leave(kLoopback, kGroup) == 0);
}

TEST_CASE("a bag keeps its content when it is listed, and grows past what its queue holds") {
  mgmd::DescriptorBag bag;
  REQUIRE(mgmd::DescriptorBag::Create(bag) == 0);
  int added = 0;
  int error = 0;
  while ((error = bag.Add(0)) == 0 && added < 5000) added++;
  CHECK(error == EAGAIN);
  std::vector<mgmd::UniqueFd> inside;
  CHECK(bag.List(inside) == 0);
  CHECK(inside.size() == static_cast<size_t>(added));
  inside.clear();
  const std::vector<int> twice(static_cast<size_t>(added) * 2, 0);
  CHECK(bag.Repack(twice) == 0);
  CHECK(bag.List(inside) == 0);
  CHECK(inside.size() == twice.size());
}

TEST_CASE("a pool refuses to adopt what is neither a bag nor a UDP socket") {
  mgmd::MembershipPool pool;
  const mgmd::UniqueFd tcp(::socket(AF_INET, SOCK_STREAM, 0));
  CHECK(pool.Open(tcp.get()) == EINVAL);
  CHECK(::fcntl(tcp.get(), F_GETFD) >= 0);
  std::array<int, 2> pair{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair.data()) == 0);
  const mgmd::UniqueFd left(pair[0]);
  const mgmd::UniqueFd right(pair[1]);
  CHECK(pool.Open(left.get()) == EINVAL);
  CHECK(::fcntl(left.get(), F_GETFD) >= 0);
}

TEST_CASE("after close every call answers EBADF") {
  mgmd::MembershipPool pool;
  REQUIRE(pool.Open(-1) == 0);
  pool.Close();
  pool.Close();
  CHECK(pool.Join(kLoopback, kGroup) == EBADF);
  CHECK(pool.Leave(kLoopback, kGroup) == EBADF);
  CHECK(pool.JoinSource(kLoopback, kSsm, kSource) == EBADF);
  CHECK(pool.LeaveSource(kLoopback, kSsm, kSource) == EBADF);
  CHECK(pool.SetFilter(kLoopback, kSsm, true, {}) == EBADF);
  CHECK(pool.Duplicate() == -EBADF);
}
