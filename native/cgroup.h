// Finding the root of the cgroup2 hierarchy.
#pragma once

#include <string>
#include <string_view>

#include "fd.h"

namespace mgmd {

// A directory descriptor of the root that this process sees. 0 or a positive errno; ENOENT: no cgroup2 to be seen.
int OpenCgroupRoot(UniqueFd& out);

// Where the text of /proc/self/mountinfo says that the root of a cgroup2 file system is mounted; empty when nowhere.
std::string FindCgroupRoot(std::string_view mountinfo);

}  // namespace mgmd
