// A promise that is settled later.
//
// NOTE: not Napi::Promise::Deferred, whose promise is memory that nobody has initialised when there is none to be had: an environment that is
// being torn down (worker.terminate()) makes no more of them, and Node.js would follow that address.
#pragma once
#include <napi.h>

namespace thalweg {

class Deferred {
 public:
  explicit Deferred(Napi::Env env) : env_(env) {
    if (napi_create_promise(env, &deferred_, &promise_) != napi_ok) deferred_ = nullptr, promise_ = nullptr;
  }

  bool exists() const { return deferred_ != nullptr; }
  // Empty when there is none. Before the call from JavaScript in which it was made returns.
  Napi::Value promise() const { return Napi::Value(env_, promise_); }

  // Once, one of them. Without effect in an environment that is being torn down.
  void resolve(napi_value value) { settle(napi_resolve_deferred, value); }
  void reject(napi_value value) { settle(napi_reject_deferred, value); }

 private:
  void settle(napi_status (*how)(napi_env, napi_deferred, napi_value), napi_value value) {
    if (exists()) how(env_, deferred_, value);
  }

  Napi::Env env_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

}  // namespace thalweg
