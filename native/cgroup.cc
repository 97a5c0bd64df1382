#include "cgroup.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace mgmd {

namespace {

// A mount of cgroup2 that stands in no tree, so that it does not matter what is mounted over /sys (`ip netns exec` does
// that). Needs CAP_SYS_ADMIN.
int MountDetached(UniqueFd& out) {
  const UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC)));
  if (!context) return errno;
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return errno;
  const UniqueFd mount(static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
  if (!mount) return errno;
  out = UniqueFd(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return out ? 0 : errno;
}

int ReadMountinfo(std::string& text) {
  const UniqueFd file(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file) return errno;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t length = ::read(file.get(), piece.data(), piece.size());
    if (length < 0) return errno;
    if (length == 0) return 0;
    text.append(piece.data(), static_cast<size_t>(length));
  }
}

// The kernel writes blank, tab, newline and backslash as \ooo.
std::string Unescaped(std::string_view text) {
  constexpr size_t kDigits = 3;
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\' || text.size() - i <= kDigits) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>(((text[i + 1] - '0') << 6) | ((text[i + 2] - '0') << 3) | (text[i + 3] - '0'));
    i += kDigits;
  }
  return plain;
}

// The next word of a line, which loses it.
std::string_view TakeWord(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

}  // namespace

// "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw" (proc_pid_mountinfo(5)).
std::string FindCgroupRoot(std::string_view mountinfo) {
  while (!mountinfo.empty()) {
    const size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    for (int i = 0; i < 3; i++) TakeWord(line);
    const std::string_view root = TakeWord(line);
    const std::string_view where = TakeWord(line);
    while (!line.empty() && TakeWord(line) != "-") continue;
    // Of a part of the hierarchy that is mounted alone ("/docker/1") the rest of the host would go its own ways.
    if (TakeWord(line) == "cgroup2" && root == "/") return Unescaped(where);
  }
  return {};
}

int OpenCgroupRoot(UniqueFd& out) {
  if (MountDetached(out) == 0) return 0;
  std::string mountinfo;
  if (const int error = ReadMountinfo(mountinfo)) return error;
  const std::string where = FindCgroupRoot(mountinfo);
  if (where.empty()) return ENOENT;
  out = UniqueFd(::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return out ? 0 : errno;
}

}  // namespace mgmd
