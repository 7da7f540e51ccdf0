// A run on a thread of its own, and the promise of its result.
#pragma once
#include <napi.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "../runtime/session.h"
#include "promise.h"
#include "requests.h"

namespace thalweg {

Napi::Object resultObject(Napi::Env env, const RunResult& result);

// Each run has its own thread and not one of libuv's four, on which file system and name look-ups wait.
//
// The life of a run: start → the thread works and tells the main thread of progress and of the end → the main thread joins
// it and settles the promise → Node finalizes the channel between the two, which deletes the run. When the environment is torn
// down first (worker.terminate(), process.exit()), a cleanup hook cancels the run and joins the thread while all memory
// is still there.
class BackgroundRun {
 public:
  // `kept` and the request's arrays are held until the run has ended. `ended` is then called on the main thread, before the
  // promise is settled; it is not called when the environment is torn down. Never throws a JavaScript exception: what goes
  // wrong rejects the promise. Where the environment is being torn down already there is no promise, and nothing runs.
  static Napi::Value start(Napi::Env env, Session& session, ReadRequest read, std::vector<Napi::Object> kept,
                             void (*ended)(void*), void* owner);

 private:
  BackgroundRun(Napi::Env env, Session& session, ReadRequest read)
      : session_(session), read_(std::move(read)), promise_(env) {}

  void work();
  static void afterStep(void* self, int64_t completedSteps);
  static void onMessage(napi_env env, napi_value, void* self, void* message);
  static void onTearDown(void* self);
  static void onFinalize(napi_env env, void* self, void*);
  void reportProgress(Napi::Env env, int64_t completedSteps);
  void settle(Napi::Env env);
  void letGo();

  Session& session_;
  ReadRequest read_;
  RunResult result_ = {};
  std::thread thread_;
  napi_threadsafe_function channel_ = nullptr;
  std::atomic<bool> cancelled_{false};

  // On the running thread.
  using Clock = std::chrono::steady_clock;
  Clock::time_point lastLook_, lastReport_;
  int64_t nextLook_ = 1, stride_ = 1;  // in steps

  // From the running thread to the main thread.
  std::atomic<int64_t> completed_{0};
  std::atomic<bool> reportOnItsWay_{false};

  // On the main thread.
  Deferred promise_;
  std::vector<Napi::ObjectReference> held_;
  Napi::FunctionReference onProgress_;
  Napi::ObjectReference thrown_;  // {error}: what onProgress threw
  int64_t lastReported_ = -1;
  void (*ended_)(void*) = nullptr;
  void* owner_ = nullptr;
};

}  // namespace thalweg
