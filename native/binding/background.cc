#include "background.h"

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>

namespace thalweg {
namespace {

// What the thread tells the main thread: the address of one of these.
char kProgress, kEnd;

constexpr std::chrono::milliseconds kBetweenReports{50};
constexpr std::chrono::milliseconds kBetweenLooks{1};

const char* nameOf(Stop stop) { return stop == Stop::none ? "none" : stop == Stop::aborted ? "aborted" : "nonFinite"; }

}  // namespace

Napi::Object resultObject(Napi::Env env, const RunResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("completedSteps", static_cast<double>(result.completedSteps));
  object.Set("stopped", nameOf(result.stopped));
  object.Set("instruction", static_cast<double>(result.instruction));
  return object;
}

// ---- On the main thread ----

Napi::Value BackgroundRun::start(Napi::Env env, Session& session, ReadRequest read, std::vector<Napi::Object> kept,
                                 void (*ended)(void*), void* owner) {
  std::unique_ptr<BackgroundRun> owned(new BackgroundRun(env, session, std::move(read)));  // by the channel, once there is one
  BackgroundRun* run = owned.get();
  const Napi::Value promise = run->promise_.promise();
  if (!run->promise_.exists()) {
    ended(owner);
    return promise;
  }
  run->ended_ = ended;
  run->owner_ = owner;
  for (const Napi::Object& object : run->read_.arrays) run->held_.push_back(Napi::Persistent(object));
  for (const Napi::Object& object : kept) run->held_.push_back(Napi::Persistent(object));
  run->read_.arrays.clear();
  run->read_.request.cancelled = &run->cancelled_;
  if (!run->read_.onProgress.IsEmpty()) {
    run->onProgress_ = Napi::Persistent(run->read_.onProgress);
    run->read_.onProgress = Napi::Function();
    run->read_.request.afterStep = afterStep;
    run->read_.request.afterStepContext = run;
  }

  const Napi::String name = Napi::String::New(env, "thalweg run");
  const napi_status opened =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, run, onFinalize, run, onMessage, &run->channel_);
  if (opened != napi_ok) {
    const Napi::Error error = makeError(env, kNoThread, "run: Node.js could not make a channel to a new thread.");
    ended(owner);
    run->promise_.reject(error.Value());
    return promise;
  }
  owned.release();
  // Hooks run last in, first out, so this one runs before the channel's own, and the thread never meets a closed channel.
  napi_add_env_cleanup_hook(env, onTearDown, run);
  try {
    run->thread_ = std::thread([run] { run->work(); });
  } catch (const std::exception&) {  // system_error, or bad_alloc
    napi_remove_env_cleanup_hook(env, onTearDown, run);
    const Napi::Error error = makeError(env, kNoThread, "run: the operating system could not start a thread.");
    run->letGo();
    ended(owner);
    run->promise_.reject(error.Value());
    napi_release_threadsafe_function(run->channel_, napi_tsfn_abort);  // finalizes, which deletes the run
  }
  return promise;
}

void BackgroundRun::onMessage(napi_env rawEnv, napi_value, void* self, void* message) {
  if (rawEnv == nullptr) return;  // the environment is being torn down
  auto* run = static_cast<BackgroundRun*>(self);
  const Napi::Env env(rawEnv);
  if (message == &kProgress) {
    run->reportOnItsWay_.store(false, std::memory_order_release);
    run->reportProgress(env, run->completed_.load(std::memory_order_acquire));
    return;
  }
  if (!run->thread_.joinable()) return;  // torn down
  run->thread_.join();
  napi_remove_env_cleanup_hook(env, onTearDown, run);
  run->reportProgress(env, run->result_.completedSteps);
  run->settle(env);
}

void BackgroundRun::reportProgress(Napi::Env env, int64_t completedSteps) {
  if (onProgress_.IsEmpty() || !thrown_.IsEmpty() || completedSteps == lastReported_) return;
  lastReported_ = completedSteps;
  onProgress_.Call({Napi::Number::New(env, static_cast<double>(completedSteps))});
  if (!env.IsExceptionPending()) return;

  // The run stops, and its promise is rejected with what was thrown once the thread has ended.
  cancelled_.store(true, std::memory_order_release);
  napi_value thrown = nullptr;
  napi_get_and_clear_last_exception(env, &thrown);
  Napi::Object holder = Napi::Object::New(env);
  napi_set_named_property(env, holder, "error", thrown);  // fails in an environment that is being terminated, and may
  thrown_ = Napi::Persistent(holder);
}

void BackgroundRun::settle(Napi::Env env) {
  const Napi::Value thrown = thrown_.IsEmpty() ? Napi::Value() : thrown_.Get("error");
  const bool rejected = !thrown_.IsEmpty();
  letGo();
  ended_(owner_);
  if (rejected) {
    promise_.reject(thrown);
  } else {
    promise_.resolve(resultObject(env, result_));
  }
}

void BackgroundRun::letGo() {
  held_.clear();
  onProgress_.Reset();
  thrown_.Reset();
}

void BackgroundRun::onTearDown(void* self) {
  auto* run = static_cast<BackgroundRun*>(self);
  run->cancelled_.store(true, std::memory_order_release);
  run->thread_.join();
  run->letGo();
}

void BackgroundRun::onFinalize(napi_env, void* self, void*) { delete static_cast<BackgroundRun*>(self); }

// ---- On the running thread ----

void BackgroundRun::work() {
  lastLook_ = lastReport_ = Clock::now();
  result_ = session_.run(read_.request);
  if (napi_call_threadsafe_function(channel_, &kEnd, napi_tsfn_nonblocking) == napi_closing) return;
  napi_release_threadsafe_function(channel_, napi_tsfn_release);
}

// A look at the clock takes about as long as a tenth of a very small step, so most steps do without: the stride between looks
// doubles or halves until there is about one look in a millisecond.
void BackgroundRun::afterStep(void* self, int64_t completedSteps) {
  auto* run = static_cast<BackgroundRun*>(self);
  if (completedSteps < run->nextLook_) return;
  const Clock::time_point now = Clock::now();
  const bool early = now - run->lastLook_ < kBetweenLooks;
  run->stride_ = early ? run->stride_ * 2 : std::max<int64_t>(run->stride_ / 2, 1);
  run->nextLook_ = completedSteps + run->stride_;
  run->lastLook_ = now;
  if (now - run->lastReport_ < kBetweenReports) return;

  run->lastReport_ = now;
  run->completed_.store(completedSteps, std::memory_order_release);
  // One message at a time: a main thread that is busy finds the latest number and not a queue of old ones.
  if (!run->reportOnItsWay_.exchange(true, std::memory_order_acq_rel)) {
    napi_call_threadsafe_function(run->channel_, &kProgress, napi_tsfn_nonblocking);
  }
}

}  // namespace thalweg
