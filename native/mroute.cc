#include "mroute.h"

#include <sys/ioctl.h>

#include <algorithm>

#include "socket.h"

namespace mgmd {

vifctl PackVif(uint16_t vif, int ifindex) {
  vifctl v{};
  v.vifc_vifi = vif;
  v.vifc_flags = VIFF_USE_IFINDEX;
  v.vifc_threshold = 1;  // without effect: the thresholds of the MFC entries count
  v.vifc_lcl_ifindex = ifindex;
  return v;
}

mfcctl PackMfc(uint32_t source, uint32_t group, uint16_t iif, Ttls ttls) {
  mfcctl m{};
  m.mfcc_origin.s_addr = htonl(source);
  m.mfcc_mcastgrp.s_addr = htonl(group);
  m.mfcc_parent = iif;
  std::copy(ttls.begin(), ttls.end(), m.mfcc_ttls);
  return m;
}

int InitMroute(int fd, uint32_t table) {
  if (table != kDefaultTable) {
    if (const int error = SetOption(fd, IPPROTO_IP, MRT_TABLE, table)) return error;
  }
  return SetOption(fd, IPPROTO_IP, MRT_INIT, 1);
}

int DoneMroute(int fd) { return SetOption(fd, IPPROTO_IP, MRT_DONE, 1); }

int AddVif(int fd, uint16_t vif, int ifindex) {
  return SetOption(fd, IPPROTO_IP, MRT_ADD_VIF, PackVif(vif, ifindex));
}

int DelVif(int fd, uint16_t vif) { return SetOption(fd, IPPROTO_IP, MRT_DEL_VIF, PackVif(vif, 0)); }

int AddMfc(int fd, uint32_t source, uint32_t group, uint16_t iif, Ttls ttls) {
  return SetOption(fd, IPPROTO_IP, MRT_ADD_MFC, PackMfc(source, group, iif, ttls));
}

int DelMfc(int fd, uint32_t source, uint32_t group) {
  constexpr std::array<uint8_t, MAXVIFS> kNoOutputs{};
  return SetOption(fd, IPPROTO_IP, MRT_DEL_MFC, PackMfc(source, group, 0, kNoOutputs));
}

int FlushMroute(int fd, int bits) { return SetOption(fd, IPPROTO_IP, MRT_FLUSH, bits); }
int SetAssert(int fd, int on) { return SetOption(fd, IPPROTO_IP, MRT_ASSERT, on); }
int SetPim(int fd, int value) { return SetOption(fd, IPPROTO_IP, MRT_PIM, value); }

int ReadMfcCounters(int fd, uint32_t source, uint32_t group, MfcCounters& out) {
  sioc_sg_req request{};
  request.src.s_addr = htonl(source);
  request.grp.s_addr = htonl(group);
  if (::ioctl(fd, SIOCGETSGCNT, &request) != 0) return errno;
  out = {static_cast<double>(request.pktcnt), static_cast<double>(request.bytecnt),
         static_cast<double>(request.wrong_if)};
  return 0;
}

int ReadVifCounters(int fd, uint16_t vif, VifCounters& out) {
  sioc_vif_req request{};
  request.vifi = vif;
  if (::ioctl(fd, SIOCGETVIFCNT, &request) != 0) return errno;
  out = {static_cast<double>(request.icount), static_cast<double>(request.ibytes),
         static_cast<double>(request.ocount), static_cast<double>(request.obytes)};
  return 0;
}

}  // namespace mgmd
