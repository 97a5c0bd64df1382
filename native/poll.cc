#include "poll.h"

#include <uv.h>

#include <cerrno>

namespace mgmd {

// What libuv keeps. Its address is stable until the close callback, whatever happens to the Poll meanwhile.
struct Poll::Handle {
  uv_poll_t uv{};
  napi_async_cleanup_hook_handle hook = nullptr;
  Poll* poll = nullptr;  // null once the Poll has closed or the environment ends
  SharedFd fd;
  UniqueFd doomed;

  uv_handle_t* base() { return reinterpret_cast<uv_handle_t*>(&uv); }

  static void OnPoll(uv_poll_t* uv, int status, int /*events*/) {
    Poll* const poll = static_cast<Handle*>(uv->data)->poll;
    if (poll == nullptr) return;
    // libuv stops a handle whose socket has an error pending, such as a netlink socket that lost notifications (ENOBUFS).
    // Reading takes the error off the socket and reports it, so go on; a handle that cannot be started again stays stopped.
    if (status < 0 && uv_poll_start(uv, UV_READABLE, OnPoll) != 0) return poll->Stop();
    poll->listener_.OnReadable();
  }

  // The environment (a worker, or the process) ends with the handle open: the loop must be left without it.
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle /*hook*/, void* data) {
    auto* const handle = static_cast<Handle*>(data);
    if (handle->poll != nullptr) handle->poll->Close();
  }

  static void OnClosed(uv_handle_t* uv) {
    const std::unique_ptr<Handle> handle(static_cast<Handle*>(uv->data));
    if (handle->hook != nullptr) napi_remove_async_cleanup_hook(handle->hook);
  }
};

int Poll::Start(napi_env env, const SharedFd& fd) {
  if (running_) return EALREADY;
  if (!*fd) return EBADF;
  if (handle_ == nullptr) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return EINVAL;
    auto handle = std::make_unique<Handle>();
    if (const int error = uv_poll_init(loop, &handle->uv, fd->get())) return -error;
    handle->poll = this;
    handle->fd = fd;
    handle->uv.data = handle.get();
    handle_ = handle.release();
    if (napi_add_async_cleanup_hook(env, Handle::OnEnvironmentEnd, handle_, &handle_->hook) != napi_ok) {
      Close();
      return ECANCELED;  // the environment is ending
    }
  }
  if (const int error = uv_poll_start(&handle_->uv, UV_READABLE, Handle::OnPoll)) return -error;
  running_ = true;
  return 0;
}

void Poll::Stop() {
  if (handle_ != nullptr) uv_poll_stop(&handle_->uv);
  running_ = false;
}

void Poll::Close(UniqueFd doomed) {
  Stop();
  if (handle_ == nullptr) return;
  Handle* const handle = std::exchange(handle_, nullptr);
  handle->poll = nullptr;
  handle->doomed = std::move(doomed);
  uv_close(handle->base(), Handle::OnClosed);
}

bool CallFromLoop(Napi::Env env, Napi::Object receiver, const Napi::FunctionReference& function,
                  std::initializer_list<napi_value> args) {
  napi_value result = nullptr;
  const napi_status status =
      napi_make_callback(env, nullptr, receiver, function.Value(), args.size(), args.begin(), &result);
  if (status == napi_ok) return true;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return false;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) != napi_ok) return false;
  return napi_fatal_exception(env, thrown) == napi_ok;
}

}  // namespace mgmd
