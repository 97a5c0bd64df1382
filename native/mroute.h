// The multicast forwarding table: MRT_* options and counters of a raw IGMP socket. One system call each, no state.
// Addresses are host-order numbers. Results are 0 or a positive errno.
#pragma once

#include <netinet/in.h>

#include <linux/mroute.h>

#include <array>
#include <cstdint>
#include <span>

namespace mgmd {

inline constexpr uint32_t kDefaultTable = 253;

static_assert(sizeof(vifctl) == 16, "the kernel's ABI of MRT_ADD_VIF");
static_assert(sizeof(mfcctl) == 60, "the kernel's ABI of MRT_ADD_MFC");
static_assert(MAXVIFS == 32, "src/port/kernel.ts counts 32 vifs");

using Ttls = std::span<const uint8_t, MAXVIFS>;
using MfcCounters = std::array<double, 3>;  // packets, bytes, wrong interface
using VifCounters = std::array<double, 4>;  // packets in, bytes in, packets out, bytes out

vifctl PackVif(uint16_t vif, int ifindex);
mfcctl PackMfc(uint32_t source, uint32_t group, uint16_t iif, Ttls ttls);

// MRT_TABLE unless it is the default table, then MRT_INIT.
int InitMroute(int fd, uint32_t table);
int DoneMroute(int fd);
int AddVif(int fd, uint16_t vif, int ifindex);
int DelVif(int fd, uint16_t vif);
// Adds or replaces; a replacement keeps the counters and loses no packet.
int AddMfc(int fd, uint32_t source, uint32_t group, uint16_t iif, Ttls ttls);
int DelMfc(int fd, uint32_t source, uint32_t group);
// MRT_FLUSH: 1 entries, 2 static entries, 4 vifs, 8 static vifs.
int FlushMroute(int fd, int bits);
int SetAssert(int fd, int on);
int SetPim(int fd, int value);
// Counters are doubles because that is what JavaScript has: exact up to 2^53.
int ReadMfcCounters(int fd, uint32_t source, uint32_t group, MfcCounters& out);
int ReadVifCounters(int fd, uint16_t vif, VifCounters& out);

}  // namespace mgmd
