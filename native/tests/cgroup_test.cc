#include "cgroup.h"

#include "check.h"

using mgmd::FindCgroupRoot;

TEST_CASE("the root of cgroup2 is found among other mounts, whatever stands between the dash and the options") {
  CHECK(FindCgroupRoot("30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
                       "36 30 0:33 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
                       "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime shared:9 master:2 - cgroup2 cgroup2 rw\n") ==
        "/sys/fs/cgroup/unified");
  CHECK(FindCgroupRoot("31 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate") == "/sys/fs/cgroup");
}

TEST_CASE("a part of the hierarchy is not taken for its root") {
  CHECK(FindCgroupRoot("31 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
                       "32 23 0:26 / /host\\040cgroup rw - cgroup2 cgroup rw\n") == "/host cgroup");
  CHECK(FindCgroupRoot("31 23 0:26 /docker/1 /sys/fs/cgroup rw - cgroup2 cgroup rw\n").empty());
}

TEST_CASE("lines that end early are passed over") {
  CHECK(FindCgroupRoot("").empty());
  CHECK(FindCgroupRoot("\n\n31 23\n31 23 0:26 / /x rw -\n31 23 0:26 / /x rw").empty());
}
