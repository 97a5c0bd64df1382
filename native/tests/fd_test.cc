#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>

#include "check.h"

#include "fd.h"
#include "socket.h"

namespace {

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
mgmd::UniqueFd Null() { return mgmd::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

TEST_CASE("a descriptor is closed when its owner goes") {
  int number = -1;
  {
    const mgmd::UniqueFd fd = Null();
    number = fd.get();
    CHECK(IsOpen(number));
  }
  CHECK_FALSE(IsOpen(number));
}

TEST_CASE("moving hands the descriptor on, and assigning closes the old one at once") {
  mgmd::UniqueFd a = Null();
  mgmd::UniqueFd b = Null();
  const int first = a.get();
  const int second = b.get();
  a = std::move(b);
  CHECK_FALSE(IsOpen(first));
  CHECK(a.get() == second);
  CHECK(IsOpen(second));
  const mgmd::UniqueFd c(std::move(a));
  CHECK(c.get() == second);
  CHECK(IsOpen(second));
}

TEST_CASE("adopting refuses a descriptor of another kind and leaves it to the caller") {
  const mgmd::SocketKind udp{AF_INET, SOCK_DGRAM, IPPROTO_UDP};
  const mgmd::SocketKind tcp{AF_INET, SOCK_STREAM, IPPROTO_TCP};
  mgmd::UniqueFd socket;
  REQUIRE(mgmd::OpenSocket(udp, socket) == 0);
  mgmd::UniqueFd taken;
  CHECK(mgmd::AdoptSocket(tcp, socket.get(), taken) == EINVAL);
  CHECK(IsOpen(socket.get()));
  const mgmd::UniqueFd file = Null();
  CHECK(mgmd::AdoptSocket(udp, file.get(), taken) == ENOTSOCK);
  CHECK(mgmd::AdoptSocket(udp, 12345, taken) == EBADF);
  CHECK_FALSE(static_cast<bool>(taken));
}

TEST_CASE("an adopted socket does not block and is not inherited") {
  const int plain = ::socket(AF_INET, SOCK_DGRAM, 0);
  mgmd::UniqueFd taken;
  REQUIRE(mgmd::AdoptSocket({AF_INET, SOCK_DGRAM, IPPROTO_UDP}, plain, taken) == 0);
  CHECK((::fcntl(plain, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(plain, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a duplicate is another number for the same socket, never a standard stream") {
  mgmd::UniqueFd socket;
  REQUIRE(mgmd::OpenSocket({AF_INET, SOCK_DGRAM, 0}, socket) == 0);
  const mgmd::UniqueFd copy(mgmd::Duplicate(socket.get()));
  CHECK(copy.get() >= 3);
  CHECK(copy.get() != socket.get());
  CHECK(mgmd::Duplicate(-1) == -EBADF);
}

TEST_CASE("the granted receive buffer is what the kernel says, not what was asked for") {
  mgmd::UniqueFd socket;
  REQUIRE(mgmd::OpenSocket({AF_INET, SOCK_DGRAM, 0}, socket) == 0);
  CHECK(mgmd::SetReceiveBuffer(socket.get(), 50'000) == 100'000);
  CHECK(mgmd::SetReceiveBuffer(-1, 50'000) == -EBADF);
}
