// Ownership of descriptors.
#pragma once

#include <unistd.h>

#include <memory>
#include <utility>

namespace mgmd {

// Owns one descriptor; closing is the destructor's job and nobody else's.
class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    UniqueFd doomed(std::exchange(fd_, std::exchange(other.fd_, -1)));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }
  // The number, which is the caller's from now on.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// A descriptor that several objects use. Whoever closes it for all empties it: the others then see -1, and the kernel
// answers them EBADF.
using SharedFd = std::shared_ptr<UniqueFd>;

}  // namespace mgmd
