// NativePauseGate of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include "pause_gate.h"

namespace mgmd {

class PauseGateBinding : public Napi::ObjectWrap<PauseGateBinding> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit PauseGateBinding(const Napi::CallbackInfo& info);

  PauseGate::Refusal Open() { return gate_.Open(); }

 private:
  Napi::Value Mark(const Napi::CallbackInfo& info);
  Napi::Value Refuse(const Napi::CallbackInfo& info);
  Napi::Value Allow(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  PauseGate gate_;
};

}  // namespace mgmd
