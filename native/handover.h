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

// Connects to `path`, says "take", waits at most `timeout_ms` for one message of SendDescriptors, says "taken", and waits until
// the other end closes: by then it serves no more. ENOENT or ECONNREFUSED: nobody listens there. EPERM: somebody who is neither
// root nor we. ECONNRESET: closed without a message. After an error the other end goes on with what it has.
int ReceiveDescriptors(const std::string& path, int timeout_ms, NamedDescriptors& out);

}  // namespace mgmd
