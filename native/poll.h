// Readiness of one descriptor, on the loop of the calling environment (main thread or worker), and the call back into
// JavaScript from there.
#pragma once

#include <napi.h>

#include <initializer_list>

#include "fd.h"

namespace mgmd {

class Poll {
 public:
  class Listener {
   public:
    // On the loop's thread. Level-triggered: comes again while something is left. May close the poll.
    virtual void OnReadable() = 0;

   protected:
    ~Listener() = default;
  };

  explicit Poll(Listener& listener) : listener_(listener) {}
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;
  ~Poll() { Close(); }

  // Starts, or goes on after Stop(). The descriptor stays open until libuv has let go of it. 0 or a positive errno:
  // EBADF for a closed descriptor, EALREADY when it runs.
  int Start(napi_env env, const SharedFd& fd);
  void Stop();
  // Stops for good; `doomed` is closed when libuv has let go, at once when it never held anything.
  void Close(UniqueFd doomed = UniqueFd());

  [[nodiscard]] bool running() const { return running_; }

 private:
  struct Handle;

  Listener& listener_;
  Handle* handle_ = nullptr;  // libuv's from uv_poll_init to its close callback, which deletes it
  bool running_ = false;
};

// Calls a JavaScript function from the loop, with the microtasks and ticks due after it. A throw goes to
// `uncaughtException`. False when JavaScript can no longer run (the environment ends).
bool CallFromLoop(Napi::Env env, Napi::Object receiver, const Napi::FunctionReference& function,
                  std::initializer_list<napi_value> args);

}  // namespace mgmd
