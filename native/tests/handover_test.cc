#include "handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
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

bool SameFile(int a, int b) {
  struct stat one {};
  struct stat other {};
  if (::fstat(a, &one) != 0 || ::fstat(b, &other) != 0) return false;
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// What a program prints that Execute starts in a child with these descriptors.
std::string OutputOf(const std::string& script, const std::vector<int>& fds) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::fcntl(STDOUT_FILENO, F_SETFD, FD_CLOEXEC);  // as Node has it
    ::_exit(mgmd::Execute("/bin/sh", {"sh", "-c", script}, {"WORD=given"}, fds));
  }
  ::close(pipe[1]);
  std::string output;
  std::array<char, 256> buffer{};
  for (ssize_t n = 0; (n = ::read(pipe[0], buffer.data(), buffer.size())) > 0;)
    output.append(buffer.data(), static_cast<size_t>(n));
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return output;
}

}  // namespace

TEST_CASE("descriptors arrive under other numbers, in order, with their names, and are not inherited") {
  const Listener listener;
  std::thread sender([&listener] {
    const mgmd::UniqueFd peer = listener.Accept();
    const mgmd::UniqueFd null = Null();
    const std::array<int, 2> fds{null.get(), peer.get()};
    CHECK(mgmd::SendDescriptors(peer.get(), "mroute4:member4.0", fds) == 0);
  });
  mgmd::NamedDescriptors got;
  CHECK(mgmd::ReceiveDescriptors(listener.path(), 5000, got) == 0);
  sender.join();
  CHECK(got.names == "mroute4:member4.0");
  REQUIRE(got.fds.size() == 2);
  CHECK(SameFile(got.fds[0].get(), Null().get()));
  CHECK_FALSE(SameFile(got.fds[1].get(), Null().get()));
  CHECK((::fcntl(got.fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("nobody there, a path that is too long, and silence are told apart") {
  mgmd::NamedDescriptors got;
  CHECK(mgmd::ReceiveDescriptors("/nowhere/at/all", 10, got) == ENOENT);
  CHECK(mgmd::ReceiveDescriptors("/" + std::string(200, 'x'), 10, got) == ENAMETOOLONG);
  const Listener listener;
  CHECK(mgmd::ReceiveDescriptors(listener.path(), 10, got) == ETIMEDOUT);
  CHECK(got.fds.empty());
}

TEST_CASE("a predecessor that closes without a word is a reset connection") {
  const Listener listener;
  std::thread closer([&listener] { const mgmd::UniqueFd peer = listener.Accept(); });
  mgmd::NamedDescriptors got;
  CHECK(mgmd::ReceiveDescriptors(listener.path(), 5000, got) == ECONNRESET);
  closer.join();
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

TEST_CASE("a program that takes our place gets 3, 4, ... and the standard streams, whatever numbers they had") {
  const mgmd::UniqueFd one = Null();
  const mgmd::UniqueFd two = Null();
  // Given in an order in which each stands where the other is to go.
  CHECK(OutputOf("echo $WORD; ls -l /proc/self/fd/3 /proc/self/fd/4 | wc -l; cat <&4 | wc -c", {two.get(), one.get()}) ==
        "given\n2\n0\n");
}

TEST_CASE("a program that is not there is an errno, and nothing is touched") {
  CHECK(mgmd::Execute("/nowhere/at/all", {"x"}, {}, {}) == ENOENT);
  CHECK(mgmd::Execute("/etc/passwd", {"x"}, {}, {}) == EACCES);
}
