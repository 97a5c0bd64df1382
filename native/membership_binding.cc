#include "membership_binding.h"

#include "args.h"

namespace mgmd {

Napi::Function MembershipBinding::Define(Napi::Env env) {
  return DefineClass(
      env, "NativeMembershipSocket",
      {InstanceMethod<&MembershipBinding::Join>("join"), InstanceMethod<&MembershipBinding::Leave>("leave"),
       InstanceMethod<&MembershipBinding::JoinSource>("joinSource"),
       InstanceMethod<&MembershipBinding::LeaveSource>("leaveSource"),
       InstanceMethod<&MembershipBinding::SetFilter>("setFilter"), InstanceMethod<&MembershipBinding::Close>("close"),
       InstanceMethod<&MembershipBinding::Duplicate>("duplicate")});
}

MembershipBinding::MembershipBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Napi::Value MembershipBinding::Join(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t group = args.U32(1);
  if (!args.ok()) return {};
  return args.Number(pool_.Join(ifindex, group));
}

Napi::Value MembershipBinding::Leave(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t group = args.U32(1);
  if (!args.ok()) return {};
  return args.Number(pool_.Leave(ifindex, group));
}

Napi::Value MembershipBinding::JoinSource(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t group = args.U32(1);
  const uint32_t source = args.U32(2);
  if (!args.ok()) return {};
  return args.Number(pool_.JoinSource(ifindex, group, source));
}

Napi::Value MembershipBinding::LeaveSource(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t group = args.U32(1);
  const uint32_t source = args.U32(2);
  if (!args.ok()) return {};
  return args.Number(pool_.LeaveSource(ifindex, group, source));
}

Napi::Value MembershipBinding::SetFilter(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t group = args.U32(1);
  const bool include = args.Bool(2);
  const std::span<const uint32_t> sources = args.Uint32(3);
  if (!args.ok()) return {};
  return args.Number(pool_.SetFilter(ifindex, group, include, sources));
}

void MembershipBinding::Close(const Napi::CallbackInfo& /*info*/) { pool_.Close(); }

Napi::Value MembershipBinding::Duplicate(const Napi::CallbackInfo& info) {
  return Args(info).Number(pool_.Duplicate());
}

}  // namespace mgmd
