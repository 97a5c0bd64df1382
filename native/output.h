// Writing to a standard stream that nobody may be reading, without waiting for whoever should.
#pragma once

#include <cstddef>
#include <span>

namespace mgmd {

// Writes what fits now, or within `wait_ms`, and returns how many bytes that was; -EAGAIN when none fits, another negative
// errno when the stream is broken. Leaves O_NONBLOCK as it is, which belongs to everybody who has the stream open.
int WriteSome(int fd, std::span<const std::byte> bytes, int wait_ms);

}  // namespace mgmd
