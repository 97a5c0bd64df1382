#include "mroute.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "check.h"

namespace {

template <typename T>
std::array<uint8_t, sizeof(T)> BytesOf(const T& value) {
  std::array<uint8_t, sizeof(T)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

TEST_CASE("an MFC entry: addresses in network order, parent at 8, thresholds at 10, nothing else set") {
  std::array<uint8_t, MAXVIFS> ttls{};
  ttls[0] = 1;
  ttls[31] = 255;
  const auto bytes = BytesOf(mgmd::PackMfc(0x0a010002, 0xe8010203, 5, ttls));
  CHECK(std::array{bytes[0], bytes[1], bytes[2], bytes[3]} == std::array<uint8_t, 4>{10, 1, 0, 2});
  CHECK(std::array{bytes[4], bytes[5], bytes[6], bytes[7]} == std::array<uint8_t, 4>{232, 1, 2, 3});
  CHECK(int{bytes[8]} + int{bytes[9]} == 5);  // little or big endian, the value is small
  CHECK(bytes[10] == 1);
  CHECK(bytes[41] == 255);
  for (size_t i = 42; i < bytes.size(); i++) CHECK(bytes[i] == 0);
}

TEST_CASE("a vif is named by ifindex and has no tunnel end") {
  const vifctl v = mgmd::PackVif(31, 77);
  CHECK(v.vifc_vifi == 31);
  CHECK(v.vifc_flags == VIFF_USE_IFINDEX);
  CHECK(v.vifc_lcl_ifindex == 77);
  CHECK(v.vifc_rmt_addr.s_addr == 0);
}

TEST_CASE("every call on a closed descriptor answers EBADF") {
  const std::array<uint8_t, MAXVIFS> ttls{};
  mgmd::MfcCounters mfc{};
  mgmd::VifCounters vif{};
  CHECK(mgmd::InitMroute(-1, 253) == EBADF);
  CHECK(mgmd::InitMroute(-1, 100) == EBADF);
  CHECK(mgmd::DoneMroute(-1) == EBADF);
  CHECK(mgmd::AddVif(-1, 0, 1) == EBADF);
  CHECK(mgmd::DelVif(-1, 0) == EBADF);
  CHECK(mgmd::AddMfc(-1, 1, 0xe8000001, 0, ttls) == EBADF);
  CHECK(mgmd::DelMfc(-1, 1, 0xe8000001) == EBADF);
  CHECK(mgmd::FlushMroute(-1, 15) == EBADF);
  CHECK(mgmd::SetAssert(-1, 1) == EBADF);
  CHECK(mgmd::SetPim(-1, 1) == EBADF);
  CHECK(mgmd::ReadMfcCounters(-1, 1, 2, mfc) == EBADF);
  CHECK(mgmd::ReadVifCounters(-1, 0, vif) == EBADF);
}
