#include "mroute_binding.h"

#include <algorithm>

#include "args.h"
#include "mroute.h"

namespace mgmd {

Napi::Function MrouteBinding::Define(Napi::Env env) {
  return DefineClass(env, "NativeMroute",
                     {InstanceMethod<&MrouteBinding::Init>("init"), InstanceMethod<&MrouteBinding::Done>("done"),
                      InstanceMethod<&MrouteBinding::AddVif>("addVif"),
                      InstanceMethod<&MrouteBinding::DelVif>("delVif"),
                      InstanceMethod<&MrouteBinding::AddMfc>("addMfc"),
                      InstanceMethod<&MrouteBinding::DelMfc>("delMfc"), InstanceMethod<&MrouteBinding::Flush>("flush"),
                      InstanceMethod<&MrouteBinding::SetAssert>("setAssert"),
                      InstanceMethod<&MrouteBinding::SetPim>("setPim"),
                      InstanceMethod<&MrouteBinding::MfcCounters>("mfcCounters"),
                      InstanceMethod<&MrouteBinding::MfcCountersMany>("mfcCountersMany"),
                      InstanceMethod<&MrouteBinding::VifCounters>("vifCounters")});
}

MrouteBinding::MrouteBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

void MrouteBinding::Attach(SharedFd fd, uint32_t table) {
  fd_ = std::move(fd);
  table_ = table;
}

Napi::Value MrouteBinding::Init(const Napi::CallbackInfo& info) {
  return Args(info).Number(InitMroute(fd_->get(), table_));
}

Napi::Value MrouteBinding::Done(const Napi::CallbackInfo& info) { return Args(info).Number(DoneMroute(fd_->get())); }

Napi::Value MrouteBinding::AddVif(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint16_t vif = args.U16(0);
  const int ifindex = args.NonNegativeInt(1);
  if (!args.ok()) return {};
  return args.Number(mgmd::AddVif(fd_->get(), vif, ifindex));
}

Napi::Value MrouteBinding::DelVif(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint16_t vif = args.U16(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::DelVif(fd_->get(), vif));
}

Napi::Value MrouteBinding::AddMfc(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t source = args.U32(0);
  const uint32_t group = args.U32(1);
  const uint16_t iif = args.U16(2);
  const std::span<const uint8_t> ttls = args.Uint8(3);
  if (ttls.size() != MAXVIFS) args.Fail(3, "32 bytes");
  if (!args.ok()) return {};
  return args.Number(mgmd::AddMfc(fd_->get(), source, group, iif, ttls.first<MAXVIFS>()));
}

Napi::Value MrouteBinding::DelMfc(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t source = args.U32(0);
  const uint32_t group = args.U32(1);
  if (!args.ok()) return {};
  return args.Number(mgmd::DelMfc(fd_->get(), source, group));
}

Napi::Value MrouteBinding::Flush(const Napi::CallbackInfo& info) {
  Args args(info);
  const int bits = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  return args.Number(FlushMroute(fd_->get(), bits));
}

Napi::Value MrouteBinding::SetAssert(const Napi::CallbackInfo& info) {
  Args args(info);
  const bool on = args.Bool(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::SetAssert(fd_->get(), on ? 1 : 0));
}

Napi::Value MrouteBinding::SetPim(const Napi::CallbackInfo& info) {
  Args args(info);
  const int value = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::SetPim(fd_->get(), value));
}

Napi::Value MrouteBinding::MfcCounters(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t source = args.U32(0);
  const uint32_t group = args.U32(1);
  const std::span<double> out = args.Float64(2);
  mgmd::MfcCounters counters{};
  if (out.size() < counters.size()) args.Fail(2, "a Float64Array of 3");
  if (!args.ok()) return {};
  const int error = ReadMfcCounters(fd_->get(), source, group, counters);
  if (error == 0) std::copy(counters.begin(), counters.end(), out.begin());
  return args.Number(error);
}

Napi::Value MrouteBinding::MfcCountersMany(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::span<const uint32_t> keys = args.Uint32(0);
  const std::span<double> out = args.Float64(1);
  const std::span<int32_t> errnos = args.Int32(2);
  const size_t count = keys.size() / 2;
  if (keys.size() % 2 != 0) args.Fail(0, "pairs of source and group");
  if (out.size() < 3 * count) args.Fail(1, "three numbers for each key");
  if (errnos.size() < count) args.Fail(2, "one number for each key");
  if (!args.ok()) return {};
  size_t succeeded = 0;
  for (size_t i = 0; i < count; i++) {
    mgmd::MfcCounters counters{};
    errnos[i] = ReadMfcCounters(fd_->get(), keys[2 * i], keys[2 * i + 1], counters);
    if (errnos[i] == 0) succeeded++;
    std::copy(counters.begin(), counters.end(), out.begin() + static_cast<std::ptrdiff_t>(3 * i));
  }
  return args.Number(static_cast<double>(succeeded));
}

Napi::Value MrouteBinding::VifCounters(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint16_t vif = args.U16(0);
  const std::span<double> out = args.Float64(1);
  mgmd::VifCounters counters{};
  if (out.size() < counters.size()) args.Fail(1, "a Float64Array of 4");
  if (!args.ok()) return {};
  const int error = ReadVifCounters(fd_->get(), vif, counters);
  if (error == 0) std::copy(counters.begin(), counters.end(), out.begin());
  return args.Number(error);
}

}  // namespace mgmd
