// NativeIgmpSocket of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include "fd.h"
#include "poll.h"

namespace mgmd {

class IgmpBinding : public Napi::ObjectWrap<IgmpBinding>, private Poll::Listener {
 public:
  static Napi::Function Define(Napi::Env env);
  // The object of an argument, or null when it is something else.
  static IgmpBinding* From(const Napi::Value& value);
  explicit IgmpBinding(const Napi::CallbackInfo& info);

  int Open(int adopt_fd);
  [[nodiscard]] const SharedFd& fd() const { return fd_; }

 private:
  Napi::Value SetReceiveBuffer(const Napi::CallbackInfo& info);
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value Slab(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value Duplicate(const Napi::CallbackInfo& info);

  void OnReadable() override;
  bool Report(Napi::Object self, int count);
  void Pin(bool wanted);

  SharedFd fd_ = std::make_shared<UniqueFd>();
  Napi::Reference<Napi::Uint8Array> slab_;
  Napi::FunctionReference on_batch_;
  Poll poll_{*this};
  bool pinned_ = false;  // while it polls, the object must not be collected
};

}  // namespace mgmd
