#include "handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"

namespace {

// A listening socket in a folder of its own, gone with the test.
class Listener {
 public:
  Listener() {
    std::array<char, 32> name{"/tmp/mgmd-handover-XXXXXX"};
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    socket_ = mgmd::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(socket_.get(), 1);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] mgmd::UniqueFd Accept() const { return mgmd::UniqueFd(::accept(socket_.get(), nullptr, nullptr)); }

 private:
  std::string folder_;
  std::string path_;
  mgmd::UniqueFd socket_;
};

mgmd::UniqueFd Null() { return mgmd::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::string Heard(int socket) {
  std::array<char, 16> word{};
  const ssize_t read = ::recv(socket, word.data(), word.size(), 0);
  return {word.data(), read > 0 ? static_cast<size_t>(read) : 0};
}

bool SameFile(int a, int b) {
  struct stat one {};
  struct stat other {};
  if (::fstat(a, &one) != 0 || ::fstat(b, &other) != 0) return false;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

TEST_CASE("descriptors arrive under other numbers, in order, with their names, and are not inherited") {
  const Listener listener;
  mgmd::UniqueFd asking;
  REQUIRE(mgmd::AskForDescriptors(listener.path(), asking) == 0);
  const mgmd::UniqueFd peer = listener.Accept();
  CHECK(Heard(peer.get()) == "take\n");
  mgmd::NamedDescriptors got;
  CHECK(mgmd::ReceiveDescriptors(asking.get(), got) == EAGAIN);
  {
    const mgmd::UniqueFd null = Null();
    const mgmd::UniqueFd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const std::array<int, 2> fds{null.get(), zero.get()};
    CHECK(mgmd::SendDescriptors(peer.get(), "mroute4:member4.0", fds) == 0);
  }
  CHECK(mgmd::ReceiveDescriptors(asking.get(), got) == 0);
  CHECK(got.names == "mroute4:member4.0");
  REQUIRE(got.fds.size() == 2);
  CHECK(SameFile(got.fds[0].get(), Null().get()));
  CHECK_FALSE(SameFile(got.fds[1].get(), Null().get()));
  CHECK((::fcntl(got.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("nobody there, a path that is too long, and a predecessor that closes without a word are told apart") {
  mgmd::UniqueFd asking;
  CHECK(mgmd::AskForDescriptors("/nowhere/at/all", asking) == ENOENT);
  CHECK(mgmd::AskForDescriptors("/" + std::string(200, 'x'), asking) == ENAMETOOLONG);
  const Listener listener;
  REQUIRE(mgmd::AskForDescriptors(listener.path(), asking) == 0);
  { const mgmd::UniqueFd closed = listener.Accept(); }
  mgmd::NamedDescriptors got;
  CHECK(mgmd::ReceiveDescriptors(asking.get(), got) == ECONNRESET);
  CHECK(got.fds.empty());
}

TEST_CASE("a predecessor that accepts nobody does not block who asks") {
  const Listener listener;
  std::vector<mgmd::UniqueFd> asking(4);
  int last = 0;
  for (mgmd::UniqueFd& one : asking) last = mgmd::AskForDescriptors(listener.path(), one);
  CHECK(last == EAGAIN);
}

TEST_CASE("no descriptors, no names, and too many of either are refused") {
  const mgmd::UniqueFd fd = Null();
  const std::array<int, 1> one{fd.get()};
  const std::vector<int> many(254, fd.get());
  CHECK(mgmd::SendDescriptors(0, "mroute4", {}) == EINVAL);
  CHECK(mgmd::SendDescriptors(0, "", one) == EINVAL);
  CHECK(mgmd::SendDescriptors(0, "mroute4", many) == EINVAL);
  CHECK(mgmd::SendDescriptors(0, std::string(16385, 'x'), one) == EINVAL);
  CHECK(mgmd::SendDescriptors(fd.get(), "mroute4", one) == ENOTSOCK);
}
