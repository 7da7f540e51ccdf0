#include "handle.h"

#include <new>
#include <string>
#include <utility>

#include "../runtime/cpu.h"
#include "../runtime/pool.h"
#include "arguments.h"
#include "background.h"
#include "promise.h"
#include "requests.h"

namespace thalweg {
namespace {

// A run that is estimated to take less is over sooner than a thread of its own, and the way back from it, would cost.
// JavaScript gives way to its event loop between such runs (executors/native/index.ts).
constexpr double kAtOnceNanoseconds = 300e3;

const char* codeOf(LoadError::Cause cause) {
  if (cause == LoadError::Cause::instructionSet) return kBadInstructionSet;
  return cause == LoadError::Cause::memory ? kOutOfMemory : kBadPlan;
}

LoadOptions readOptions(Arguments& arguments, const Napi::Value& value) {
  LoadOptions options;
  options.threads = hardwareThreads();
  if (value.IsUndefined()) return options;
  const Napi::Object object = arguments.object(value, "options");
  if (const Napi::Value isa = arguments.member(object, "isa"); !isa.IsUndefined()) {
    options.isa = arguments.text(isa, "options.isa");
  }
  if (const Napi::Value threads = arguments.member(object, "threads"); !threads.IsUndefined()) {
    options.threads = arguments.wholeNumber(threads, "options.threads", 1, kMaximumThreads);
  }
  if (const Napi::Value serialBelow = arguments.member(object, "serialBelow"); !serialBelow.IsUndefined()) {
    options.serialBelow = arguments.positiveNumber(serialBelow, "options.serialBelow");
  }
  return options;
}

// Reads the typed arrays first and takes their addresses last: reading may run JavaScript.
void readRegions(Arguments& arguments, const Napi::Value& value, LoadedSession* loaded) {
  const Napi::Array list = arguments.list(value, "regions");
  std::vector<Napi::TypedArray> arrays;
  for (uint32_t i = 0; i < arguments.length(list); i++) {
    arrays.push_back(arguments.typedArray(arguments.element(list, i), "regions[" + std::to_string(i) + "]"));
  }
  if (arguments.failed()) return;
  for (const Napi::TypedArray& array : arrays) {
    const Memory memory = memoryOf(array);
    loaded->regions.push_back({memory.data, memory.bytes});
    loaded->arrays.push_back(Napi::Persistent(array.As<Napi::Object>()));
    loaded->allShared = loaded->allShared && memory.shared;
  }
}

// Regions over ordinary ArrayBuffers may have been detached since the plan was loaded.
bool regionsAreThere(const LoadedSession& loaded) {
  if (loaded.allShared) return true;
  for (size_t i = 0; i < loaded.regions.size(); i++) {
    const Memory memory = memoryOf(loaded.arrays[i].Value().As<Napi::TypedArray>());
    if (memory.data != loaded.regions[i].data || memory.bytes < loaded.regions[i].bytes) return false;
  }
  return true;
}

void checkReady(Arguments& arguments, const std::string& where, const LoadedSession& loaded, bool running) {
  if (running) {
    arguments.fail(kBusy,
                   where + ": this session has a run in progress; wait for its promise, or load the plan again over other memory.");
  }
  if (!regionsAreThere(loaded)) {
    arguments.fail(kMemoryGone, where + ": one of the arrays that the plan was loaded over has been detached or resized since.");
  }
}

Napi::Error outOfMemory(Napi::Env env) { return makeError(env, kOutOfMemory, "out of memory."); }

Napi::Value rejected(Napi::Env env, const Napi::Error& error) {
  Deferred deferred(env);
  deferred.reject(error.Value());
  return deferred.promise();
}

Napi::Value thrown(Napi::Env env, const Napi::Error& error) {
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace

Napi::Function SessionHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {InstanceMethod<&SessionHandle::run>("run"), InstanceMethod<&SessionHandle::execute>("execute")});
}

Napi::Value SessionHandle::load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    Arguments arguments(env);
    auto loaded = std::make_unique<LoadedSession>();
    PlanDescription plan = readPlan(arguments, info[0]);
    const LoadOptions options = readOptions(arguments, info[2]);
    readRegions(arguments, info[1], loaded.get());
    if (arguments.failed()) return thrown(env, arguments.error());

    LoadError error;
    loaded->session = Session::load(std::move(plan), loaded->regions, options, &error);
    if (!loaded->session) return thrown(env, makeError(env, codeOf(error.cause), error.text));

    AddonState* state = env.GetInstanceData<AddonState>();
    state->loading = std::move(loaded);
    return state->sessionClass.New({});
  } catch (const std::bad_alloc&) {
    return thrown(env, outOfMemory(env));
  }
}

SessionHandle::SessionHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionHandle>(info) {
  const Napi::Env env = info.Env();
  loaded_ = std::move(env.GetInstanceData<AddonState>()->loading);
  if (!loaded_) {
    makeError(env, kBadArgument, "NativeSession: a session is made by load(), not by its constructor.")
        .ThrowAsJavaScriptException();
    return;
  }
  Napi::Object self = info.This().As<Napi::Object>();
  self.DefineProperties({
      Napi::PropertyDescriptor::Value("isa", Napi::String::New(env, loaded_->session->isa()), napi_enumerable),
      Napi::PropertyDescriptor::Value("threads", Napi::Number::New(env, static_cast<double>(loaded_->session->threads())),
                                      napi_enumerable),
  });
  // So that the garbage collector knows what a session weighs.
  Napi::MemoryManagement::AdjustExternalMemory(env, loaded_->session->ownedBytes());
}

SessionHandle::~SessionHandle() {
  if (loaded_) Napi::MemoryManagement::AdjustExternalMemory(Env(), -loaded_->session->ownedBytes());
}

// For small work that must answer at once, so two numbers are all there is to read.
Napi::Value SessionHandle::execute(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    Arguments arguments(env);
    RunRequest request;
    request.firstInstruction = arguments.wholeNumber(info[0], "execute: first");
    request.endInstruction = arguments.wholeNumber(info[1], "execute: end");
    checkReady(arguments, "execute", *loaded_, running_);
    if (arguments.failed()) return thrown(env, arguments.error());
    const std::string problem = loaded_->session->check(request);
    if (!problem.empty()) return thrown(env, makeError(env, kBadArgument, "execute: " + problem));
    loaded_->session->run(request);
    return env.Undefined();
  } catch (const std::bad_alloc&) {
    return thrown(env, outOfMemory(env));
  }
}

Napi::Value SessionHandle::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bool started = false;
  try {
    Arguments arguments(env);
    ReadRequest read = readRequest(arguments, info[0], *loaded_->session);
    checkReady(arguments, "run", *loaded_, running_);  // after the request is read, which may run JavaScript
    if (!loaded_->allShared) {
      arguments.fail(kNotShared,
                     "run: expected a session over SharedArrayBuffers, because an ArrayBuffer can be detached while the run "
                     "uses it; load the plan over shared memory, or use execute.");
    }
    if (arguments.failed()) return rejected(env, arguments.error());

    if (loaded_->session->nanoseconds(read.request) < kAtOnceNanoseconds) {
      Deferred deferred(env);
      if (deferred.exists()) deferred.resolve(resultObject(env, loaded_->session->run(read.request)));
      return deferred.promise();
    }
    running_ = started = true;
    auto ended = [](void* self) { static_cast<SessionHandle*>(self)->running_ = false; };
    return BackgroundRun::start(env, *loaded_->session, std::move(read), {info.This().As<Napi::Object>()}, ended, this);
  } catch (const std::bad_alloc&) {  // from before the thread was started
    if (started) running_ = false;   // an earlier run may still be in progress
    return rejected(env, outOfMemory(env));
  }
}

}  // namespace thalweg
