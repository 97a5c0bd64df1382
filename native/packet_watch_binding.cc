#include "packet_watch_binding.h"

#include "args.h"
#include "packet_watch.h"

namespace mgmd {

namespace {

// More than the socket's buffer holds at once.
constexpr uint32_t kPacketsPerWakeup = 16;

Napi::Object Describe(Napi::Env env, const WatchedPacket& packet) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("source", packet.source);
  result.Set("sender", Napi::Buffer<uint8_t>::Copy(env, packet.sender.data(), packet.sender_bytes));
  return result;
}

}  // namespace

Napi::Function PacketWatchBinding::Define(Napi::Env env) {
  return DefineClass(env, "NativePacketWatch",
                     {InstanceMethod<&PacketWatchBinding::Start>("start"),
                      InstanceMethod<&PacketWatchBinding::Stop>("stop"),
                      InstanceMethod<&PacketWatchBinding::Close>("close")});
}

int PacketWatchBinding::Open(int ifindex, std::span<const uint32_t> addresses) {
  return OpenPacketWatch(ifindex, addresses, *fd_);
}

Napi::Value PacketWatchBinding::Start(const Napi::CallbackInfo& info) {
  Args args(info);
  const Napi::Function on_heard = args.Function(0);
  if (!args.ok()) return {};
  const int error = poll_.Start(info.Env(), fd_);
  if (error == 0) {
    on_heard_ = Napi::Persistent(on_heard);
    Pin(true);
  }
  return args.Number(error);
}

void PacketWatchBinding::Stop(const Napi::CallbackInfo& /*info*/) {
  poll_.Stop();
  Pin(false);
}

void PacketWatchBinding::Close(const Napi::CallbackInfo& /*info*/) {
  poll_.Close(std::exchange(*fd_, UniqueFd()));
  Pin(false);
}

void PacketWatchBinding::OnReadable() {
  const Napi::HandleScope scope(Env());
  const Napi::Object self = Value();  // holds this object while JavaScript may drop its last reference
  const Napi::Array heard = Napi::Array::New(Env());
  WatchedPacket packet{};
  while (heard.Length() < kPacketsPerWakeup && ReceiveWatched(fd_->get(), packet) > 0)
    heard.Set(heard.Length(), Describe(Env(), packet));
  if (heard.Length() > 0) CallFromLoop(Env(), self, on_heard_, {heard});
}

void PacketWatchBinding::Pin(bool wanted) {
  if (wanted == pinned_) return;
  pinned_ = wanted;
  if (wanted) {
    Ref();
  } else {
    Unref();
  }
}

}  // namespace mgmd
