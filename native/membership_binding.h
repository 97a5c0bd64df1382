// NativeMembershipSocket of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include "membership.h"

namespace mgmd {

class MembershipBinding : public Napi::ObjectWrap<MembershipBinding> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit MembershipBinding(const Napi::CallbackInfo& info);

  int Open(int adopt_fd, uint32_t mark) { return pool_.Open(adopt_fd, mark); }

 private:
  Napi::Value Join(const Napi::CallbackInfo& info);
  Napi::Value Leave(const Napi::CallbackInfo& info);
  Napi::Value JoinSource(const Napi::CallbackInfo& info);
  Napi::Value LeaveSource(const Napi::CallbackInfo& info);
  Napi::Value SetFilter(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value Duplicate(const Napi::CallbackInfo& info);

  MembershipPool pool_;
};

}  // namespace mgmd
