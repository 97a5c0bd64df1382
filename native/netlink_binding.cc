#include "netlink_binding.h"

#include <cstring>
#include <vector>

#include "args.h"
#include "netlink.h"
#include "socket.h"

namespace mgmd {

namespace {

constexpr int kRoundsPerWakeup = 4;
constexpr int kRequestTimeoutMs = 1000;
constexpr size_t kHeaderBytes = 16;

}  // namespace

Napi::Function NetlinkBinding::Define(Napi::Env env) {
  return DefineClass(env, "NativeNetlink",
                     {InstanceMethod<&NetlinkBinding::Subscribe>("subscribe"),
                      InstanceMethod<&NetlinkBinding::SetReceiveBuffer>("setReceiveBuffer"),
                      InstanceMethod<&NetlinkBinding::Send>("send"),
                      InstanceMethod<&NetlinkBinding::Request>("request"),
                      InstanceMethod<&NetlinkBinding::Start>("start"),
                      InstanceAccessor<&NetlinkBinding::Slab>("slab"),
                      InstanceMethod<&NetlinkBinding::Close>("close")});
}

NetlinkBinding::NetlinkBinding(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  slab_ = Napi::Persistent(Napi::Uint8Array::New(info.Env(), kNetlinkSlabBytes));
}

int NetlinkBinding::Open() { return OpenNetlink(*fd_); }

Napi::Value NetlinkBinding::Subscribe(const Napi::CallbackInfo& info) {
  Args args(info);
  const int group = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::Subscribe(fd_->get(), group));
}

Napi::Value NetlinkBinding::SetReceiveBuffer(const Napi::CallbackInfo& info) {
  Args args(info);
  const int bytes = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  return args.Number(mgmd::SetReceiveBuffer(fd_->get(), bytes));
}

Napi::Value NetlinkBinding::Send(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::span<const std::byte> message = args.Bytes(0);
  if (message.size() < kHeaderBytes) args.Fail(0, "a whole netlink message");
  if (!args.ok()) return {};
  return args.Number(SendNetlink(fd_->get(), message));
}

Napi::Value NetlinkBinding::Request(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::span<const std::byte> message = args.Bytes(0);
  if (message.size() < kHeaderBytes) args.Fail(0, "a whole netlink message");
  if (!args.ok()) return {};
  if (!*fd_) return args.Number(EBADF);
  if (!request_fd_) {
    if (const int error = OpenNetlink(request_fd_)) return args.Number(error);
  }
  std::vector<std::byte> answers;
  if (const int error = RequestNetlink(request_fd_.get(), message, kRequestTimeoutMs, answers)) {
    request_fd_ = UniqueFd();  // whatever is still to come must not be taken for the next answer
    return args.Number(error);
  }
  Napi::Uint8Array result = Napi::Uint8Array::New(info.Env(), answers.size());
  if (!answers.empty()) std::memcpy(result.Data(), answers.data(), answers.size());
  return result;
}

Napi::Value NetlinkBinding::Start(const Napi::CallbackInfo& info) {
  Args args(info);
  const Napi::Function on_data = args.Function(0);
  if (!args.ok()) return {};
  const int error = poll_.Start(info.Env(), fd_);
  if (error == 0) {
    on_data_ = Napi::Persistent(on_data);
    Pin(true);
  }
  return args.Number(error);
}

Napi::Value NetlinkBinding::Slab(const Napi::CallbackInfo& /*info*/) { return slab_.Value(); }

void NetlinkBinding::Close(const Napi::CallbackInfo& /*info*/) {
  poll_.Close(std::exchange(*fd_, UniqueFd()));
  request_fd_ = UniqueFd();
  Pin(false);
}

void NetlinkBinding::OnReadable() {
  const Napi::HandleScope scope(Env());
  const Napi::Object self = Value();  // holds this object while JavaScript may drop its last reference
  for (int round = 0; round < kRoundsPerWakeup && poll_.running(); round++) {
    const Napi::HandleScope inner(Env());
    Napi::Uint8Array slab = slab_.Value();
    if (slab.ByteLength() < kNetlinkSlabBytes) return;  // JavaScript gave the memory away
    const auto bytes = std::as_writable_bytes(std::span(slab.Data(), slab.ByteLength()));
    const Notifications batch = ReceiveNetlink(fd_->get(), bytes);
    if (batch.length > 0 || batch.error != 0) {
      const Napi::Number length = Napi::Number::New(Env(), static_cast<double>(batch.length));
      if (!CallFromLoop(Env(), self, on_data_, {length, Napi::Number::New(Env(), batch.error)})) return;
    }
    if (batch.drained) return;
  }
}

void NetlinkBinding::Pin(bool wanted) {
  if (wanted == pinned_) return;
  pinned_ = wanted;
  if (wanted) {
    Ref();
  } else {
    Unref();
  }
}

}  // namespace mgmd
