#include "igmp_binding.h"

#include <chrono>

#include "args.h"
#include "igmp_socket.h"
#include "socket.h"

namespace mgmd {

namespace {

// A flood must not starve timers and the control socket: after so many batches the loop gets its turn.
constexpr int kRoundsPerWakeup = 32;
// A report can change hundreds of memberships: after so long, timers and other descriptors get their turn.
constexpr auto kTimePerWakeup = std::chrono::milliseconds(8);
constexpr napi_type_tag kTag{0x6d676d642d69676dULL, 0x702d736f636b6574ULL};

}  // namespace

Napi::Function IgmpBinding::Define(Napi::Env env) {
  return DefineClass(env, "NativeIgmpSocket",
                     {InstanceMethod<&IgmpBinding::SetReceiveBuffer>("setReceiveBuffer"),
                      InstanceMethod<&IgmpBinding::Start>("start"), InstanceAccessor<&IgmpBinding::Slab>("slab"),
                      InstanceMethod<&IgmpBinding::Stop>("stop"), InstanceMethod<&IgmpBinding::Send>("send"),
                      InstanceMethod<&IgmpBinding::Close>("close"),
                      InstanceMethod<&IgmpBinding::Duplicate>("duplicate")});
}

IgmpBinding::IgmpBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  info.This().As<Napi::Object>().TypeTag(&kTag);
  slab_ = Napi::Persistent(Napi::Uint8Array::New(info.Env(), kSlots * sizeof(Slot)));
}

IgmpBinding* IgmpBinding::From(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const auto object = value.As<Napi::Object>();
  return object.CheckTypeTag(&kTag) ? Unwrap(object) : nullptr;
}

int IgmpBinding::Open(int adopt_fd) { return OpenIgmp(adopt_fd, *fd_); }

Napi::Value IgmpBinding::SetReceiveBuffer(const Napi::CallbackInfo& info) {
  Args args(info);
  const int bytes = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::SetReceiveBuffer(fd_->get(), bytes));
}

Napi::Value IgmpBinding::Start(const Napi::CallbackInfo& info) {
  Args args(info);
  const Napi::Function on_batch = args.Function(0);
  if (!args.ok()) return {};
  const int error = poll_.Start(info.Env(), fd_);
  if (error == 0) {
    on_batch_ = Napi::Persistent(on_batch);
    Pin(true);
  }
  return args.Number(error);
}

Napi::Value IgmpBinding::Slab(const Napi::CallbackInfo& /*info*/) { return slab_.Value(); }

void IgmpBinding::Stop(const Napi::CallbackInfo& /*info*/) {
  poll_.Stop();
  Pin(false);
}

Napi::Value IgmpBinding::Send(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const uint32_t source = args.U32(1);
  const uint32_t destination = args.U32(2);
  const std::span<const std::byte> payload = args.Bytes(3);
  if (!args.ok()) return {};
  return args.Number(SendIgmp(fd_->get(), ifindex, source, destination, payload));
}

void IgmpBinding::Close(const Napi::CallbackInfo& /*info*/) {
  // Out of the shared place first: from here on everybody else gets EBADF, though the close itself may be later.
  poll_.Close(std::exchange(*fd_, UniqueFd()));
  Pin(false);
}

Napi::Value IgmpBinding::Duplicate(const Napi::CallbackInfo& info) {
  return Args(info).Number(mgmd::Duplicate(fd_->get()));
}

void IgmpBinding::OnReadable() {
  const Napi::HandleScope scope(Env());
  const Napi::Object self = Value();  // holds this object while JavaScript may drop its last reference
  const auto until = std::chrono::steady_clock::now() + kTimePerWakeup;
  for (int round = 0; round < kRoundsPerWakeup && poll_.running(); round++) {
    if (round > 0 && std::chrono::steady_clock::now() > until) break;
    Napi::Uint8Array slab = slab_.Value();
    if (slab.ByteLength() < kSlots * sizeof(Slot)) break;  // JavaScript gave the memory away
    const int count = ReceiveBatch(fd_->get(), {reinterpret_cast<Slot*>(slab.Data()), kSlots});
    if (count <= 0 || !Report(self, count) || static_cast<size_t>(count) < kSlots) break;
  }
  if (poll_.running()) Report(self, 0);
}

bool IgmpBinding::Report(Napi::Object self, int count) {
  const Napi::HandleScope scope(Env());
  return CallFromLoop(Env(), self, on_batch_, {Napi::Number::New(Env(), count)});
}

void IgmpBinding::Pin(bool wanted) {
  if (wanted == pinned_) return;
  pinned_ = wanted;
  if (wanted) {
    Ref();
  } else {
    Unref();
  }
}

}  // namespace mgmd
