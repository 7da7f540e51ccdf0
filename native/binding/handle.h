// The JavaScript object of a session.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "../runtime/session.h"

namespace thalweg {

// A session on its way into its JavaScript object.
struct LoadedSession {
  std::unique_ptr<Session> session;
  std::vector<Region> regions;                // as the session knows them
  std::vector<Napi::ObjectReference> arrays;  // the typed arrays they come from
  bool allShared = true;
};

// What one environment (the main thread, or one worker thread) has of its own.
struct AddonState {
  Napi::FunctionReference sessionClass;
  std::unique_ptr<LoadedSession> loading;  // taken by the constructor, so that JavaScript cannot construct a session itself
};

class SessionHandle : public Napi::ObjectWrap<SessionHandle> {
 public:
  static Napi::Function define(Napi::Env env);

  // load(plan, regions, options?) of the addon.
  static Napi::Value load(const Napi::CallbackInfo& info);

  explicit SessionHandle(const Napi::CallbackInfo& info);
  ~SessionHandle() override;

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value execute(const Napi::CallbackInfo& info);

  std::unique_ptr<LoadedSession> loaded_;
  bool running_ = false;
};

}  // namespace thalweg
