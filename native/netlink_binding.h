// NativeNetlink of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include "fd.h"
#include "poll.h"

namespace mgmd {

class NetlinkBinding : public Napi::ObjectWrap<NetlinkBinding>, private Poll::Listener {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit NetlinkBinding(const Napi::CallbackInfo& info);

  int Open();

 private:
  Napi::Value Subscribe(const Napi::CallbackInfo& info);
  Napi::Value SetReceiveBuffer(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value Request(const Napi::CallbackInfo& info);
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Slab(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnReadable() override;
  void Pin(bool wanted);

  SharedFd fd_ = std::make_shared<UniqueFd>();
  UniqueFd request_fd_;  // of its own, so that answers and notifications never mix
  Napi::Reference<Napi::Uint8Array> slab_;
  Napi::FunctionReference on_data_;
  Poll poll_{*this};
  bool pinned_ = false;  // while it polls, the object must not be collected
};

}  // namespace mgmd
