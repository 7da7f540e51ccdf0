// The addon's exports. Loaded once per environment, so that worker threads have their own; what they share is the thread pool.
#include <dlfcn.h>
#include <napi.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../runtime/cpu.h"
#include "../runtime/registry.h"
#include "../runtime/shuffle.h"
#include "arguments.h"
#include "handle.h"

namespace thalweg {
namespace {

// The same number stands in src/executors/native/addon.ts. It changes with what the two say to each other, so that a binary
// which is older than the sources is recognised.
constexpr int kInterfaceVersion = 4;

// Keeps this library in memory for as long as the process lives. Node.js closes an addon with the last worker thread that
// loaded it, but the pool's threads still stand in its code.
void stayLoaded() {
  Dl_info here;
  if (!dladdr(reinterpret_cast<void*>(&stayLoaded), &here) || !here.dli_fname) return;
  dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

Napi::Array textList(Napi::Env env, const std::vector<std::string>& texts) {
  Napi::Array list = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); i++) list.Set(i, texts[i]);
  return list;
}

// How many bytes of a typed array to skip so that the rest can be a region. JavaScript cannot see addresses.
Napi::Value bytesToAlignment(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(env);
  const Napi::TypedArray array = arguments.typedArray(info[0], "bytesToAlignment");
  if (arguments.failed()) {
    arguments.error().ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const uintptr_t address = reinterpret_cast<uintptr_t>(memoryOf(array).data);
  return Napi::Number::New(env, static_cast<double>((kAlignment - address % kAlignment) % kAlignment));
}

// Tells V8 of memory it does not see: it does not count SharedArrayBuffers, and would let garbage pile up behind them.
Napi::Value adjustExternalMemory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(env);
  const double bytes = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : NAN;
  if (!(std::fabs(bytes) <= 9007199254740991.0)) {
    arguments.fail(kBadArgument, "adjustExternalMemory: expected a number of bytes.");
    arguments.error().ThrowAsJavaScriptException();
    return env.Undefined();
  }
  return Napi::Number::New(env, static_cast<double>(Napi::MemoryManagement::AdjustExternalMemory(env, static_cast<int64_t>(bytes))));
}

// shuffle(values, from, downTo, key0, key1, index, purpose, word): see runtime/shuffle.h.
Napi::Value shuffleRows(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(env);
  const Napi::TypedArray array = arguments.typedArray(info[0], "shuffle: values");
  const Memory memory = array.IsEmpty() ? Memory{} : memoryOf(array);
  if (memory.type != napi_int32_array) arguments.fail(kBadArgument, "shuffle: expected an Int32Array.");
  // Rows are numbered by int32, and words of 32 bits reach no further.
  const int64_t last = std::min<int64_t>(memory.length - 1, INT32_MAX);
  const int64_t from = arguments.wholeNumber(info[1], "shuffle: from", -1, last);
  const int64_t downTo = arguments.wholeNumber(info[2], "shuffle: downTo");
  uint32_t words[4];
  for (size_t i = 0; i < 4; i++) words[i] = static_cast<uint32_t>(arguments.wholeNumber(info[3 + i], "shuffle: stream", 0, UINT32_MAX));
  const int64_t word = arguments.wholeNumber(info[7], "shuffle: word");
  if (arguments.failed()) {
    arguments.error().ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const RandomWords stream = {words[0], words[1], words[2], words[3]};
  return Napi::Number::New(env, static_cast<double>(shuffle(static_cast<int32_t*>(memory.data), from, downTo, stream, word)));
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  stayLoaded();
  auto* state = new AddonState;
  state->sessionClass = Napi::Persistent(SessionHandle::define(env));
  env.SetInstanceData(state);

  std::vector<std::string> isas;
  for (const KernelSet* set : supportedKernelSets()) isas.push_back(set->isa);
  exports.Set("interfaceVersion", kInterfaceVersion);
  exports.Set("isas", textList(env, isas));
  exports.Set("kernels", textList(env, kernelNames(*supportedKernelSets().front())));
  exports.Set("steps", textList(env, stepNames()));
  exports.Set("hardwareThreads", hardwareThreads());
  exports.Set("alignment", static_cast<double>(kAlignment));
  exports.Set("bytesToAlignment", Napi::Function::New<bytesToAlignment>(env, "bytesToAlignment"));
  exports.Set("adjustExternalMemory", Napi::Function::New<adjustExternalMemory>(env, "adjustExternalMemory"));
  exports.Set("shuffle", Napi::Function::New<shuffleRows>(env, "shuffle"));
  exports.Set("load", Napi::Function::New<SessionHandle::load>(env, "load"));
  return exports;
}

NODE_API_MODULE(thalweg, initialize)

}  // namespace
}  // namespace thalweg
