// NativePacketWatch of src/kernel/addon.ts.
#pragma once

#include <napi.h>

#include <cstdint>
#include <span>

#include "fd.h"
#include "poll.h"

namespace mgmd {

class PacketWatchBinding : public Napi::ObjectWrap<PacketWatchBinding>, private Poll::Listener {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit PacketWatchBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

  int Open(int ifindex, std::span<const uint32_t> addresses);

 private:
  Napi::Value Start(const Napi::CallbackInfo& info);
  void Stop(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnReadable() override;
  void Pin(bool wanted);

  SharedFd fd_ = std::make_shared<UniqueFd>();
  Napi::FunctionReference on_heard_;
  Poll poll_{*this};
  bool pinned_ = false;  // while it polls, the object must not be collected
};

}  // namespace mgmd
