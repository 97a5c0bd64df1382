// The module's entry: registers the classes and the functions that make them. What belongs to one loading of the module
// (main thread, each worker) lives in that environment's instance data; nothing is static.
#include <napi.h>

#include <memory>

#include "args.h"
#include "handover.h"
#include "igmp_binding.h"
#include "membership_binding.h"
#include "mroute_binding.h"
#include "netlink_binding.h"
#include "output.h"
#include "packet_watch_binding.h"
#include "pause_gate_binding.h"
#include "peer.h"

namespace mgmd {
namespace {

struct Classes {
  Napi::FunctionReference igmp;
  Napi::FunctionReference mroute;
  Napi::FunctionReference membership;
  Napi::FunctionReference netlink;
  Napi::FunctionReference packet_watch;
  Napi::FunctionReference pause_gate;
};

// The optional descriptor argument of the open functions; -1 when absent.
int AdoptFd(Args& args, const Napi::CallbackInfo& info) {
  return info[0].IsUndefined() ? -1 : args.NonNegativeInt(0);
}

template <typename Binding, typename... OpenArgs>
Napi::Value Open(Napi::Env env, const Napi::FunctionReference& constructor, OpenArgs... open_args) {
  const Napi::Object object = constructor.New({});
  if (env.IsExceptionPending()) return {};
  const int error = Binding::Unwrap(object)->Open(open_args...);
  if (error != 0) return Napi::Number::New(env, error);
  return object;
}

Napi::Value OpenIgmpSocket(const Napi::CallbackInfo& info) {
  Args args(info);
  const int adopt_fd = AdoptFd(args, info);
  if (!args.ok()) return {};
  return Open<IgmpBinding>(info.Env(), info.Env().GetInstanceData<Classes>()->igmp, adopt_fd);
}

Napi::Value OpenMembershipSocket(const Napi::CallbackInfo& info) {
  Args args(info);
  const int adopt_fd = AdoptFd(args, info);
  const uint32_t mark = info[1].IsUndefined() ? 0 : args.U32(1);
  if (!args.ok()) return {};
  return Open<MembershipBinding>(info.Env(), info.Env().GetInstanceData<Classes>()->membership, adopt_fd, mark);
}

Napi::Value OpenNetlinkSocket(const Napi::CallbackInfo& info) {
  return Open<NetlinkBinding>(info.Env(), info.Env().GetInstanceData<Classes>()->netlink);
}

Napi::Value OpenPacketWatch(const Napi::CallbackInfo& info) {
  Args args(info);
  const int ifindex = args.NonNegativeInt(0);
  const std::span<const uint32_t> addresses = args.Uint32(1);
  if (!args.ok()) return {};
  const Napi::FunctionReference& constructor = info.Env().GetInstanceData<Classes>()->packet_watch;
  return Open<PacketWatchBinding>(info.Env(), constructor, ifindex, addresses);
}

Napi::Value OpenPauseGate(const Napi::CallbackInfo& info) {
  const Napi::Object object = info.Env().GetInstanceData<Classes>()->pause_gate.New({});
  if (info.Env().IsExceptionPending()) return {};
  const PauseGate::Refusal refusal = PauseGateBinding::Unwrap(object)->Open();
  if (refusal.error == 0) return object;
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("step", refusal.step);
  result.Set("errno", refusal.error);
  result.Set("detail", refusal.detail);
  return result;
}

Napi::Value MrouteOf(const Napi::CallbackInfo& info) {
  Args args(info);
  const IgmpBinding* const socket = IgmpBinding::From(info[0]);
  if (socket == nullptr) args.Fail(0, "an object of openIgmpSocket()");
  const uint32_t table = args.U32(1);
  if (!args.ok()) return {};
  const Napi::Object object = info.Env().GetInstanceData<Classes>()->mroute.New({});
  if (info.Env().IsExceptionPending()) return {};
  MrouteBinding::Unwrap(object)->Attach(socket->fd(), table);
  return object;
}

Napi::Value Credentials(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  ucred peer{};
  if (const int error = PeerCredentials(fd, peer)) return args.Number(error);
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", peer.pid);
  result.Set("uid", peer.uid);
  result.Set("gid", peer.gid);
  return result;
}

Napi::Value PassDescriptors(const Napi::CallbackInfo& info) {
  Args args(info);
  const int socket = args.NonNegativeInt(0);
  const std::string names = args.String(1);
  const std::span<int32_t> fds = args.Int32(2);
  if (!args.ok()) return {};
  return args.Number(SendDescriptors(socket, names, fds));
}

Napi::Value AskFor(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string path = args.String(0);
  if (!args.ok()) return {};
  UniqueFd socket;
  if (const int error = AskForDescriptors(path, socket)) return args.Number(-error);
  return args.Number(socket.Release());
}

Napi::Value TakeDescriptors(const Napi::CallbackInfo& info) {
  Args args(info);
  const int socket = args.NonNegativeInt(0);
  if (!args.ok()) return {};
  NamedDescriptors taken;
  if (const int error = ReceiveDescriptors(socket, taken)) return args.Number(error);
  const Napi::Array fds = Napi::Array::New(info.Env(), taken.fds.size());
  for (size_t i = 0; i < taken.fds.size(); i++) fds.Set(static_cast<uint32_t>(i), taken.fds[i].Release());
  const Napi::Object result = Napi::Object::New(info.Env());
  result.Set("names", taken.names);
  result.Set("fds", fds);
  return result;
}

Napi::Value WriteTo(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.NonNegativeInt(0);
  const std::span<const std::byte> bytes = args.Bytes(1);
  const int wait_ms = args.NonNegativeInt(2);
  if (!args.ok()) return {};
  return args.Number(WriteSome(fd, bytes, wait_ms));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto classes = std::make_unique<Classes>();
  classes->igmp = Napi::Persistent(IgmpBinding::Define(env));
  classes->mroute = Napi::Persistent(MrouteBinding::Define(env));
  classes->membership = Napi::Persistent(MembershipBinding::Define(env));
  classes->netlink = Napi::Persistent(NetlinkBinding::Define(env));
  classes->packet_watch = Napi::Persistent(PacketWatchBinding::Define(env));
  classes->pause_gate = Napi::Persistent(PauseGateBinding::Define(env));
  env.SetInstanceData(classes.release());  // deleted with the environment
  exports.Set("openIgmpSocket", Napi::Function::New<OpenIgmpSocket>(env, "openIgmpSocket"));
  exports.Set("mrouteOf", Napi::Function::New<MrouteOf>(env, "mrouteOf"));
  exports.Set("openMembershipSocket", Napi::Function::New<OpenMembershipSocket>(env, "openMembershipSocket"));
  exports.Set("openNetlink", Napi::Function::New<OpenNetlinkSocket>(env, "openNetlink"));
  exports.Set("openPacketWatch", Napi::Function::New<OpenPacketWatch>(env, "openPacketWatch"));
  exports.Set("openPauseGate", Napi::Function::New<OpenPauseGate>(env, "openPauseGate"));
  exports.Set("passDescriptors", Napi::Function::New<PassDescriptors>(env, "passDescriptors"));
  exports.Set("askForDescriptors", Napi::Function::New<AskFor>(env, "askForDescriptors"));
  exports.Set("takeDescriptors", Napi::Function::New<TakeDescriptors>(env, "takeDescriptors"));
  exports.Set("writeSome", Napi::Function::New<WriteTo>(env, "writeSome"));
  exports.Set("peerCredentials", Napi::Function::New<Credentials>(env, "peerCredentials"));
  return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)

}  // namespace
}  // namespace mgmd
