// How descriptors reach a successor: over a Unix socket. Results are 0 or a positive errno.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fd.h"

namespace mgmd {

// Descriptors with their names, "a:b:c", as systemd's LISTEN_FDNAMES has them.
struct NamedDescriptors {
  std::string names;
  std::vector<UniqueFd> fds;
};

// Sends them over a connected stream socket in one message; at most 253, and names of at most 16 KiB.
int SendDescriptors(int socket, const std::string& names, std::span<const int> fds);

// Connects to `path` and says "take". ENOENT or ECONNREFUSED: nobody listens there. EPERM: somebody who is neither root nor we.
// EAGAIN: too many others wait to be accepted.
int AskForDescriptors(const std::string& path, UniqueFd& out);

// One message of SendDescriptors, without waiting. EAGAIN: none has come. ECONNRESET: closed without a message.
int ReceiveDescriptors(int socket, NamedDescriptors& out);

}  // namespace mgmd
