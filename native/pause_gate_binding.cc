#include "pause_gate_binding.h"

#include "args.h"

namespace mgmd {

Napi::Function PauseGateBinding::Define(Napi::Env env) {
  return DefineClass(
      env, "NativePauseGate",
      {InstanceAccessor<&PauseGateBinding::Mark>("mark"), InstanceMethod<&PauseGateBinding::Refuse>("refuse"),
       InstanceMethod<&PauseGateBinding::Allow>("allow"), InstanceMethod<&PauseGateBinding::Close>("close")});
}

PauseGateBinding::PauseGateBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

Napi::Value PauseGateBinding::Mark(const Napi::CallbackInfo& info) { return Args(info).Number(gate_.mark()); }

Napi::Value PauseGateBinding::Refuse(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t ifindex = args.U32(0);
  const uint32_t address = args.U32(1);
  if (!args.ok()) return {};
  return args.Number(gate_.Refuse(ifindex, address));
}

Napi::Value PauseGateBinding::Allow(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t ifindex = args.U32(0);
  const uint32_t address = args.U32(1);
  if (!args.ok()) return {};
  return args.Number(gate_.Allow(ifindex, address));
}

void PauseGateBinding::Close(const Napi::CallbackInfo& /*info*/) { gate_.Close(); }

}  // namespace mgmd
