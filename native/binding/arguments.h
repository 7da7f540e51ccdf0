// The argument checks. Reading is written as if nothing could go wrong: the first thing that is wrong is kept, every later
// read does nothing and returns an empty or zero value, and the caller asks once at the end.
//
//     Arguments arguments(env);
//     const int64_t steps = arguments.wholeNumber(arguments.member(request, "steps"), "run.steps");
//     if (arguments.failed()) return arguments.error();
#pragma once
#include <napi.h>
#include <stdint.h>

#include <string>
#include <vector>

namespace thalweg {

// The codes of all errors that the addon makes.
constexpr const char* kBadArgument = "ERR_THALWEG_ARGUMENT";   // a wrong type, a number out of range
constexpr const char* kBadPlan = "ERR_THALWEG_PLAN";           // a plan, or an instruction in it, that cannot run
constexpr const char* kBadInstructionSet = "ERR_THALWEG_ISA";  // an instruction set that is unknown or does not work here
constexpr const char* kBusy = "ERR_THALWEG_BUSY";              // the session is running
constexpr const char* kNotShared = "ERR_THALWEG_NOT_SHARED";   // memory that a background run must be able to rely on
constexpr const char* kMemoryGone = "ERR_THALWEG_DETACHED";    // an array of the session was transferred away
constexpr const char* kOutOfMemory = "ERR_THALWEG_MEMORY";
constexpr const char* kNoThread = "ERR_THALWEG_THREAD";  // the operating system gave no thread

Napi::Error makeError(Napi::Env env, const char* code, const std::string& message);

// The bytes that a typed array shows at this moment.
struct Memory {
  void* data = nullptr;
  int64_t bytes = 0;
  int64_t length = 0;  // elements
  napi_typedarray_type type = napi_uint8_array;
  bool shared = false;  // a SharedArrayBuffer: it stays where it is for as long as something refers to it
};
Memory memoryOf(const Napi::TypedArray& array);

class Arguments {
 public:
  explicit Arguments(Napi::Env env) : env_(env) {}

  bool failed() const { return failed_; }
  Napi::Error error() const { return error_; }
  void fail(const char* code, const std::string& message);
  Napi::Env env() const { return env_; }

  // Below, `path` says where the value stands, for the message: "plan.tensors[3].shape".
  Napi::Object object(const Napi::Value& value, const std::string& path);
  Napi::Array list(const Napi::Value& value, const std::string& path);
  Napi::Function function(const Napi::Value& value, const std::string& path);
  Napi::TypedArray typedArray(const Napi::Value& value, const std::string& path);
  int64_t wholeNumber(const Napi::Value& value, const std::string& path, int64_t least = 0, int64_t most = kLargestWhole);
  double positiveNumber(const Napi::Value& value, const std::string& path);  // or 0, or infinity
  std::string text(const Napi::Value& value, const std::string& path);
  std::vector<int64_t> wholeNumbers(const Napi::Value& value, const std::string& path);

  // Undefined when the object has no such member. These may run JavaScript (a getter), so addresses are taken after them.
  Napi::Value member(const Napi::Object& object, const char* name);
  Napi::Value element(const Napi::Array& list, uint32_t index);
  uint32_t length(const Napi::Array& list) const { return failed_ ? 0 : list.Length(); }

  // "path: expected …, got …."
  void unexpected(const std::string& path, const std::string& expected, const Napi::Value& got);

  static constexpr int64_t kLargestWhole = 9007199254740991;  // Number.MAX_SAFE_INTEGER

 private:
  Napi::Value taken(const Napi::Value& value);

  Napi::Env env_;
  Napi::Error error_;
  bool failed_ = false;
};

}  // namespace thalweg
