// NativeMroute of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include <cstdint>

#include "fd.h"

namespace mgmd {

// MRT_* on the descriptor of an IgmpSocket, which it keeps open; after that socket's close() every call answers EBADF.
class MrouteBinding : public Napi::ObjectWrap<MrouteBinding> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit MrouteBinding(const Napi::CallbackInfo& info);

  void Attach(SharedFd fd, uint32_t table);

 private:
  Napi::Value Init(const Napi::CallbackInfo& info);
  Napi::Value Done(const Napi::CallbackInfo& info);
  Napi::Value AddVif(const Napi::CallbackInfo& info);
  Napi::Value DelVif(const Napi::CallbackInfo& info);
  Napi::Value AddMfc(const Napi::CallbackInfo& info);
  Napi::Value DelMfc(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value SetAssert(const Napi::CallbackInfo& info);
  Napi::Value SetPim(const Napi::CallbackInfo& info);
  Napi::Value MfcCounters(const Napi::CallbackInfo& info);
  Napi::Value MfcCountersMany(const Napi::CallbackInfo& info);
  Napi::Value VifCounters(const Napi::CallbackInfo& info);

  SharedFd fd_ = std::make_shared<UniqueFd>();
  uint32_t table_ = 0;
};

}  // namespace mgmd
